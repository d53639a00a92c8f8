"""Bounds on what pydicom reads: the fields of a file, and what a deflated one unfolds to."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import BinaryIO

from acrank.errors import TargetError
from acrank.system.bounds import in_words

#: A deflated file holds no more bytes once it is inflated.
_MOST_INFLATED = 5 * 2**27
#: pydicom reads a field in one to three pieces, some 400,000 a second; three thousand frames in one file, each with its
#: own position and window, take about 300,000.
_MOST_READS = 1_000_000


class BoundedReads:
    """A binary file that is read in so many pieces at most, so that no file of endless fields is read for minutes.

    Args:
        file: opened for reading.
        path: for the error.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path, self._reads = file, path, 0

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes.

        Raises:
            TargetError: it was read too often.
        """
        self._reads += 1
        if self._reads > _MOST_READS:
            raise TargetError(
                f"{self._path} has too many fields for a DICOM image", hint="is it damaged? then leave it out"
            )
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As a file does."""
        return self._file.tell()


def inflated(file: BinaryIO, path: Path) -> io.BytesIO:
    """What deflated bytes unfold to, from the file's place on.

    Raises:
        TargetError: it would take more than the bound.
        zlib.error: there are no deflated bytes.
    """
    packer, found = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    while piece := file.read(2**16):
        while piece:
            found.write(packer.decompress(piece, 2**20))
            piece = packer.unconsumed_tail
            if found.tell() > _MOST_INFLATED:
                text = f"{path} would take more than {in_words(_MOST_INFLATED)} once inflated"
                raise TargetError(text, hint="is it damaged? else write it without compression")
    found.seek(0)
    return found
