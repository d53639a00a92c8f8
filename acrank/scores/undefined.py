"""The error of a score that has no value on the given sample."""

from __future__ import annotations

from acrank.errors import AcrankError


class UndefinedScoreError(AcrankError):
    """The score has no value on this sample; the message says why.

    Within a run the cell stays empty and the reason becomes a note on the row.

    >>> str(UndefinedScoreError("only one class in the sample"))
    'only one class in the sample'
    """
