"""Listing of folders of images: what is visible in them, without opening a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from acrank.errors import TargetError

_CLUTTER = frozenset({"__MACOSX", "__pycache__", "@eaDir", "lost+found"})


def entries(path: Path) -> tuple[list[str], list[str]]:
    """Names of the visible folders and files in a folder, sorted.

    Raises:
        TargetError: it cannot be read.
    """
    folders: list[str] = []
    files: list[str] = []
    for entry in visible_entries(path):
        (folders if entry.is_dir() else files).append(entry.name)
    return sorted(folders), sorted(files)


def walk(root: Path, folder: str) -> Iterator[str]:
    """Every visible file below root/folder, relative to `root` with forward slashes; circular links end.

    Args:
        root: the folder that names are relative to.
        folder: a folder below it; "" for the root itself.

    Raises:
        TargetError: a folder cannot be read.
    """
    waiting, seen = [folder], set()
    while waiting:
        here = waiting.pop()
        status = (root / here).stat()  # one per folder, none per file
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in visible_entries(root / here):
            name = f"{here}/{entry.name}" if here else entry.name
            if entry.is_dir():
                waiting.append(name)
            else:
                yield name


def visible_entries(path: Path) -> Iterator[os.DirEntry[str]]:
    """The visible entries of a folder.

    Raises:
        TargetError: it cannot be read.
    """
    try:
        with os.scandir(path) as found:
            for entry in found:
                if entry.name[0] != "." and entry.name not in _CLUTTER:
                    yield entry
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the folder's permissions") from error


def suffix_of(name: str) -> str:
    """The suffix of a file's name, lower case; "" where there is none.

    >>> suffix_of("a.b/scan.PNG"), suffix_of("a.b/scan")
    ('.png', '')
    """
    stem, dot, suffix = name[name.rfind("/") + 1 :].rpartition(".")
    return dot + suffix.lower() if stem else ""


def without_suffix(name: str) -> str:
    """The path without its suffix.

    >>> without_suffix("a.b/scan.PNG"), without_suffix("a.b/scan")
    ('a.b/scan', 'a.b/scan')
    """
    suffix = suffix_of(name)
    return name[: -len(suffix)] if suffix else name
