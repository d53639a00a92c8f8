"""Targets as .npy files: one array of images, with the labels in another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.arrays import ArrayFile, refuse_odd_dtype
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded

NAME = "npy"
_KEY = "array"


def npy_file(path: Path) -> ArrayFile:
    """The file's only array; nothing is ever unpickled.

    Raises:
        TargetError: not an .npy file of numbers or strings.
    """
    return ArrayFile(
        path=path,
        layout=NAME,
        keys=[_KEY],
        array=lambda _: MappedArray(path),
        labels=lambda _: _whole(path),
    )


class MappedArray:
    """The array of an .npy file, read item by item; shape [N, ...] and dtype come from its header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        values = _opened(path)
        self.shape, self.dtype = values.shape, values.dtype
        self._values: np.ndarray | None = None

    def item(self, index: int) -> np.ndarray:
        """One item, copied from the file."""
        if self._values is None:
            self._values = _opened(self.path)
        return np.array(self._values[index])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_values": None}


def _whole(path: Path) -> np.ndarray:
    values = _opened(path)
    check_decoded(values.nbytes, str(path), most=MOST_OF_VOLUME)
    return np.array(values)


def _opened(path: Path) -> np.ndarray:
    try:
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TargetError(f"cannot read {path} as .npy: {error}", hint="write it again with numpy.save") from error
    refuse_odd_dtype(values.dtype, str(path))
    return values
