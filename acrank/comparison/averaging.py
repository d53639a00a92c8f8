"""A score averaged over datasets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acrank.comparison.intervals import estimate
from acrank.comparison.results import Estimate, Measured, Result

Floats = NDArray[np.float64]


def averages(measured: Sequence[Measured]) -> list[Result]:
    """Every score and baseline averaged over the datasets where it is defined, each dataset counting once.

    The draws of all datasets come from the same resampled models, so the interval knows what they share.
    """
    keys = dict.fromkeys((found.result.score, found.result.kind) for found in measured)
    return [_average([m for m in measured if (m.result.score, m.result.kind) == key]) for key in keys]


def _average(found: list[Measured]) -> Result:
    first = found[0].result
    defined = [item for item in found if item.draws]
    figures = {name: _mean_of(name, defined) for name in first.figures}
    paired = [item for item in defined if item.result.difference.value is not None]
    flips = [item.result.flipped for item in defined if item.result.flipped is not None]
    return Result(
        f"mean of {len(defined)}",
        first.score,
        first.kind,
        first.higher_is_better,
        sum(item.result.n for item in defined),
        figures,
        versus=paired[0].result.versus if paired else "",
        difference=_mean([(item.result.difference.value, item.draws["difference"]) for item in paired]),
        flipped=float(np.mean(flips)) if flips else None,
        flip_gain=_mean([(item.result.flip_gain.value, item.draws["flip_gain"]) for item in defined if flips]),
        reason=_left_out(found, defined),
    )


def _mean_of(name: str, found: list[Measured]) -> Estimate:
    return _mean([(item.result.figures[name].value, item.draws[name]) for item in found])


def _mean(parts: Sequence[tuple[float | None, Floats]]) -> Estimate:
    """Mean value, with the interval of the mean of the draws; datasets without a value are left out."""
    known = [(value, draws) for value, draws in parts if value is not None]
    if not known:
        return Estimate(None)
    stacked = np.stack([draws for _, draws in known])
    there = np.isfinite(stacked)
    with np.errstate(invalid="ignore"):
        draws = np.where(there, stacked, 0.0).sum(axis=0) / there.sum(axis=0)
    return estimate(float(np.mean([value for value, _ in known])), draws)


def _left_out(found: list[Measured], defined: list[Measured]) -> str:
    names = [item.result.dataset for item in found if item not in defined]
    return f"undefined on {', '.join(names)}" if names else ""
