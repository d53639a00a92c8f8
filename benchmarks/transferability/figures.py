"""Statistics of many columns of scores against one truth at once, fast enough to resample, and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acrank.comparison import statistics

Floats = NDArray[np.float64]
#: What is published of a score, by name, from the package's own definitions.
FIGURES = {
    "weighted tau": statistics.weighted_tau,
    "ranked by truth": statistics.weighted_tau_truth_ranked,
    "tau-b": statistics.kendall_tau,
    "regret": lambda score, truth: statistics.regret_at_k(score, truth, 1),
    "Rel@1": lambda score, truth: statistics.relative_at_k(score, truth, 1),
}


class Columns(NamedTuple):
    """One target: models [n], scores [S, n], NaN for no value, and the truth [n]."""

    models: tuple[str, ...]
    scores: Floats
    truth: Floats


def figures(scores: Floats, truth: Floats) -> Floats:
    """[S, n] scores, NaN for no value, against a truth [n] -> [S, 5], equal to FIGURES, in their order."""
    known = ~np.isnan(scores)
    i, j = np.triu_indices(len(truth), 1)
    both = known[:, i] & known[:, j]
    x = np.where(both, np.sign(np.nan_to_num(scores[:, i] - scores[:, j])), 0.0)
    y = np.where(both, np.sign(truth[i] - truth[j]), 0.0)
    by_truth, by_score = (_weights(scores, truth, known, truth_first=first) for first in (True, False))
    ranked = _tau(x, y, by_truth[:, i] + by_truth[:, j])
    weighted = (ranked + _tau(x, y, by_score[:, i] + by_score[:, j])) / 2
    plain = _tau(x, y, np.ones_like(x))
    best = np.where(known, truth, -np.inf).max(1)
    # of equally scored candidates the worst comes first
    place = [np.lexsort((truth, np.where(some, -row, np.inf)))[0] for row, some in zip(scores, known, strict=True)]
    taken = truth[place]
    found = np.stack([weighted, ranked, plain, best - taken, np.where(best > 0, taken / best, np.nan)], 1)
    found[np.isnan(plain)] = np.nan
    return found


def _weights(scores: Floats, truth: Floats, known: NDArray[np.bool_], *, truth_first: bool) -> Floats:
    """1/(1 + rank) of every candidate in the decreasing lexicographical order of scipy.stats.weightedtau."""
    found = np.zeros_like(scores)
    for row, (score, some) in enumerate(zip(scores, known, strict=True)):
        at = np.flatnonzero(some)
        keys = (score[at], truth[at]) if truth_first else (truth[at], score[at])
        found[row, at[np.lexsort(keys)[::-1]]] = 1 / (1 + np.arange(len(at)))
    return found


def _tau(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Weighted taus [S] from the signs of all pairs [S, P]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weight * x * y).sum(1) / np.sqrt((weight * x * x).sum(1) * (weight * y * y).sum(1))


def checked(scores: Floats, truth: Floats) -> Floats:
    """`figures`, asserted equal to the package's functions."""
    found = figures(scores, truth)
    for row, score in zip(found, scores, strict=True):
        np.testing.assert_allclose(row, [one(score, truth) for one in FIGURES.values()], rtol=0, atol=1e-9)
    return found


def resampled(targets: Sequence[Columns], resamples: int) -> Floats:
    """Means over resampled targets of resampled candidates, [resamples, S, 5].

    A candidate is drawn equally often on every target, so that intervals respect what the targets share, and for every
    score, so that differences are paired; a score without a value on some targets has the mean over the others.
    """
    rng = np.random.default_rng(0)
    models = {model: place for place, model in enumerate(dict.fromkeys(name for one in targets for name in one.models))}
    draws = []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(len(models), size=len(models)), minlength=len(models))
        parts = []
        for place in rng.integers(len(targets), size=len(targets)):
            one = targets[place]
            some = np.repeat(np.arange(len(one.models)), counts[[models[name] for name in one.models]])
            if len(some) > 1:
                parts.append(figures(one.scores[:, some], one.truth[some]))
        if parts:
            draws.append(mean_over_targets(parts))
    return np.array(draws)


def mean_over_targets(parts: Sequence[Floats]) -> Floats:
    """Means [S, 5] over the targets, NaN left out."""
    stacked = np.stack(parts)
    there = ~np.isnan(stacked)
    with np.errstate(invalid="ignore"):
        return np.where(there, stacked, 0.0).sum(0) / there.sum(0)


def cell(value: float, draws: Floats | None = None, *, sign: bool = False) -> str:
    """A value with its 95% interval, for Markdown; empty for NaN."""
    if np.isnan(value):
        return ""
    text = f"{value:+.2f}" if sign else f"{value:.2f}"
    known = np.array([]) if draws is None else draws[~np.isnan(draws)]
    if draws is None or len(known) < len(draws) / 2:
        return text
    low, high = np.quantile(known, [0.025, 0.975])
    return f"{text} [{low:+.2f}, {high:+.2f}]" if sign else f"{text} [{low:.2f}, {high:.2f}]"
