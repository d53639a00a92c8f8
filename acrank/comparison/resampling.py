"""Every statistic on many multisets of the same models at once.

A resample is a row of counts: how often each model is in it. Bootstrap samples, jackknife samples (one count is 0) and
subsamples (counts 0 or 1) are all rows of counts, and every pair statistic is then one matrix product with the [n, n]
matrix of pair signs: exact, O(B n^2) in BLAS rather than B sorts in Python. 1,000 resamples of 1,000 models take about
a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.float32]

#: Weighted tau of the negated score.
FLIPPED = "flipped_weighted_tau"
TAUS = ("weighted_tau", "weighted_tau_truth_ranked", "kendall_tau")
CORRELATIONS = (*TAUS, "spearman", "pearson")

#: Entries of one [resamples, models] block, and of one block of the pair matrix: bounds the memory.
_BLOCK = 1_000_000


def top_names(k: int) -> tuple[str, str, str]:
    """Names of the three figures about the top k.

    >>> top_names(1)
    ('top_1_hit', 'rel_at_1', 'regret_at_1')
    """
    return f"top_{k}_hit", f"rel_at_{k}", f"regret_at_{k}"


def statistics_of_counts(score: Floats, truth: Floats, counts: Counts, *, top: Sequence[int] = ()) -> dict[str, Floats]:
    """The correlations, and the figures about each top k, of every resample.

    Args:
        score: [n], higher is better, no NaN.
        truth: [n], higher is better, no NaN.
        counts: [B, n] float32 whole numbers, how often each model is in each resample.
        top: the k of the top-k figures.

    Returns:
        name -> [B] float64; NaN where a resample orders nothing (see `acrank.comparison.statistics`).

    Example:
        >>> x, y = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])
        >>> statistics_of_counts(x, y, np.ones((1, 4), np.float32))["kendall_tau"].round(4)
        array([0.6667])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        step = max(1, _BLOCK // len(score))
        parts = [_block(score, truth, counts[i : i + step], top) for i in range(0, len(counts), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True)
class _Pairs:
    """Sums over the members b of each resample, for every model a: [B, n]."""

    signs: Floats  # sgn(x_a - x_b) sgn(y_a - y_b)
    score: Floats  # x_b == x_a
    truth: Floats  # y_b == y_a


def _block(score: Floats, truth: Floats, counts: Counts, top: Sequence[int]) -> dict[str, Floats]:
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
    # negating the score turns every pair's sign and the ranks by score; ranks by truth change only within ties
    turned = replace(pairs, signs=-pairs.signs)
    by_flipped = _tau(_rank_weights(exact, np.lexsort((truth, -score))), turned, exact)
    by_truth = _tau(_rank_weights(exact, np.lexsort((-score, truth))), turned, exact)
    found[FLIPPED] = (by_flipped + by_truth) / 2
    undefined = np.isnan(found["kendall_tau"])
    for k in top:
        for name, values in zip(top_names(k), _top(score, truth, exact, k), strict=True):
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
    """Dense ranks: differences keep their sign, also where values are infinite, and are exact in float32."""
    return np.unique(column, return_inverse=True)[1].astype(np.float32)


def _rank_weights(counts: Floats, ascending: NDArray[np.intp]) -> Floats:
    """Sum of 1/(1+r) over the copies of each model, r its ranks within the resample, the best being 0."""
    best_first = ascending[::-1]
    ends = np.cumsum(counts[:, best_first], axis=1).astype(np.intp)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ends[:, -1].max() + 1))])
    sums = np.diff(harmonic[ends], axis=1, prepend=0.0)
    weights = np.empty_like(sums)
    weights[:, best_first] = sums
    return weights


def _tau(weights: Floats, pairs: _Pairs, counts: Floats) -> Floats:
    """Kendall's tau where a pair weighs the sum of its members' weights, and tied pairs are left out."""
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
    return (np.cumsum(sizes, axis=1) - sizes / 2 + 0.5)[:, level]


def _linear(score: Floats, truth: Floats, counts: Floats) -> Floats:
    if not (np.isfinite(score).all() and np.isfinite(truth).all()):
        return np.full(len(counts), np.nan)
    return _pearson(_scaled(score)[None], _scaled(truth)[None], counts)


def _scaled(column: Floats) -> Floats:
    column = column / max(np.abs(column).max(), np.finfo(float).tiny)
    centred = column - column.mean()
    return centred / max(np.abs(centred).max(), np.finfo(float).tiny)


def _pearson(x: Floats, y: Floats, counts: Floats) -> Floats:
    size = counts.sum(axis=1, keepdims=True)
    dx, dy = (column - (counts * column).sum(axis=1, keepdims=True) / size for column in (x, y))
    sxx, syy, sxy = ((counts * a * b).sum(axis=1) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    rounding = 1e-24 * size[:, 0] ** 3  # a constant resample leaves only rounding errors
    value = sxy / np.sqrt(sxx * syy)
    return np.clip(np.where((sxx > rounding) & (syy > rounding), value, np.nan), -1.0, 1.0)


def _top(score: Floats, truth: Floats, counts: Floats, k: int) -> tuple[Floats, Floats, Floats]:
    """Hit, Rel@k and regret of every resample; ties are broken against the score."""
    order = np.lexsort((truth, -score))
    here = counts[:, order]
    before = np.cumsum(here, axis=1) - here
    sorted_truth = truth[order]
    reached = np.where((here > 0) & (before < k), sorted_truth, -np.inf).max(axis=1)
    best = np.where(here > 0, sorted_truth, -np.inf).max(axis=1)
    relative = np.where(best > 0, reached / best, np.nan)
    return (reached == best).astype(np.float64), relative, best - reached
