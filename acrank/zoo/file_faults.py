"""Faults of foreign files that the libraries which read them do not foresee: one file's never end the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acrank.errors import CandidateError
from acrank.system.machine import reason_of
from acrank.zoo.payload import RESAVE

#: What torch and its like raise where they lack an operation on the data of a file; faults of acrank's own, such as a
#: missing attribute or a broken assertion, are others.
_FOREIGN = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError)


@contextmanager
def blamed_on(what: Path | str) -> Iterator[None]:
    """Inside this context what a library cannot do with a file's data is an error of that file.

    Raises:
        CandidateError: the library failed.

    >>> with blamed_on(Path("w.pth")):
    ...     raise NotImplementedError("no sum of 4 bits")
    Traceback (most recent call last):
    ...
    acrank.errors.CandidateError: w.pth cannot be used: NotImplementedError: no sum of 4 bits
    """
    try:
        yield
    except _FOREIGN as error:
        raise CandidateError(f"{what} cannot be used: {reason_of(error)}", hint=RESAVE) from error
