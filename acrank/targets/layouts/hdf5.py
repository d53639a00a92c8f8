"""Targets as HDF5 files: images and labels, split as in MedMNIST's keys, or named keys."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.system.bounds import MOST_TEXT, in_words
from acrank.targets.layouts.arrays import ArrayFile, refuse_odd_dtype
from acrank.targets.layouts.hdf5_chunks import Offset, check_chunks, check_filters, stored_chunks
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded, damage_of

NAME = "hdf5"


def hdf5_file(path: Path) -> ArrayFile:
    """The file's datasets: images [N, H, W], [N, H, W, C] or [N, C, H, W], labels (numbers or strings) [N] or [N, k].

    Keys may lie in groups (`scans/images`). Images are read one by one, on demand. Values
    must lie in the file itself: datasets that name other files (external, virtual) are refused before they are read.

    Raises:
        TargetError: not an HDF5 file, keys not found, or datasets that do not fit together, are too large, of odd
            types, or stored outside the file.
    """
    return ArrayFile(
        path=path,
        layout=NAME,
        keys=_keys(path),
        array=lambda key: StoredDataset(path, key),
        labels=lambda key: StoredDataset(path, key).whole(),
    )


class StoredDataset:
    """One dataset of an HDF5 file, read item by item; each process opens the file itself."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        with _damage(path), _open(path) as file:
            dataset = file[key]
            _refuse_other_files(dataset, f"{path}: {key!r}")
            self.shape: tuple[int, ...] = dataset.shape or ()
            self.dtype: np.dtype = dataset.dtype
            _refuse_odd_type(self.dtype, f"{path}: {key!r}")
            chunk = math.prod(dataset.chunks or ()) * self.dtype.itemsize
            check_filters(dataset, f"{path}: {key!r}")
        check_decoded(chunk, f"a chunk of {path}: {key!r}", most=MOST_OF_VOLUME)
        self._unchecked: dict[Offset, int] = {}  # chunks that no look has passed yet
        self._dataset: Any = None
        self._process: int | None = None

    def item(self, index: int) -> np.ndarray:
        with _damage(self.path):
            if self._dataset is None or self._process != os.getpid():
                self._dataset, self._process = _open(self.path)[self.key], os.getpid()
                self._unchecked = stored_chunks(self._dataset)
            check_chunks(self._dataset, index, where=f"{self.path}: {self.key!r}", left=self._unchecked)
            values: np.ndarray = self._dataset[index]
            return values

    def whole(self) -> np.ndarray:
        """All of the dataset."""
        check_decoded(math.prod(self.shape) * self.dtype.itemsize, f"{self.path}: {self.key!r}", most=MOST_OF_VOLUME)
        with _damage(self.path), _open(self.path) as file:
            dataset = file[self.key]
            check_chunks(dataset, None, where=f"{self.path}: {self.key!r}", left=stored_chunks(dataset))
            return _strings(dataset, self.path) if self.dtype.kind == "O" else np.asarray(dataset[()])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_dataset": None, "_process": None}


def _strings(dataset: Any, path: Path) -> np.ndarray:
    """All strings of a dataset, which may share their bytes, so that few of the file become many here.

    Raises:
        TargetError: they are larger than a text may be.
    """
    most, step = MOST_TEXT, max(100, MOST_TEXT // max(path.stat().st_size, 2**14))
    found = []
    for start in range(0, len(dataset), step) if dataset.ndim else ():
        part = dataset[start : start + step]
        most -= sum(len(text) for text in part.flat)
        if most < 0:
            raise TargetError(f"{path}: {dataset.name!r} holds more than {in_words(MOST_TEXT)}", hint="is it damaged?")
        found.append(part)
    return np.concatenate(found) if found else np.asarray(dataset[()])


def _keys(path: Path) -> list[str]:
    import h5py

    found: list[str] = []
    with _damage(path), _open(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def _refuse_other_files(dataset: Any, where: str) -> None:
    """Refuse a dataset whose values lie in other files; its creation properties say so, and nothing is opened."""
    kind = "virtual" if dataset.is_virtual else "external" if dataset.external else None
    if kind:
        raise TargetError(f"{where} is {kind}: its values lie in other files", hint="store the values in the file")


def _refuse_odd_type(dtype: np.dtype, where: str) -> None:
    """Refuse all but numbers and strings; h5py gives enumerations as numbers and strings as objects."""
    import h5py

    if h5py.check_enum_dtype(dtype) is not None:
        raise TargetError(f"{where} is an enumeration", hint="store its numbers, or its names as strings")
    if h5py.check_string_dtype(dtype) is None:
        refuse_odd_dtype(dtype, where)


def _open(path: Path) -> Any:
    import h5py

    return h5py.File(path, "r")


def _damage(path: Path) -> AbstractContextManager[None]:
    return damage_of(path, f"cannot read {path} as HDF5", hint="write it again, or check that it is complete")
