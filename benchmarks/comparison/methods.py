"""The resampling methods that coverage.py compares: each turns the draws of one study into a 95% interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from acrank.comparison.resampling import statistics_of_counts

Floats = NDArray[np.float64]
Parts = dict[str, slice]
TAIL = 0.025


@dataclass(frozen=True)
class Draws:
    """The value of a statistic on one study, and its values on each kind of resamples."""

    n: int
    value: float
    bootstrap: Floats
    jackknife: Floats
    halves: Floats

    @classmethod
    def of(cls, values: Floats, parts: Parts, n: int) -> Draws:
        """Split the values of all rows of counts by kind of resample; undefined resamples are dropped."""
        kinds = {name: values[where][np.isfinite(values[where])] for name, where in parts.items()}
        return cls(n, float(values[0]), kinds["bootstrap"], kinds["jackknife"], kinds["halves"])


def draw_counts(rng: np.random.Generator, n: int, resamples: int) -> tuple[NDArray[np.float32], Parts]:
    """All models once, then bootstrap samples, samples without one model, and halves without replacement."""
    whole = np.ones((1, n))
    bootstrap = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    jackknife = 1 - np.eye(n)
    sizes = np.where(np.arange(resamples) % 2 == 0, n // 2, n - n // 2)
    halves = rng.random((resamples, n)).argsort(axis=1).argsort(axis=1) < sizes[:, None]
    counts = np.concatenate([whole, bootstrap, jackknife, halves]).astype(np.float32)
    ends = np.cumsum([1, resamples, n, resamples])
    names = ("bootstrap", "jackknife", "halves")
    return counts, {name: slice(a, b) for name, a, b in zip(names, ends, ends[1:], strict=False)}


def percentile(draws: Draws) -> tuple[float, float]:
    return _quantiles(draws.bootstrap, TAIL, 1 - TAIL)


def basic(draws: Draws) -> tuple[float, float]:
    low, high = _quantiles(draws.bootstrap, TAIL, 1 - TAIL)
    return 2 * draws.value - high, 2 * draws.value - low


def bca(draws: Draws) -> tuple[float, float]:
    """Bias-corrected and accelerated (Efron 1987)."""
    below = (np.sum(draws.bootstrap < draws.value) + 0.5 * np.sum(draws.bootstrap == draws.value) + 0.5) / (
        len(draws.bootstrap) + 1
    )
    bias = stats.norm.ppf(below)
    spread = draws.jackknife.mean() - draws.jackknife
    cubes = (spread**2).sum() ** 1.5
    acceleration = (spread**3).sum() / (6 * cubes) if cubes > 0 else 0.0
    z = bias + stats.norm.ppf([TAIL, 1 - TAIL])
    low, high = stats.norm.cdf(bias + z / (1 - acceleration * z))
    return _quantiles(draws.bootstrap, low, high)


def bootstrap_t_of_se(draws: Draws) -> tuple[float, float]:
    return _around(draws.value, draws.bootstrap.std(ddof=1), draws.n - 2)


def bootstrap_z(draws: Draws) -> tuple[float, float]:
    return _on_z(draws, _z(draws.bootstrap, draws.n).std(ddof=1), np.inf)


def bootstrap_z_t(draws: Draws) -> tuple[float, float]:
    return _on_z(draws, _z(draws.bootstrap, draws.n).std(ddof=1), draws.n - 2)


def jackknife(draws: Draws) -> tuple[float, float]:
    return _around(draws.value, _jackknife_se(draws.jackknife), np.inf)


def jackknife_t(draws: Draws) -> tuple[float, float]:
    return _around(draws.value, _jackknife_se(draws.jackknife), draws.n - 2)


def jackknife_z(draws: Draws) -> tuple[float, float]:
    return _on_z(draws, _jackknife_se(_z(draws.jackknife, draws.n)), np.inf)


def jackknife_z_t(draws: Draws) -> tuple[float, float]:
    return _on_z(draws, _jackknife_se(_z(draws.jackknife, draws.n)), draws.n - 2)


def halves_basic(draws: Draws) -> tuple[float, float]:
    """Half of the models drawn without replacement: no ties, and the right spread without rescaling."""
    low, high = _quantiles(draws.halves - draws.halves.mean(), TAIL, 1 - TAIL)
    return draws.value - high, draws.value - low


def halves_percentile(draws: Draws) -> tuple[float, float]:
    low, high = _quantiles(draws.halves - draws.halves.mean(), TAIL, 1 - TAIL)
    return draws.value + low, draws.value + high


def halves_z_t(draws: Draws) -> tuple[float, float]:
    return _on_z(draws, _z(draws.halves, draws.n / 2).std(ddof=1), draws.n - 2)


def null_z(draws: Draws) -> tuple[float, float]:
    """Fisher's z with the standard deviation of unrelated rankings of this length."""
    return _on_z(draws, _null_sd(draws.n), np.inf)


def pooled_z_t(draws: Draws) -> tuple[float, float]:
    """Fisher's z; variance is the mean of the jackknife's and of unrelated rankings'."""
    own = _jackknife_se(_z(draws.jackknife, draws.n))
    return _on_z(draws, float(np.sqrt((own**2 + _null_sd(draws.n) ** 2) / 2)), np.inf)


INTERVALS: dict[str, Callable[[Draws], tuple[float, float]]] = {
    "percentile": percentile,
    "basic": basic,
    "BCa": bca,
    "bootstrap se, t": bootstrap_t_of_se,
    "bootstrap se on Fisher z": bootstrap_z,
    "bootstrap se on Fisher z, t": bootstrap_z_t,
    "jackknife": jackknife,
    "jackknife, t": jackknife_t,
    "jackknife on Fisher z": jackknife_z,
    "jackknife on Fisher z, t": jackknife_z_t,
    "half samples": halves_basic,
    "half samples, percentile": halves_percentile,
    "half samples on Fisher z, t": halves_z_t,
    "permutation se on Fisher z": null_z,
    "jackknife and permutation on Fisher z": pooled_z_t,
}
DIFFERENCES = {
    name: INTERVALS[name]
    for name in ("percentile", "basic", "BCa", "bootstrap se, t", "jackknife", "jackknife, t", "half samples")
}


def _quantiles(values: Floats, low: float, high: float) -> tuple[float, float]:
    a, b = np.quantile(values, [low, high])
    return float(a), float(b)


def _around(middle: float, se: float, freedom: float) -> tuple[float, float]:
    reach = _student(freedom) * se
    return middle - reach, middle + reach


def _on_z(draws: Draws, se: float, freedom: float) -> tuple[float, float]:
    low, high = _around(float(_z(np.array(draws.value), draws.n)), se, freedom)
    return float(np.tanh(low)), 1.0 if draws.value >= 1 else float(np.tanh(high))


def _z(values: Floats, n: float) -> Floats:
    return np.arctanh(np.clip(values, -1, 1) * (1 - 1 / n**2))


def _jackknife_se(values: Floats) -> float:
    n = len(values)
    return float(np.sqrt((n - 1) * values.var()))


@cache
def _student(freedom: float) -> float:
    return float(stats.t.ppf(1 - TAIL, freedom))


@cache
def _null_sd(n: int) -> float:
    """Standard deviation of z(weighted tau) over 5,000 pairs of unrelated rankings."""
    rng = np.random.default_rng(n)
    once = np.ones((1, n), np.float32)
    taus = [statistics_of_counts(*rng.normal(size=(2, n)), once)["weighted_tau"][0] for _ in range(5000)]
    return float(_z(np.array(taus), n).std())
