"""Targets as HDF5 files: images and labels, split as in MedMNIST's keys, or named keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.arrays import ArrayFile

NAME = "hdf5"


def hdf5_file(path: Path) -> ArrayFile:
    """The file's datasets: images [N, H, W], [N, H, W, C] or [N, C, H, W], labels (numbers or strings) [N] or [N, k].

    Keys may lie in groups (`scans/images`). Images are read one by one, on demand.

    Raises:
        TargetError: not an HDF5 file, keys not found, or datasets that do not fit together.
    """
    return ArrayFile(
        path=path,
        layout=NAME,
        keys=_keys(path),
        array=lambda key: StoredDataset(path, key),
        labels=lambda key: _labels(path, key),
    )


class StoredDataset:
    """One dataset of an HDF5 file, read item by item; each process opens the file itself."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        with _open(path) as file:
            self.shape: tuple[int, ...] = file[key].shape or ()
            self.dtype: np.dtype = file[key].dtype
        self._dataset: Any = None
        self._process: int | None = None

    def item(self, index: int) -> np.ndarray:
        if self._dataset is None or self._process != os.getpid():
            self._dataset, self._process = _open(self.path)[self.key], os.getpid()
        try:
            values: np.ndarray = self._dataset[index]
            return values
        except OSError as error:
            raise _damaged(self.path, error) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_dataset": None, "_process": None}


def _keys(path: Path) -> list[str]:
    import h5py

    found: list[str] = []
    with _open(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def _labels(path: Path, key: str) -> np.ndarray:
    with _open(path) as file:
        try:
            return np.asarray(file[key][()])
        except OSError as error:
            raise _damaged(path, error) from error


def _open(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> TargetError:
    return TargetError(f"cannot read {path} as HDF5: {error}", hint="write it again, or check that it is complete")
