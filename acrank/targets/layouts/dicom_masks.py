"""DICOM where masks are: it is refused by name, for acrank reads no segmentations in DICOM."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from acrank.errors import TargetError
from acrank.targets.layouts.listing import suffix_of
from acrank.targets.stores.dicom_file import is_dicom


def refuse_dicom(root: Path, names: Iterable[str]) -> None:
    """Refuse images or masks that are DICOM files, or folders that hold one.

    Args:
        root: the data set.
        names: files and folders, relative to it; those that are not there are passed over.

    Raises:
        TargetError: one is DICOM; the hint says what to convert it to.
    """
    found = next((name for name in names if _is_dicom(root / name)), None)
    if found is not None:
        raise TargetError(
            f"{root / found} is DICOM: images with masks are read as NIfTI, NRRD, PNG or TIFF",
            hint="convert images and masks (dcm2niix for series, dcmqi for DICOM SEG); "
            "DICOM is read in class folders and tables",
        )


def _is_dicom(path: Path) -> bool:
    if path.is_dir():
        first = min((entry.name for entry in os.scandir(path) if entry.is_file()), default=None)
        return first is not None and _is_dicom(path / first)
    suffix = suffix_of(path.name)
    return path.is_file() and is_dicom(path, suffix)
