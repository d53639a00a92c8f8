"""What a user chooses about short trainings, and what is fixed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from acrank.errors import TargetError, UsageError
from acrank.finetuning.tasks import METRICS
from acrank.system.option_fields import Opt, check_options

#: Candidates that are trained where `--refine` names no number.
USUAL = 5
#: The first round chooses one of these for each candidate.
RATES = (0.1, 0.03, 0.01)
#: A training of the first round has at least so many epochs, and steps; each later round has twice the epochs.
LEAST_EPOCHS, LEAST_STEPS = 2, 20
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(s|min|m|h)?")


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """How many candidates of a ranking are trained, and for how long.

    Attributes:
        refine: the first so many of the ranking, and what else is in its leading band, up to twice as many; None for
            none.
        refine_budget: the most time that trainings may take, as "90s", "10m" or "1.5h"; None sets no limit.

    Raises:
        UsageError: a value out of range, or a budget without a number of candidates.

    Example:
        >>> RefineSettings(refine=3, refine_budget="10m").seconds
        600.0
    """

    PANEL: ClassVar = "Training"

    refine: Annotated[
        int | None,
        Opt(
            help=f"Then train the first K for a few epochs; the better half goes on. [alone: {USUAL}]",
            least=1,
            most=1000,
            metavar="[K]",
            alone=str(USUAL),
        ),
    ] = None
    refine_budget: Annotated[
        str | None, Opt(help="Most time for --refine, such as 90s, 10m or 1h. [no limit]", metavar="TIME")
    ] = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.refine_budget is not None and self.refine is None:
            raise UsageError("--refine-budget is for --refine", hint=f"add --refine {USUAL}")
        _ = self.seconds  # refuses what is no duration

    @property
    def seconds(self) -> float | None:
        """The budget; None for no limit."""
        return None if self.refine_budget is None else seconds_of(self.refine_budget)

    def record(self) -> dict[str, Any]:
        """Plain data for the run record."""
        return {"candidates": self.refine, "budget": self.refine_budget, "rates": list(RATES)}


def seconds_of(duration: str) -> float:
    """The seconds of a duration in seconds, minutes or hours.

    Raises:
        UsageError: it is none, or zero.

    Example:
        >>> seconds_of("90"), seconds_of("90s"), seconds_of("1.5 m"), seconds_of("2h")
        (90.0, 90.0, 90.0, 7200.0)
    """
    found = _DURATION.fullmatch(duration.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2] or ""] if found else 0.0
    if seconds <= 0:
        raise UsageError(f"--refine-budget is a time, got {duration!r}", hint="such as 90s, 10m or 1h")
    return seconds


def check_task(task: str) -> None:
    """Refuse a target whose task cannot be trained for.

    Raises:
        TargetError: the task has no finetuning.
    """
    if task not in METRICS:
        raise TargetError(f"--refine does not support {task} targets", hint="give one class per image, or masks")
