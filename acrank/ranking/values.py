"""One score over the draws: mean, deviation and comparison interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from acrank.records import Value
from acrank.records.score_value import COMPARISON, joint_deviation
from acrank.scores import SCORES
from acrank.scores.evaluate import Evaluation


def value_of(
    found: Sequence[Evaluation],
    deviations: Sequence[float | None] = (),
    *,
    worth: float | None = None,
    limits: tuple[float | None, float | None] = (None, None),
    **controls: float | None,
) -> Value:
    """Mean, deviation and comparison interval of one score over the draws, with its notes and controls.

    Args:
        found: the score on each draw.
        deviations: between draws, as estimated from the images of each, see `acrank.scores.draw_deviation`; where one
            is missing, the interval comes from the draws themselves, if there are several.
        worth: how many independent draws those that have a value are worth; their number, where they share no images.
        limits: of the score's range, which the interval keeps to; None where there is none.
        controls: of the value.

    >>> value_of([Evaluation(1.0), Evaluation(3.0)]).value
    2.0
    """
    notes = "; ".join(dict.fromkeys(note for one in found for note in one.notes)) or None
    values = [one.value for one in found if one.value is not None]
    if not values:
        return Value(None, note=notes)
    mean, count = float(np.mean(values)), len(values)
    sd = float(np.std(values, ddof=1)) if count > 1 else None
    reach = None
    if (deviation := joint_deviation([one.value for one in found], deviations)) is not None:
        reach = comparison_reach(deviation / math.sqrt(worth or count))
    elif sd is not None:
        reach = comparison_reach(sd / math.sqrt(count), freedom=count - 1)
    low, high = (None, None) if reach is None else ends_of(mean, reach, limits)
    return Value(value=mean, sd=sd, low=low, high=high, **controls, note=notes)


def ends_of(middle: float, reach: float, limits: tuple[float | None, float | None]) -> tuple[float, float]:
    """The ends of an interval around a value, within the limits.

    >>> ends_of(0.25, 0.5, (0.0, None))
    (0.0, 0.75)
    """
    low, high = middle - reach, middle + reach
    least, most = limits
    low = low if least is None else min(middle, max(least, low))  # rounding may put a value past the end of its range
    return (low, high if most is None else max(middle, min(most, high)))


def limits_of(score: str) -> tuple[float | None, float | None]:
    """The range of a score; unbounded for what is no score alone, such as the consensus.

    >>> limits_of("finetunability"), limits_of("consensus")
    ((0.0, 1.0), (None, None))
    """
    return SCORES[score].range if score in SCORES else (None, None)


def comparison_reach(error: float, freedom: int | None = None) -> float:
    """How far a comparison interval reaches: two of equal reach that just touch differ at the 5% level.

    Args:
        error: standard error of the value.
        freedom: degrees of freedom of the error; None for many: the normal distribution.

    Source: Goldstein and Healy, Journal of the Royal Statistical Society A 158 (1995), 175-177: 95% quantile / sqrt(2).

    >>> round(comparison_reach(1.0), 4)
    1.3859
    """
    if freedom is None:
        return COMPARISON * error
    from scipy.stats import t

    return float(t.ppf(0.975, freedom)) * error / math.sqrt(2)


def mean_of(found: Sequence[Evaluation]) -> float | None:
    """The mean over the draws that have a value; None where none has."""
    values = [one.value for one in found if one.value is not None]
    return float(np.mean(values)) if values else None
