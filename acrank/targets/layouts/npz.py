"""Targets as .npz files: MedMNIST's keys (train_images, train_labels, ...), images and labels, or named keys."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.arrays import ArrayFile

NAME = "npz"

#: Arrays up to this size are held in memory once an image is read; larger ones are read image by image.
HELD_BYTES = 512 * 2**20
_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError)


def npz_file(path: Path) -> ArrayFile:
    """The file's arrays [N, H, W], [N, H, W, C] or [N, C, H, W] with labels [N], [N, 1] or [N, k].

    Without keys: MedMNIST's `train_images` and `train_labels` (also val and test), or `images` and `labels`.
    No image is read on opening; nothing is ever unpickled.

    Raises:
        TargetError: not an .npz file, keys not found, or arrays that do not fit together.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    return ArrayFile(
        path=path,
        layout=NAME,
        keys=keys,
        array=lambda key: ZippedArray(path, key),
        labels=lambda key: _read_array(path, key),
    )


class ZippedArray:
    """One array of an .npz file, read item by item; shape [N, ...] and dtype come from its header.

    Reading ascending indices of a large compressed array decompresses it once; going back starts over.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self._file: IO[bytes] | None = None
        self._values: np.ndarray | None = None
        self._process: int | None = None
        try:
            with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
                self.shape, self._fortran, self.dtype = _header(file)
                self._start = file.tell()
        except _DAMAGE as error:
            raise _damaged(path, error) from error
        if self.dtype.hasobject:
            raise TargetError(f"{path}: {key!r} holds Python objects", hint="store it as an array of numbers")

    def item(self, index: int) -> np.ndarray:
        try:
            if not self._fortran and self.dtype.itemsize * math.prod(self.shape) > HELD_BYTES:
                return self._streamed(index)
            if self._values is None:
                self._values = _read_array(self.path, self.key)
            item: np.ndarray = self._values[index]
            return item
        except _DAMAGE as error:
            raise _damaged(self.path, error) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_values": None, "_process": None}

    def _streamed(self, index: int) -> np.ndarray:
        if self._file is None or self._process != os.getpid():  # a forked process must not share the position
            self._file = zipfile.ZipFile(self.path).open(f"{self.key}.npy")  # noqa: SIM115 - open for the next item
            self._process = os.getpid()
        size = self.dtype.itemsize * math.prod(self.shape[1:])
        self._file.seek(self._start + index * size)
        return np.frombuffer(self._file.read(size), self.dtype).reshape(self.shape[1:])


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"array format {version} is not one of plain numbers")


def _read_array(path: Path, key: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            values: np.ndarray = archive[key]
            return values
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> TargetError:
    return TargetError(f"cannot read {path} as .npz: {error}", hint="write it again with numpy.savez, numbers only")
