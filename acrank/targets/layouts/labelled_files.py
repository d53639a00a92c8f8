"""Labelled files of any kind as one store: images, volumes, or DICOM."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from pathlib import Path

from acrank.errors import TargetError, UsageError
from acrank.targets.data_folder import DataFolder
from acrank.targets.layouts.dicom_items import gather_dicom
from acrank.targets.stores.dicom_file import DICOM_SUFFIXES, is_dicom
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.stored_volumes import is_volume
from acrank.targets.stores.volumes import file_store_info
from acrank.targets.target import StoreInfo
from acrank.targets.target_options import TargetOptions


def open_labelled(
    data: DataFolder,
    listed: Sequence[tuple[str, Hashable]],
    options: TargetOptions,
    *,
    by_folder: bool,
    grouped: bool = False,
) -> tuple[list[tuple[str, Hashable]], StoreInfo]:
    """(id, label) of every image or volume, and their store.

    Args:
        data: the folder that the paths are relative to.
        listed: (path, label), sorted by path; of DICOM a path may also be a folder of one volume's slices.
        options: the user's.
        by_folder: whether folders tell which DICOM files are slices of one volume; else each is an image.
        grouped: whether folders tell the groups; else, and without the user's word, patients of DICOM are the groups.

    Raises:
        TargetError: files of several kinds, or none can be read.
        UsageError: an option that does not fit the files.
        MissingExtraError: a package that reads the files is not installed.
    """
    root = data.root
    dicom = [one for one in listed if _may_be_dicom(root, one[0])]
    if not dicom:
        if options.dicom is not None:
            raise UsageError(f"--dicom is for DICOM files, and {root} holds none", hint="leave it out")
        return list(listed), file_store_info(root, tuple(name for name, _ in listed), options)
    if len(dicom) < len(listed):
        known = {name for name, _ in dicom}
        other = next(name for name, _ in listed if name not in known)
        raise TargetError(f"{root} holds DICOM files and others: {dicom[0][0]}, {other}", hint="keep one kind of file")
    folders = [(name, label) for name, label in dicom if (root / name).is_dir()]
    if folders and len(folders) < len(dicom):
        raise TargetError(
            f"{root}: some paths are folders, others files: {folders[0][0]}", hint="name one or the other"
        )
    if folders:
        if options.dicom == "images":
            raise UsageError("--dicom images needs files, not folders", hint="name every file, or leave it out")
        dicom = [(file, label) for name, label in folders for file in _dicom_in(data, name)]
        options = dataclasses.replace(options, dicom="series")
    items = gather_dicom(root, dicom, options, by_folder=by_folder, grouped=grouped)
    return list(items.labelled), items.info


def holds_dicom(data: DataFolder, folder: str) -> bool:
    """Whether a folder, without those below it, holds a DICOM file.

    Raises:
        TargetError: it cannot be read, or a link leads outside.
    """
    return any(_dicom_in(data, folder))


def _may_be_dicom(root: Path, name: str) -> bool:
    """By its suffix; a name without one that is known is looked into. Of folders those of slices are listed."""
    suffix = Path(name).suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return True
    if suffix in IMAGE_SUFFIXES or is_volume(name):
        return False
    path = root / name
    return path.is_dir() or is_dicom(path, suffix)


def _dicom_in(data: DataFolder, folder: str) -> list[str]:
    names = sorted(f"{folder}/{entry.name}" for entry in data.scan(folder) if not entry.is_folder)
    return [name for name in names if _may_be_dicom(data.root, name)]
