"""Targets as .npz files: MedMNIST's keys (train_images, train_labels, ...), images and labels, or named keys."""

from __future__ import annotations

import math
import os
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.arrays import ArrayFile, refuse_odd_dtype
from acrank.targets.layouts.npy import array_header
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded, damage_of

NAME = "npz"

#: Arrays up to this size are held in memory once an image is read; larger ones are read image by image.
HELD_BYTES = 512 * 2**20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def npz_file(path: Path) -> ArrayFile:
    """The file's arrays [N, H, W], [N, H, W, C] or [N, C, H, W] with labels [N], [N, 1] or [N, k].

    Without keys: MedMNIST's `train_images` and `train_labels` (also val and test), or `images` and `labels`.
    No image is read on opening; nothing is ever unpickled.

    Raises:
        TargetError: not an .npz file, keys not found, arrays that do not fit together, or that are too large.
    """
    with _damage(path), zipfile.ZipFile(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    return ArrayFile(
        path=path,
        layout=NAME,
        keys=keys,
        array=lambda key: ZippedArray(path, key),
        labels=lambda key: ZippedArray(path, key).whole(),
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
        with _damage(path), zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{key}.npy")
            if member.compress_type not in _METHODS:  # numpy writes no other, and theirs inflate without a bound
                raise ValueError(f"{key!r} is neither stored nor deflated")
            with archive.open(member) as file:
                self.shape, self._fortran, self.dtype = array_header(file)
                self._start = file.tell()
            stored = member.file_size - self._start
        refuse_odd_dtype(self.dtype, f"{path}: {key!r}")
        self._size = self.dtype.itemsize * math.prod(self.shape)
        if stored != self._size:
            raise TargetError(
                f"{path}: {key!r} declares {self._size} bytes of values and holds {stored}",
                hint="write it again with numpy.savez",
            )

    def item(self, index: int) -> np.ndarray:
        with _damage(self.path):
            if not self._fortran and self._size > HELD_BYTES:
                return self._streamed(index)
            if self._values is None:
                self._values = self.whole()
            item: np.ndarray = self._values[index]
            return item

    def whole(self) -> np.ndarray:
        """All of the array."""
        check_decoded(self._size, f"{self.path}: {self.key!r}", most=MOST_OF_VOLUME)
        with _damage(self.path), np.load(self.path, allow_pickle=False) as archive:
            values: np.ndarray = archive[self.key]
            return values

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_values": None, "_process": None}

    def _streamed(self, index: int) -> np.ndarray:
        if self._file is None or self._process != os.getpid():  # a forked process must not share the position
            self._file = zipfile.ZipFile(self.path).open(f"{self.key}.npy")  # noqa: SIM115 - open for the next item
            self._process = os.getpid()
        size = self.dtype.itemsize * math.prod(self.shape[1:])
        self._file.seek(self._start + index * size)
        return np.frombuffer(self._file.read(size), self.dtype).reshape(self.shape[1:])


def _damage(path: Path) -> AbstractContextManager[None]:
    return damage_of(path, f"cannot read {path} as .npz", hint="write it again with numpy.savez, numbers only")
