"""Targets as folders: one folder of images or volumes per class, or train/, val/ and test/ that hold such folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.volumes import files_stored, is_volume
from acrank.targets.target import SPLIT_NAMES, Options, Target, choose_splits, listing, name_of

LAYOUT = "folders"
USES = frozenset({"split", "task", "intensity", "slices", "spacing"})

_NO_IMAGES = frozenset(
    {".txt", ".md", ".rst", ".pdf", ".html", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".csv", ".tsv", ".xlsx"}
    | {".db", ".ini", ".log", ".lock", ".py", ".sh", ".zip", ".tar", ".gz", ".md5", ".sha256"}
)
_CLUTTER = frozenset({"__MACOSX", "__pycache__", "@eaDir", "lost+found"})
_MASKED = re.compile(r"[_-]mask(?:[_-]?\d+)?\.[^.]+$", re.IGNORECASE)


def open_folders(path: Path, options: Options) -> Target:
    """Open a folder with one folder of images, or of NIfTI volumes, per class; ids are the paths below it.

    Files are found without opening or examining any of them. Hidden files and files that are clearly no images are
    left out; files of an unknown kind too, and they are counted in the notes. Folders within a class belong to it.

    Raises:
        TargetError: no class folders, one class, a class without images, no such split, images beside volumes, or a
            segmentation set.
    """
    if options.task not in (None, "classification"):
        raise TargetError(
            f"{path}: class folders are for classification, not {options.task}",
            hint="give a table of image paths and labels",
        )
    notes: list[str] = []
    folders = _class_folders(path, options.split, notes)
    ids, names = _images(path, folders, notes)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    classes = tuple(sorted(set(names)))
    if len(classes) < 2:
        raise TargetError(f"{path} has one class only: {classes[0]}", hint="ranking needs at least two class folders")
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[names[place]] for place in order], dtype=np.int64)
    sorted_ids = tuple(ids[place] for place in order)
    stored = files_stored(path, sorted_ids, options)
    return Target(
        name_of(path),
        LAYOUT,
        "classification",
        sorted_ids,
        labels,
        classes,
        stored.store,
        [*notes, *stored.notes],
        axes=stored.axes,
        reading=stored.reading,
    )


def _class_folders(path: Path, split: str | None, notes: list[str]) -> list[tuple[str, str]]:
    """(folder below `path`, class) of every class folder in the chosen splits."""
    folders, files = _entries(path)
    loose = sum(_suffix(name) in IMAGE_SUFFIXES or is_volume(name) for name in files)
    if not folders:
        raise _no_folders(path, loose)
    if loose:
        notes.append(f"{loose} images beside the class folders are left out")
    splits = _split_folders(path, folders)
    _refuse_segmentation(path, folders)
    chosen = choose_splits(split, splits, path, notes)
    if not chosen:
        return [(name, name) for name in folders]
    beside = sorted(set(folders) - set(splits))
    if beside:
        notes.append(f"folders beside the splits are left out: {listing(beside)}")
    return [(f"{part}/{name}", name) for part in chosen for name in _entries(path / part)[0]]


def _split_folders(path: Path, folders: list[str]) -> list[str]:
    """The folders that are splits: named so, and holding folders rather than images.

    A class may be called "train": one such name among others is a split only where a second split lies beside it.
    """
    named = [name for name in folders if name.lower() in SPLIT_NAMES]
    if not named or (len(named) == 1 and len(folders) > 1):
        return []
    holding = {name: _entries(path / name) for name in named}
    splits = [name for name in named if holding[name][0]]
    if not splits and len(named) == len(folders):
        raise TargetError(
            f"{path} holds {listing(named)} but no class folders in them",
            hint="put one folder per class into each split, or give a table of image paths and labels",
        )
    return splits


def _refuse_segmentation(path: Path, folders: list[str]) -> None:
    lower = {name.lower().rstrip("s") for name in folders}
    if len(folders) == 2 and "mask" in lower and lower & {"image", "img"}:
        raise TargetError(
            f"{path} is a segmentation set: it holds {' and '.join(sorted(folders))}, not classes",
            hint="call the folders images and masks",
        )


def _images(path: Path, folders: list[tuple[str, str]], notes: list[str]) -> tuple[list[str], list[str]]:
    """Ids and class names of all images, unsorted."""
    ids: list[str] = []
    names: list[str] = []
    unknown: Counter[str] = Counter()
    empty: list[str] = []
    for folder, name in folders:
        before = len(ids)
        for found in _walk(path, folder):
            suffix = _suffix(found)
            if suffix in IMAGE_SUFFIXES or is_volume(found):
                ids.append(found)
            elif suffix not in _NO_IMAGES:
                unknown[suffix or "no suffix"] += 1
        names += [name] * (len(ids) - before)
        if len(ids) == before:
            empty.append(folder)
    _refuse_empty(path, folders, empty, unknown)
    notes += _about(ids, unknown)
    return ids, names


def _refuse_empty(path: Path, folders: list[tuple[str, str]], empty: list[str], unknown: Counter[str]) -> None:
    kinds = f" (files of unknown kinds: {_counts(unknown)})" if unknown else ""
    if len(empty) == len(folders):
        raise TargetError(
            f"no images in {path}{kinds}",
            hint="give a folder with one folder of PNG, JPEG or NIfTI files per class",
        )
    if empty:
        raise TargetError(
            f"{path}: the class folder {listing(empty)} holds no images{kinds}", hint="remove the folder or fill it"
        )


def _about(ids: list[str], unknown: Counter[str]) -> list[str]:
    notes = []
    if unknown:
        notes.append(f"{sum(unknown.values())} files of unknown kinds are left out: {_counts(unknown)}")
    masks = sum("mask" in name.lower() and _MASKED.search(name) is not None for name in ids)
    if masks:
        notes.append(f"{masks} files are named like segmentation masks and count as images: move them out if they are")
    return notes


def _counts(unknown: Counter[str]) -> str:
    return listing([f"{suffix} ({count})" for suffix, count in sorted(unknown.items())])


def _entries(path: Path) -> tuple[list[str], list[str]]:
    """Names of the visible folders and files in a folder, sorted."""
    folders: list[str] = []
    files: list[str] = []
    for entry in _scan(path):
        (folders if entry.is_dir() else files).append(entry.name)
    return sorted(folders), sorted(files)


def _walk(root: Path, folder: str) -> Iterator[str]:
    """Every visible file below root/folder, as a path from `root` with forward slashes; links that circle end."""
    waiting, seen = [folder], set()
    while waiting:
        here = waiting.pop()
        status = (root / here).stat()  # one per folder, none per file
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in _scan(root / here):
            if entry.is_dir():
                waiting.append(f"{here}/{entry.name}")
            else:
                yield f"{here}/{entry.name}"


def _scan(path: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name[0] != "." and entry.name not in _CLUTTER:
                    yield entry
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the folder's permissions") from error


def _suffix(name: str) -> str:
    stem, dot, suffix = name[name.rfind("/") + 1 :].rpartition(".")
    return dot + suffix.lower() if stem else ""


def _no_folders(path: Path, loose: int) -> TargetError:
    what = f"{path} holds {loose} images but no class folders" if loose else f"no images in {path}"
    return TargetError(what, hint="give a folder with one folder of images per class, or a table of paths and labels")
