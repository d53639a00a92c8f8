"""Rankings in random order: the permutation distribution, p-values, and the baseline "random ranking"."""

from __future__ import annotations

import itertools
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acrank.comparison.resampling import TAUS, top_names
from acrank.comparison.statistics import Floats

Levels = NDArray[np.int64]

#: Most entries of a [permutations, models, models] block: bounds the memory.
_BLOCK = 2_000_000


class Permutations:
    """Distributions of the taus under random order, each computed once.

    They depend only on the number of models and on the ties, so all scores without ties share one. All n! orders are
    used if there are at most `resamples` of them, else random ones.
    """

    def __init__(self, seed: int, resamples: int) -> None:
        self._seed = seed
        self._resamples = resamples
        self._known: dict[bytes, dict[str, Floats]] = {}

    def p_values(self, score: Floats, truth: Floats, values: dict[str, float]) -> dict[str, float]:
        """Two-sided p-value of each tau: twice the smaller tail of the permutation distribution, at most 1.

        Args:
            score, truth: [n], no NaN, neither constant.
            values: name -> observed tau.
        """
        null = self.taus(score, truth)
        exact = self._is_exact(len(score))
        return {name: _two_sided(null[name], values[name], exact) for name in TAUS}

    def taus(self, score: Floats, truth: Floats) -> dict[str, Floats]:
        """The taus of these two columns in random order: name -> [permutations]."""
        x, y = (np.sort(np.unique(column, return_inverse=True)[1]) for column in (score, truth))
        key = x.tobytes() + y.tobytes()
        if key not in self._known:
            self._known[key] = taus_of_orders(x, y, self.orders(len(x)))
        return self._known[key]

    def orders(self, n: int) -> NDArray[np.intp]:
        """Orders of n models: [permutations, n]."""
        if self._is_exact(n):
            return np.array(list(itertools.permutations(range(n))), dtype=np.intp)
        rng = np.random.default_rng([self._seed, zlib.crc32(f"permutations of {n}".encode())])
        return rng.permuted(np.tile(np.arange(n, dtype=np.intp), (self._resamples, 1)), axis=1)

    def random_ranking(self, truth: Floats, top: tuple[int, ...]) -> dict[str, Floats]:
        """Every figure of a ranking without ties in random order: name -> [permutations]."""
        from scipy.stats import rankdata

        n = len(truth)
        ranking = np.arange(n, dtype=np.float64)
        truths = np.sort(truth)[self.orders(n)]
        found = dict(self.taus(ranking, truth))
        found["spearman"] = _correlations(ranking, rankdata(np.sort(truth))[self.orders(n)])
        found["pearson"] = _correlations(ranking, truths)
        for k in top:
            reached, best = truths[:, :k].max(axis=1), truth.max()
            relative = reached / best if best > 0 else np.full(len(truths), np.nan)
            values = ((reached == best).astype(float), relative, best - reached)
            found.update(zip(top_names(k), values, strict=True))
        return found

    def _is_exact(self, n: int) -> bool:
        return math.factorial(min(n, 20)) <= self._resamples


def taus_of_orders(score: Levels, truth: Levels, orders: NDArray[np.intp]) -> dict[str, Floats]:
    """The taus between `score` [n] and `truth[order]` for every order: name -> [orders].

    Both columns hold dense ranks and are not constant.
    """
    step = max(1, _BLOCK // len(score) ** 2)
    parts = [_taus(score, truth[orders[i : i + step]]) for i in range(0, len(orders), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in TAUS}


def _taus(score: Levels, truths: Levels) -> dict[str, Floats]:
    n = len(score)
    # up to 32,767 models, ranks, signs and their sums all fit two bytes, which is three times as fast
    narrow = np.dtype(np.int16 if n < 2**15 else np.int32)
    x: NDArray[Any] = score.astype(narrow)
    y: NDArray[Any] = truths.astype(narrow)
    signs = np.sign(x[:, None] - x[None, :])
    balance = np.einsum("jk,bjk->bj", signs, np.sign(y[:, :, None] - y[:, None, :])).astype(np.int32)
    scores = np.broadcast_to(score, truths.shape)
    untied = n - np.bincount(score)[scores], n - np.bincount(truths[0])[truths]
    by_score, by_truth = (
        _tau(_weights(first, second), balance, untied) for first, second in ((scores, truths), (truths, scores))
    )
    values = (by_score + by_truth) / 2, by_truth, _tau(np.ones(truths.shape), balance, untied)
    return dict(zip(TAUS, values, strict=True))


def _weights(first: Levels, second: Levels) -> Floats:
    """1/(1+r), where r is the rank by `first` and within ties by `second`, from 0 for the best."""
    ascending = np.lexsort((second, first), axis=-1)
    weights = np.empty(first.shape)
    n = first.shape[1]
    np.put_along_axis(weights, ascending, np.broadcast_to(1 / np.arange(n, 0, -1), first.shape), axis=1)
    return weights


def _tau(weights: Floats, balance: NDArray[np.int32], untied: tuple[Levels, Levels]) -> Floats:
    by_score, by_truth = ((weights * pairs).sum(axis=1) for pairs in untied)
    tau: Floats = (weights * balance).sum(axis=1) / np.sqrt(by_score * by_truth)
    return tau


def _two_sided(null: Floats, value: float, exact: bool) -> float:
    slack = 1e-12  # equal values may differ by rounding
    above, below = int((null >= value - slack).sum()), int((null <= value + slack).sum())
    tail = min(above, below) / len(null) if exact else (min(above, below) + 1) / (len(null) + 1)
    return min(1.0, 2 * tail)


def _correlations(score: Floats, truths: Floats) -> Floats:
    dx = score - score.mean()
    dy = truths - truths.mean(axis=1, keepdims=True)
    correlations: Floats = (dy @ dx) / np.sqrt((dx @ dx) * (dy**2).sum(axis=1))
    return correlations
