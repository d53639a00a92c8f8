"""Listing of folders of images: what is visible in them, without opening a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from acrank.targets.data_folder import DataFolder, FoundEntry, Identity


def entries(data: DataFolder, folder: str = "") -> tuple[list[str], list[str]]:
    """Names of the visible folders and files in a folder, sorted.

    Raises:
        TargetError: it cannot be read, or a link leads outside.
    """
    found = list(data.scan(folder))
    return sorted(one.name for one in found if one.is_folder), sorted(one.name for one in found if not one.is_folder)


def walk(data: DataFolder, folder: str) -> Iterator[FoundEntry]:
    """Every visible file and folder below a folder, named from the root with forward slashes; circular links end.

    Args:
        data: the data set.
        folder: a folder in it; "" for the root itself.

    Raises:
        TargetError: a folder cannot be read, or a link leads outside.
    """
    waiting, seen = [folder], set[Identity]()
    while waiting:
        here = waiting.pop()
        for entry in data.scan(here):
            name = f"{here}/{entry.name}" if here else entry.name
            yield dataclasses.replace(entry, name=name)
            if entry.is_folder and entry.identity not in seen:
                seen.add(entry.identity)
                waiting.append(name)


def files_below(data: DataFolder, folder: str) -> Iterator[FoundEntry]:
    """The files among what `walk` gives.

    Raises:
        TargetError: as `walk`.
    """
    return (entry for entry in walk(data, folder) if not entry.is_folder)


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
