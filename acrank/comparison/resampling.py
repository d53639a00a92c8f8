"""The bootstrap: resampled models, every statistic on all resamples at once, and percentile intervals.

A resample is a row of counts: how often it holds each model. Bootstrap samples, jackknife samples (one count is 0) and
subsamples (counts 0 or 1) are all rows of counts, and every pair statistic is then one matrix product with the [n, n]
matrix of pair signs: exact, O(B n^2) in BLAS instead of B sorts in Python. 1,000 resamples of 1,000 models take about
a tenth of a second.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acrank.comparison.statistics import Floats

Counts = NDArray[np.float32]

#: Weighted tau of the negated score.
FLIPPED = "flipped_weighted_tau"
TAUS = ("weighted_tau", "weighted_tau_truth_ranked", "kendall_tau")
CORRELATIONS = (*TAUS, "spearman", "pearson")
CONFIDENCE = 0.95

#: Most entries of a [resamples, models] block and of a block of the pair matrix: bounds the memory.
_BLOCK = 1_000_000


def top_names(k: int) -> tuple[str, str, str]:
    """Names of the three figures about the top k.

    >>> top_names(1)
    ('top_1_hit', 'rel_at_1', 'regret_at_1')
    """
    return f"top_{k}_hit", f"rel_at_{k}", f"regret_at_{k}"


def bootstrap_counts(
    datasets: Iterable[list[str]], resamples: int, seed: int, *, clusters: Mapping[str, str] | None = None
) -> list[Counts]:
    """Bootstrap samples of every dataset's models: [resamples, n] float32 counts per dataset.

    A model of several datasets is drawn equally often in all of them, so that averages over datasets and differences
    keep what the datasets share. Datasets without common models are drawn independently.

    Args:
        datasets: names of each dataset's models.
        resamples: number of samples.
        seed: of the samples.
        clusters: model -> its cluster of near-copies, which are drawn together; a model without one is its own.

    Example:
        >>> one, two = bootstrap_counts([["a", "b", "c"], ["c", "a"]], resamples=100, seed=0)
        >>> one.shape, bool((one[:, 2] == two[:, 0]).all())
        ((100, 3), True)
    """
    known = clusters or {}
    wanted = [[known.get(model, model) for model in models] for models in datasets]
    drawn: dict[str, Counts] = {}
    for group in _connected(wanted):
        models = sorted(group)
        rng = np.random.default_rng([seed, zlib.crc32("\n".join(models).encode())])
        counts = rng.multinomial(len(models), np.full(len(models), 1 / len(models)), size=resamples)
        drawn.update(zip(models, counts.astype(np.float32).T, strict=True))
    empty = np.zeros((resamples, 0), np.float32)
    return [np.stack([drawn[model] for model in models], axis=1) if models else empty for models in wanted]


def _connected(datasets: list[list[str]]) -> list[set[str]]:
    """Groups of models that share a dataset, directly or through other models."""
    groups: list[set[str]] = []
    for models in datasets:
        if models:
            joined = [group for group in groups if not group.isdisjoint(models)]
            groups = [*(group for group in groups if group.isdisjoint(models)), set(models).union(*joined)]
    return groups


def interval(draws: Floats) -> tuple[float, float] | None:
    """The 95% percentile interval; None if at least half of the resamples have no value.

    Its coverage is the nearest to 95% among fifteen methods, over the three taus and over differences; it is too narrow
    for Pearson's correlation below 20 models and for the top-k figures, which jump (benchmarks/comparison/coverage.md).

    >>> low, high = interval(np.arange(1001.0))
    >>> round(low, 6), round(high, 6)
    (25.0, 975.0)
    """
    known = draws[np.isfinite(draws)]
    if 2 * len(known) <= len(draws):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def statistics_of_counts(score: Floats, truth: Floats, counts: Counts, *, top: Sequence[int] = ()) -> dict[str, Floats]:
    """The correlations and the top-k figures of every resample.

    Args:
        score: [n], higher is better, no NaN.
        truth: [n], higher is better, no NaN.
        counts: [B, n] float32 whole numbers, how often each resample holds each model.
        top: the k of the top-k figures.

    Returns:
        name -> [B] float64; NaN where the statistic is undefined (see `acrank.comparison.statistics`).

    Example:
        >>> x, y = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])
        >>> statistics_of_counts(x, y, np.ones((1, 4), np.float32))["kendall_tau"].round(4)
        array([0.6667])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        step = max(1, _BLOCK // len(score))
        parts = [_block(score, truth, counts[i : i + step], top=top) for i in range(0, len(counts), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True)
class _Pairs:
    """For every model a, sums over the members b of each resample: [B, n] each."""

    signs: Floats  # sgn(x_a - x_b) sgn(y_a - y_b)
    score: Floats  # x_b == x_a
    truth: Floats  # y_b == y_a


def _block(score: Floats, truth: Floats, counts: Counts, *, top: Sequence[int]) -> dict[str, Floats]:
    exact = counts.astype(np.float64)
    pairs = _pairs(score, truth, counts)
    by_score = _tau(_rank_weights(exact, np.lexsort((truth, score))), pairs, exact)
    by_truth = _tau(_rank_weights(exact, np.lexsort((score, truth))), pairs, exact)
    found = {
        "weighted_tau": (by_score + by_truth) / 2,
        "weighted_tau_truth_ranked": by_truth,
        "kendall_tau": _tau(exact, pairs, exact),
        "spearman": _pearson(_ranks(score, exact), _ranks(truth, exact), exact),
        "pearson": _linear(score, truth, exact),
    }
    # a negated score reverses every pair's sign and the ranks by score; ranks by truth change only within ties
    reversed_ = replace(pairs, signs=-pairs.signs)
    by_flipped = _tau(_rank_weights(exact, np.lexsort((truth, -score))), reversed_, exact)
    by_truth = _tau(_rank_weights(exact, np.lexsort((-score, truth))), reversed_, exact)
    found[FLIPPED] = (by_flipped + by_truth) / 2
    undefined = np.isnan(found["kendall_tau"])
    for k in top:
        for name, values in zip(top_names(k), _top(score, truth, exact, k=k), strict=True):
            found[name] = np.where(undefined, np.nan, values)
    return found


def _pairs(score: Floats, truth: Floats, counts: Counts) -> _Pairs:
    n = len(score)
    out = _Pairs(*(np.empty(counts.shape) for _ in range(3)))
    step = max(1, _BLOCK // n)
    for i in range(0, n, step):
        here = slice(i, i + step)
        dx, dy = (np.sign(column[:, None] - column[None, here]) for column in (_order(score), _order(truth)))
        out.signs[:, here] = counts @ (dx * dy)
        out.score[:, here] = counts @ (dx == 0).astype(np.float32)
        out.truth[:, here] = counts @ (dy == 0).astype(np.float32)
    return out


def _order(column: Floats) -> NDArray[np.float32]:
    """Dense ranks: the signs of differences stay, also between infinite values, and are exact in float32."""
    return np.unique(column, return_inverse=True)[1].astype(np.float32)


def _rank_weights(counts: Floats, ascending: NDArray[np.intp]) -> Floats:
    """Sum of 1/(1+r) over the copies of each model; r is its rank within the resample, from 0 for the best."""
    best_first = ascending[::-1]
    ends = np.cumsum(counts[:, best_first], axis=1).astype(np.intp)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ends[:, -1].max() + 1))])
    sums = np.diff(harmonic[ends], axis=1, prepend=0.0)
    weights = np.empty_like(sums)
    weights[:, best_first] = sums
    return weights


