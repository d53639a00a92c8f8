"""One score over the draws: mean, deviation and interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acrank.records import Value
from acrank.scores.evaluate import Evaluation


def value_of(found: Sequence[Evaluation], **controls: float | None) -> Value:
    """Mean, deviation and Student's 95% interval of one score over the draws, with its notes and controls.

    >>> value_of([Evaluation(1.0), Evaluation(3.0)]).value
    2.0
    """
    notes = "; ".join(dict.fromkeys(note for one in found for note in one.notes)) or None
    values = [one.value for one in found if one.value is not None]
    if not values:
        return Value(None, note=notes)
    mean, sd, low, high = _interval(values)
    return Value(value=mean, sd=sd, low=low, high=high, **controls, note=notes)


def mean_of(found: Sequence[Evaluation]) -> float | None:
    """The mean over the draws that have a value; None where none has."""
    values = [one.value for one in found if one.value is not None]
    return float(np.mean(values)) if values else None


def _interval(values: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Mean, deviation (ddof 1) and Student's 95% interval of the mean; None with a single value."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None, None
    sd = float(np.std(values, ddof=1))
    reach = float(t.ppf(0.975, len(values) - 1)) * sd / len(values) ** 0.5
    return mean, sd, mean - reach, mean + reach
