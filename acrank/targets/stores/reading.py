"""Reading files of a data set: what they declare is held against a bound, and damage becomes one error line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acrank.errors import AcrankError, TargetError
from acrank.system.bounds import MOST_OF_ONE, check_fits, check_regular
from acrank.system.files import open_regular

#: The most images that a target may hold.
MOST_ITEMS = 5_000_000
#: The most that one image may take while it is decoded, with its copies.
MOST_OF_IMAGE = 5 * 2**28
#: The most that one volume, or an array that is read whole, may take.
MOST_OF_VOLUME = 2 * 2**30
#: Less is not worth a look at what is free.
_SMALL = 64 * 2**20


def check_decoded(needed: int, what: str, *, most: int) -> None:
    """Hold what a file declares against a bound and, where it is much, against what is free.

    Args:
        needed: bytes, 0 or more.
        what: would take them, as the subject of a sentence.
        most: the bound.

    Raises:
        TargetError: it is more.

    Example:
        >>> check_decoded(3 * 2**30, "scan.nii", most=MOST_OF_VOLUME)
        Traceback (most recent call last):
        ...
        acrank.errors.TargetError: scan.nii would take 3.0 GiB, more than 2.0 GiB
    """
    if needed > _SMALL:
        check_fits(needed, what, TargetError, most=most)


def check_count(count: int, where: str) -> None:
    """Refuse more images than a target may hold.

    Raises:
        TargetError: there are more than MOST_ITEMS.
    """
    if count > MOST_ITEMS:
        raise TargetError(f"{where} has {count:,} images, more than {MOST_ITEMS:,}", hint="give a part of them")


@contextmanager
def damage_of(path: Path, message: str, *, hint: str) -> Iterator[None]:
    """Whatever a library raises on a damaged file becomes a TargetError; MemoryError passes.

    Args:
        path: of the file; what is no ordinary file is refused.
        message: what could not be done; the reason follows a colon.
        hint: what to do.

    Raises:
        TargetError: the file is damaged, or no ordinary file.
    """
    check_regular(path, TargetError)
    try:
        yield
    except (AcrankError, MemoryError):
        raise
    except Exception as error:  # damaged files make libraries raise nearly anything
        raise TargetError(f"{message}: {error or type(error).__name__}", hint=hint) from error


def read_stored(path: Path) -> bytes:
    """All bytes of an ordinary file.

    Raises:
        TargetError: it cannot be read, or is larger than MOST_OF_ONE.
    """
    check_regular(path, TargetError)
    try:
        with open_regular(path) as file:
            check_decoded(os.fstat(file.fileno()).st_size, str(path), most=MOST_OF_ONE)
            return file.read()
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
