"""Class folders: one folder of images or volumes per class, or train/, val/ and test/ with such folders inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.data_folder import MOST_OTHERS, DataFolder, Identity, once
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.reading import check_count
from acrank.targets.stores.volumes import file_store_info, is_volume
from acrank.targets.target import Labels, Target, build_target, choose_splits, first_few
from acrank.targets.target_options import TargetOptions

NAME = "folders"
USES = frozenset({"split", "task", "intensity", "slices", "spacing", "pages", "allow_outside"})

#: Names of folders that hold splits, lower case.
SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_OTHER_SUFFIXES = frozenset(
    {".txt", ".md", ".rst", ".pdf", ".html", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".csv", ".tsv", ".xlsx"}
    | {".db", ".ini", ".log", ".lock", ".py", ".sh", ".zip", ".tar", ".gz", ".md5", ".sha256"}
)
_MASK_NAME = re.compile(r"[_-]mask(?:[_-]?\d+)?\.[^.]+$", re.IGNORECASE)


def open_folders(path: Path, options: TargetOptions) -> Target:
    """Open a folder with one folder of images, or of NIfTI volumes, per class; ids are the paths below it.

    Files are listed without opening any of them. Hidden files and files that are clearly not images are left out;
    files of unknown kinds and what is no ordinary file too, with a note on their number. Folders within a class belong
    to it. An image with two names (links) counts once.

    Raises:
        TargetError: no class folders, one class, a class without images, an unknown split, images beside volumes, or a
            segmentation target, a link that leads outside, one image in two classes, or a folder that is no data set.
    """
    if options.task not in (None, "classification"):
        raise TargetError(
            f"{path}: class folders are for classification, not {options.task}",
            hint="give a table of image paths and labels",
        )
    notes: list[str] = []
    data = DataFolder(path, allow_outside=options.allow_outside)
    found = once(sorted(_images(data, _class_folders(data, options.split, notes), notes)), notes)
    ids = tuple(name for name, _ in found)
    classes = sorted({label for _, label in found})
    if len(classes) < 2:
        raise TargetError(f"{path} has one class only: {classes[0]}", hint="ranking needs at least two class folders")
    places = {name: place for place, name in enumerate(classes)}
    values = np.array([places[label] for _, label in found], dtype=np.int64)
    labels = Labels("classification", values, tuple(classes))
    info = file_store_info(path, ids, options)
    notes += data.notes()
    return build_target(path, layout=NAME, ids=ids, labels=labels, info=info, notes=notes)


def _class_folders(data: DataFolder, split: str | None, notes: list[str]) -> list[tuple[str, str]]:
    """(folder below `path`, class) of every class folder in the chosen splits."""
    path = data.root
    folders, files = _entries(data)
    loose = sum(_suffix(name) in IMAGE_SUFFIXES or is_volume(name) for name in files)
    if not folders:
        raise TargetError(
            f"{path} holds {loose} images but no class folders" if loose else f"no images in {path}",
            hint="give a folder with one folder of images per class, or a table of paths and labels",
        )
    if loose:
        notes.append(f"{loose} images beside the class folders are left out")
    splits = _split_folders(data, folders)
    _refuse_segmentation(path, folders)
    chosen = choose_splits(split, splits, path=path, notes=notes)
    if not chosen:
        return [(name, name) for name in folders]
    beside = sorted(set(folders) - set(splits))
    if beside:
        notes.append(f"folders beside the splits are left out: {first_few(beside)}")
    return [(f"{part}/{name}", name) for part in chosen for name in _entries(data, part)[0]]


def _split_folders(data: DataFolder, folders: list[str]) -> list[str]:
    """The folders that are splits: those with a split's name that hold folders rather than images.

    A class may be called "train": a single such name among others is a class.
    """
    named = [name for name in folders if name.lower() in SPLIT_NAMES]
    if not named or (len(named) == 1 and len(folders) > 1):
        return []
    splits = [name for name in named if _entries(data, name)[0]]
    if not splits and len(named) == len(folders):
        raise TargetError(
            f"{data.root} holds {first_few(named)} but no class folders in them",
            hint="put one folder per class into each split, or give a table of image paths and labels",
        )
    return splits


def _refuse_segmentation(path: Path, folders: list[str]) -> None:
    lower = {name.lower().rstrip("s") for name in folders}
    if len(folders) == 2 and "mask" in lower and lower & {"image", "img"}:
        raise TargetError(
            f"{path} is a segmentation target: it holds {' and '.join(sorted(folders))}, not classes",
            hint="call the folders images and masks",
        )


def _images(data: DataFolder, folders: list[tuple[str, str]], notes: list[str]) -> list[tuple[str, str, Identity]]:
    """(id, class, identity) of every image in the class folders."""
    path = data.root
    images: list[tuple[str, str, Identity]] = []
    others = 0
    unknown: Counter[str] = Counter()
    empty: list[str] = []
    for folder, label in folders:
        before = len(images)
        for name, is_folder, identity in _walk(data, folder):
            suffix = _suffix(name)
            if not is_folder and (suffix in IMAGE_SUFFIXES or is_volume(name)):
                images.append((name, label, identity))
                continue
            others += 1
            _refuse_others(path, others, len(images))
            if not is_folder and suffix not in _OTHER_SUFFIXES:
                unknown[suffix or "no suffix"] += 1
        if len(images) == before:
            empty.append(folder)
    check_count(len(images), str(path))
    kinds = first_few([f"{suffix} ({count})" for suffix, count in sorted(unknown.items())])
    besides = f" (files of unknown kinds: {kinds})" if unknown else ""
    if not images:
        raise TargetError(
            f"no images in {path}{besides}", hint="give a folder with one folder of PNG, JPEG or NIfTI files per class"
        )
    if empty:
        raise TargetError(
            f"{path}: the class folder {first_few(empty)} holds no images{besides}", hint="remove the folder or fill it"
        )
    if unknown:
        notes.append(f"{unknown.total()} files of unknown kinds are left out: {kinds}")
    masks = sum("mask" in name.lower() and _MASK_NAME.search(name) is not None for name, _, _ in images)
    if masks:
        notes.append(f"{masks} files are named like segmentation masks but read as images: move them out if they are")
    return images


def _refuse_others(path: Path, others: int, images: int) -> None:
    if others > MOST_OTHERS and others > 10 * images:
        raise TargetError(
            f"{path} holds more than {MOST_OTHERS:,} files and folders that are no images, and {images} images so far",
            hint="point --data at the folder that holds the class folders",
        )


def _entries(data: DataFolder, folder: str = "") -> tuple[list[str], list[str]]:
    """Names of the visible folders and files in a folder, sorted."""
    found = list(data.scan(folder))
    return sorted(one.name for one in found if one.is_folder), sorted(one.name for one in found if not one.is_folder)


def _walk(data: DataFolder, folder: str) -> Iterator[tuple[str, bool, Identity]]:
    """Every visible file and folder below root/folder: its name with forward slashes, whether it is a folder, identity.

    Circular links end.
    """
    waiting, seen = [folder], set[Identity]()
    while waiting:
        here = waiting.pop()
        for entry in data.scan(here):
            name = f"{here}/{entry.name}"
            yield name, entry.is_folder, entry.identity
            if entry.is_folder and entry.identity not in seen:
                seen.add(entry.identity)
                waiting.append(name)


def _suffix(name: str) -> str:
    stem, dot, suffix = name[name.rfind("/") + 1 :].rpartition(".")
    return dot + suffix.lower() if stem else ""
