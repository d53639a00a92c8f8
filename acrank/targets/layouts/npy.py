"""Targets as .npy files: one array of images, with the labels in another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.arrays import ArrayFile

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
        labels=lambda _: np.array(_opened(path)),
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


def _opened(path: Path) -> np.ndarray:
    try:
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TargetError(f"cannot read {path} as .npy: {error}", hint="write it again with numpy.save") from error
    if values.dtype.kind not in "biufSU":
        raise TargetError(f"{path} holds values of {values.dtype}", hint="store it as an array of numbers")
    return values