def _tau(weights: Floats, pairs: _Pairs, counts: Floats) -> Floats:
    """Kendall's tau in which a pair weighs the sum of its members' weights; tied pairs are left out."""
    size = counts.sum(axis=1, keepdims=True)
    untied_score = (weights * (size - pairs.score)).sum(axis=1)
    untied_truth = (weights * (size - pairs.truth)).sum(axis=1)
    value = (weights * pairs.signs).sum(axis=1) / np.sqrt(untied_score * untied_truth)
    return np.clip(np.where((untied_score > 0) & (untied_truth > 0), value, np.nan), -1.0, 1.0)


def _ranks(column: Floats, counts: Floats) -> Floats:
    """Mean rank of every model within each resample: [B, n]."""
    level = np.unique(column, return_inverse=True)[1]
    order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks: Floats = np.cumsum(sizes, axis=1) - sizes / 2 + 0.5
    return ranks[:, level]


def _linear(score: Floats, truth: Floats, counts: Floats) -> Floats:
    if not (np.isfinite(score).all() and np.isfinite(truth).all()):
        return np.full(len(counts), np.nan)
    return _pearson(_scaled(score)[None], _scaled(truth)[None], counts)


def _scaled(column: Floats) -> Floats:
    column = column / max(np.abs(column).max(), np.finfo(float).tiny)
    centred: Floats = column - column.mean()
    return centred / float(max(np.abs(centred).max(), np.finfo(float).tiny))


def _pearson(x: Floats, y: Floats, counts: Floats) -> Floats:
    size = counts.sum(axis=1, keepdims=True)
    dx, dy = (column - (counts * column).sum(axis=1, keepdims=True) / size for column in (x, y))
    sxx, syy, sxy = ((counts * a * b).sum(axis=1) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    rounding = 1e-24 * size[:, 0] ** 3  # a constant resample leaves only rounding errors
    value = sxy / np.sqrt(sxx * syy)
    return np.clip(np.where((sxx > rounding) & (syy > rounding), value, np.nan), -1.0, 1.0)


def _top(score: Floats, truth: Floats, counts: Floats, *, k: int) -> tuple[Floats, Floats, Floats]:
    """Hit, Rel@k and regret of every resample; ties are broken against the score."""
    order = np.lexsort((truth, -score))
    here = counts[:, order]
    before = np.cumsum(here, axis=1) - here
    sorted_truth = truth[order]
    reached = np.where((here > 0) & (before < k), sorted_truth, -np.inf).max(axis=1)
    best = np.where(here > 0, sorted_truth, -np.inf).max(axis=1)
    relative = np.where(best > 0, reached / best, np.nan)
    return (reached == best).astype(np.float64), relative, best - reached
