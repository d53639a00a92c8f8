"""How well a score orders models, as pure functions of two columns.

Everywhere `score` and `truth` are [n] floats, one entry per model, in the same order, and higher is better in both:
callers negate a score whose lower values are better. Common rules:

- NaN in either column means "no value": that model is left out (SciPy would call it the worst).
- Infinite scores keep their place in the order; `pearson`, which needs distances, is then NaN.
- A column that is constant over the models left, or fewer than two models, orders nothing: the result is NaN.
- Ties: the correlations treat them as their definitions do (weighted tau and tau-b drop tied pairs, Spearman takes mean
  ranks). The top-k figures break ties against the score: of equally scored models the worst comes first, so that a
  score gains nothing by not deciding, and the result does not depend on the order of the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def weighted_tau(score: ArrayLike, truth: ArrayLike) -> float:
    """Weighted Kendall tau in [-1, 1] as `scipy.stats.weightedtau(score, truth)` has it by default.

    Pairs weigh by the hyperbolic ranks of their members, 1/(1+r), so that the top counts most; the mean of ranking by
    score and ranking by truth (Vigna, "A weighted correlation index for rankings with ties", WWW 2015). Not
    antisymmetric: negating the score does not negate the value.

    >>> round(weighted_tau([1, 2, 3, 4], [1, 2, 4, 3]), 4)
    0.52
    """
    from scipy.stats import weightedtau

    x, y = _kept(score, truth)
    return float(weightedtau(x, y).statistic) if _varies(x, y) else float("nan")


def weighted_tau_truth_ranked(score: ArrayLike, truth: ArrayLike) -> float:
    """Weighted Kendall tau in [-1, 1], ranked by the truth alone: `scipy.stats.weightedtau(truth, score, rank=None)`.

    The convention of Model-Spider; the top of the truth counts most, wherever the score puts it.

    >>> round(weighted_tau_truth_ranked([1, 2, 3, 4], [1, 2, 4, 3]), 4)
    0.52
    """
    from scipy.stats import weightedtau

    x, y = _kept(score, truth)
    return float(weightedtau(y, x, rank=None).statistic) if _varies(x, y) else float("nan")


def kendall_tau(score: ArrayLike, truth: ArrayLike) -> float:
    """Kendall's tau-b in [-1, 1]: the balance of concordant and discordant pairs, corrected for ties.

    >>> round(kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]), 4)
    0.6667
    """
    from scipy.stats import kendalltau

    x, y = _kept(score, truth)
    return float(kendalltau(x, y).statistic) if _varies(x, y) else float("nan")


def spearman(score: ArrayLike, truth: ArrayLike) -> float:
    """Spearman's rank correlation in [-1, 1]: Pearson's correlation of mean ranks.

    >>> round(spearman([1, 2, 3, 4], [1, 2, 4, 3]), 4)
    0.8
    """
    from scipy.stats import rankdata

    x, y = _kept(score, truth)
    return _correlation(rankdata(x), rankdata(y)) if _varies(x, y) else float("nan")


def pearson(score: ArrayLike, truth: ArrayLike) -> float:
    """Pearson's linear correlation in [-1, 1]; NaN where a score is infinite.

    >>> round(pearson([1, 2, 3], [2, 4, 6]), 4)
    1.0
    """
    x, y = _kept(score, truth)
    return _correlation(x, y) if _varies(x, y) and np.isfinite(x).all() and np.isfinite(y).all() else float("nan")


def top_k_hit(score: ArrayLike, truth: ArrayLike, k: int) -> float:
    """1.0 where a best model by truth is among the top k by score, else 0.0.

    >>> top_k_hit([3, 2, 1], [0.8, 0.9, 0.7], k=1), top_k_hit([3, 2, 1], [0.8, 0.9, 0.7], k=2)
    (0.0, 1.0)
    """
    x, y = _kept(score, truth)
    return float(_best_of_top(x, y, k) == y.max()) if _varies(x, y) else float("nan")


def relative_at_k(score: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Rel@k: truth of the best of the top k over the best truth, at most 1; NaN where the best truth is not positive.

    >>> round(relative_at_k([3, 2, 1], [0.8, 0.9, 0.7], k=1), 4)
    0.8889
    """
    x, y = _kept(score, truth)
    if not _varies(x, y) or y.max() <= 0:
        return float("nan")
    return float(_best_of_top(x, y, k) / y.max())


def regret_at_k(score: ArrayLike, truth: ArrayLike, k: int) -> float:
    """The cost of trying only the top k: best truth minus the best of the top k, in the truth's unit, at least 0.

    >>> round(regret_at_k([3, 2, 1], [0.8, 0.9, 0.7], k=1), 4)
    0.1
    """
    x, y = _kept(score, truth)
    return float(y.max() - _best_of_top(x, y, k)) if _varies(x, y) else float("nan")


def _best_of_top(score: Floats, truth: Floats, k: int) -> float:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    order = np.lexsort((truth, -score))
    return float(truth[order[:k]].max())


def _kept(score: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    """Both columns as float64, without the models that lack a value."""
    x, y = np.asarray(score, np.float64), np.asarray(truth, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"score and truth must be [n] of one length, not {x.shape} and {y.shape}")
    keep = ~(np.isnan(x) | np.isnan(y))
    return x[keep], y[keep]


def _varies(x: Floats, y: Floats) -> bool:
    return len(x) > 1 and bool((x != x[0]).any()) and bool((y != y[0]).any())


def _correlation(x: Floats, y: Floats) -> float:
    # scaled first: squares of values near the limits of float64 would overflow or vanish
    dx, dy = (_unit(column - column.mean()) for column in (_unit(x), _unit(y)))
    norm = np.sqrt((dx @ dx) * (dy @ dy))
    return float(np.clip(dx @ dy / norm, -1.0, 1.0)) if norm > 0 else float("nan")


def _unit(column: Floats) -> Floats:
    largest = np.abs(column).max()
    return column / largest if largest > 0 else column
