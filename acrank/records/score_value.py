"""One score of one candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STRICT = {"extra": "forbid"}  # pydantic's reading of records: no unknown field

#: Standard errors to each side of a comparison interval, for two of equal width: the 97.5% quantile of the normal
#: distribution over sqrt(2) (Goldstein and Healy, Journal of the Royal Statistical Society A 158 (1995), 175-177).
COMPARISON = 1.3859038243496777


@dataclass(frozen=True)
class Value:
    """One score of one candidate.

    Attributes:
        value: mean over the sampled batches, or None where the score is undefined (`note` says why).
        sd: standard deviation over the batches (ddof 1); None with a single batch.
        low, high: comparison interval of the mean, 1.39 standard errors to each side: where two of about equal width
            do not overlap, they differ at the 5% level. None where there is none.
        no_drift: the same quantity before the step: what the checkpoint alone gives.
        shuffled: the same quantity when the sample's labels are permuted.
        note: why the value is None, or what to know about it.
    """

    __pydantic_config__ = STRICT

    value: float | None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    no_drift: float | None = None
    shuffled: float | None = None
    note: str | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the interval; without one, the value twice."""
        middle = math.nan if self.value is None else self.value
        return (middle if self.low is None else self.low, middle if self.high is None else self.high)

    def overlaps(self, other: Value) -> bool:
        """Whether the two intervals overlap; without intervals only equal values do."""
        (low, high), (other_low, other_high) = self.interval, other.interval
        return low <= other_high and other_low <= high


def joint_deviation(values: Sequence[float | None], deviations: Sequence[float | None]) -> float | None:
    """The root mean square of the deviations of the draws that have a value; None where one of these lacks its own.

    >>> joint_deviation([1.0, 2.0], [3.0, 4.0]), joint_deviation([1.0, 2.0], [3.0, None]), joint_deviation([1.0], [])
    (3.5355339059327378, None, None)
    """
    if len(values) != len(deviations):
        return None
    found = [one for value, one in zip(values, deviations, strict=True) if value is not None]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    return math.sqrt(math.fsum(one**2 for one in known) / len(known))
