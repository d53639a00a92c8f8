"""Bounds on what pydicom reads: fields, what deflated bytes unfold to, and the size of a compressed frame."""

from __future__ import annotations

import io
import struct
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
#: Markers of JPEG's and JPEG-LS's frame headers (SOF), which have the size.
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


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
            ) from ValueError("too many reads")
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
                hint = "is it damaged? else write it without compression"
                raise TargetError(text, hint=hint) from ValueError("too many bytes")
    found.seek(0)
    return found


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a compressed frame declares itself: JPEG and JPEG-LS, JPEG 2000; None for other bytes.

    Args:
        frame: from its first marker on.

    Example:
        >>> declared_size(b"\\xff\\xd8\\xff\\xc0\\x00\\x0b\\x08\\x00\\x10\\x00\\x20\\x01\\x01\\x11\\x00")
        (16, 32)
    """
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 24:  # JPEG 2000: SOC, SIZ
        right, lower, left, upper = struct.unpack_from(">LLLL", frame, 8)
        return max(0, lower - upper), max(0, right - left)
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in _FRAME_HEADERS:
            rows, columns = struct.unpack_from(">HH", frame, at + 5)
            return (int(rows), int(columns)) if rows else None  # 0: they are only told behind the first scan
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
