"""Targets as .npz files: MedMNIST's keys (train_images, train_labels, ...), images and labels, or named keys."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.arrays import open_arrays
from acrank.targets.target import Options, Target

LAYOUT = "npz"
USES = frozenset({"images_key", "labels_key", "split", "task", "intensity", "slices"})

#: Arrays up to this size are held in memory once an image is read; of larger ones only single images are.
HELD_BYTES = 512 * 2**20
_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError)


def open_npz(path: Path, options: Options) -> Target:
    """Open arrays [N, H, W], [N, H, W, C] or [N, C, H, W] with labels [N], [N, 1] or [N, k].

    Without keys: MedMNIST's `train_images` and `train_labels` (also val and test), or `images` and `labels`.
    No image is read before it is asked for; nothing is ever unpickled.

    Raises:
        TargetError: not an .npz file, keys not found, or arrays that do not fit together.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    return open_arrays(
        path,
        options,
        layout=LAYOUT,
        keys=keys,
        array=lambda key: ZippedArray(path, key),
        labels=lambda key: _whole(path, key),
    )


class ZippedArray:
    """One array of an .npz file, read item by item; shape [N, ...] and dtype are known without reading it.

    Reading ascending indices of a large compressed array passes over it once; going back starts over.

    Raises:
        TargetError: the array holds Python objects, or the file is damaged.
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
        """The item at `index` along the first axis.

        Raises:
            TargetError: the file is damaged.
        """
        try:
            return self._held()[index] if self._holds() else self._passing(index)
        except _DAMAGE as error:
            raise _damaged(self.path, error) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_values": None, "_process": None}

    def _holds(self) -> bool:
        return self._fortran or self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64)) <= HELD_BYTES

    def _held(self) -> np.ndarray:
        if self._values is None:
            self._values = _whole(self.path, self.key)
        return self._values

    def _passing(self, index: int) -> np.ndarray:
        if self._file is None or self._process != os.getpid():  # a forked process must not share the position
            self._file = zipfile.ZipFile(self.path).open(f"{self.key}.npy")  # noqa: SIM115 - open for the next item
            self._process = os.getpid()
        size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        self._file.seek(self._start + index * size)
        return np.frombuffer(self._file.read(size), self.dtype).reshape(self.shape[1:])


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"array format {version} is not one of plain numbers")


def _whole(path: Path, key: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[key]
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> TargetError:
    return TargetError(f"cannot read {path} as .npz: {error}", hint="write it again with numpy.savez, numbers only")
