"""Every error that acrank raises on purpose, with the exit code that the command line gives it.

AcrankError                      4   anything below; alone: a broken promise inside acrank
├── UsageError                   2   what was asked for cannot be done as asked
│   ├── ManifestError            2   model_zoo.yaml is not valid
│   ├── TableError               2   a score table, truth table or run record is not valid
│   ├── GatesError               2   gates.yaml is not valid
│   ├── OutputError              2   an output path cannot be written
│   └── MissingExtraError        2   an optional dependency is not installed
├── TargetError                  3   the target data cannot be used
│   └── NoSplitError             3   the target has no split of the name asked for, or several
├── CandidateError               3   one candidate cannot be loaded or scored (a skipped row within a run)
├── NothingRankedError           3   every candidate was skipped
└── UndefinedScoreError          4   a score has no value on a sample (a note on the row within a run)
"""

from __future__ import annotations

from typing import Any


class AcrankError(Exception):
    """An expected failure: `message` says what and where, `hint` what to do instead.

    >>> str(TargetError("no images in ./target", hint="point --data at a folder with one folder per class"))
    'no images in ./target'
    """

    exit_code = 4

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AcrankError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class ManifestError(UsageError):
    """The zoo manifest is not valid."""


class TableError(UsageError):
    """A score table, truth table or run record is not valid."""


class GatesError(UsageError):
    """The gates file is not valid."""


class OutputError(UsageError):
    """An output path cannot be written."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the hint names the extra."""


class TargetError(AcrankError):
    """The target data cannot be used; raised `from` the reader's exception where a file is damaged (`is_damage`)."""

    exit_code = 3


class NoSplitError(TargetError):
    """A target has no split of a name, or several of its meaning."""


class CandidateError(AcrankError):
    """One candidate cannot be loaded or scored; within a run it becomes a skipped row."""

    exit_code = 3


class NothingRankedError(AcrankError):
    """Every candidate was skipped: `result`, a ranking or results of finetuning, has the reasons."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str | None = None, result: Any = None) -> None:
        super().__init__(message, hint=hint)
        self.result = result


class UndefinedScoreError(AcrankError):
    """A score has no value on this sample; the message says why. Within a run it becomes a note on the row."""


def is_damage(error: TargetError) -> bool:
    """Whether an error is about one file that its reader could not decode, rather than about what the target means.

    >>> is_damage(TargetError("a mask holds 3"))
    False
    """
    return isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, AcrankError)
