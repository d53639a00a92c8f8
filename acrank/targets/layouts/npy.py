"""Targets as .npy files: one array of images, with the labels in another file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.arrays import ArrayFile, refuse_odd_dtype
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded

NAME = "npy"
_KEY = "array"
_LONGEST = 10_000  # bytes of a header, as numpy has it


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


def array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first axis varies fastest, and dtype of an array in numpy's format, which follows in `file`.

    Raises:
        ValueError: it is of another format, its header is too long, or its shape cannot be.
    """
    readers = {
        (1, 0): (2, np.lib.format.read_array_header_1_0),
        (2, 0): (4, np.lib.format.read_array_header_2_0),
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"array format {version} is not one of plain numbers")
    digits, reader = readers[version]
    length = file.read(digits)
    size = int.from_bytes(length, "little")
    if size > _LONGEST:  # numpy would read it all before it refuses it
        raise ValueError(f"its header declares {size:,} bytes")
    shape, fortran, dtype = reader(io.BytesIO(length + file.read(size)))
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError(f"an array of shape {list(shape)}")
    return shape, fortran, dtype


def _whole(path: Path) -> np.ndarray:
    values = _opened(path)
    check_decoded(values.nbytes, str(path), most=MOST_OF_VOLUME)
    return np.array(values)


def _opened(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            array_header(file)
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TargetError(f"cannot read {path} as .npy: {error}", hint="write it again with numpy.save") from error
    refuse_odd_dtype(values.dtype, str(path))
    return values
