"""The interval around a figure, from its values on resampled models."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from acrank.comparison.resampling import Counts
from acrank.comparison.results import Estimate

Floats = NDArray[np.float64]
CONFIDENCE = 0.95


def interval(draws: Floats) -> tuple[float, float] | None:
    """The 95% percentile interval; None where more than half of the resamples have no value.

    Nearest to its 95% among fifteen methods over the three taus and over differences; too narrow for Pearson's
    correlation below 20 models, and for the top-k figures, which jump (benchmarks/comparison/coverage.md).

    >>> low, high = interval(np.arange(1001.0))
    >>> round(low, 6), round(high, 6)
    (25.0, 975.0)
    """
    known = draws[np.isfinite(draws)]
    if 2 * len(known) <= len(draws):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def estimate(value: float, draws: Floats) -> Estimate:
    """A value with its interval; nothing where the value is undefined."""
    if not np.isfinite(value):
        return Estimate(None)
    low, high = interval(draws) or (None, None)
    return Estimate(value, low, high)


def bootstrap_counts(datasets: Iterable[list[str]], resamples: int, seed: int) -> list[Counts]:
    """How often each model is in each bootstrap sample: per dataset [resamples, n] float32.

    A model that stands in several datasets is drawn equally often in all of them, so that averages over datasets and
    differences keep what the datasets share. Datasets without common models are drawn independently.

    Example:
        >>> one, two = bootstrap_counts([["a", "b", "c"], ["c", "a"]], resamples=100, seed=0)
        >>> one.shape, bool((one[:, 2] == two[:, 0]).all())
        ((100, 3), True)
    """
    wanted = list(datasets)
    drawn: dict[str, Counts] = {}
    for group in _connected(wanted):
        models = sorted(group)
        rng = np.random.default_rng([seed, zlib.crc32("\n".join(models).encode())])
        counts = rng.multinomial(len(models), np.full(len(models), 1 / len(models)), size=resamples)
        drawn.update(zip(models, counts.astype(np.float32).T, strict=True))
    empty = np.zeros((resamples, 0), np.float32)
    return [np.stack([drawn[model] for model in models], axis=1) if models else empty for models in wanted]


def _connected(datasets: list[list[str]]) -> list[set[str]]:
    """Models joined by standing in the same dataset, directly or through others."""
    groups: list[set[str]] = []
    for models in datasets:
        merged = set(models)
        apart = []
        for group in groups:
            if group & merged:
                merged |= group
            else:
                apart.append(group)
        groups = [*apart, merged] if merged else apart
    return groups
