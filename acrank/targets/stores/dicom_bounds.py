"""A bound on what a deflated DICOM file unfolds to, held before pydicom reads it."""

from __future__ import annotations

import zlib
from pathlib import Path

from acrank.errors import TargetError
from acrank.system.bounds import in_words
from acrank.system.files import open_regular

#: A deflated file holds no more bytes once it is inflated; pydicom has them twice.
_MOST_INFLATED = 5 * 2**27


def check_inflated(path: Path, start: int) -> None:
    """Refuse a deflated file that would take more than the bound, by inflating it piece by piece from `start` on.

    Raises:
        TargetError: it would.
        zlib.error: there are no deflated bytes from `start` on.
    """
    packer, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with open_regular(path) as file:
        file.seek(start)
        while piece := file.read(2**16):
            while piece:
                size += len(packer.decompress(piece, 2**20))
                piece = packer.unconsumed_tail
                if size > _MOST_INFLATED:
                    text = f"{path} would take more than {in_words(_MOST_INFLATED)} once inflated"
                    raise TargetError(text, hint="is it damaged? else write it without compression")
