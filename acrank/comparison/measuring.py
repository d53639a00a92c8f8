"""One dataset: every score and baseline measured against its truth."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acrank.comparison import statistics
from acrank.comparison.intervals import estimate
from acrank.comparison.permutation import TAUS, Permutations
from acrank.comparison.resampling import CORRELATIONS, FLIPPED, Counts, statistics_of_counts, top_names
from acrank.comparison.results import Estimate, Measured, Result
from acrank.comparison.study import RANK_ELSEWHERE, Study

Floats = NDArray[np.float64]
RANDOM = "random ranking"


@dataclass(frozen=True)
class Frame:
    """What all scores of one dataset share.

    Attributes:
        study: the aligned columns.
        counts: [resamples, n], the resampled models.
        versions: truths with resampled seeds, [n] each; the resamples share them out.
        top: the k of the top-k figures.
        permutations: where the null distributions are kept.
    """

    study: Study
    counts: Counts
    versions: list[Floats]
    top: tuple[int, ...]
    permutations: Permutations

    @property
    def figures(self) -> list[str]:
        """Names of the figures, in order."""
        return [*CORRELATIONS, *(name for k in self.top for name in top_names(k))]

    def draws(self, column: Floats) -> dict[str, Floats]:
        """Every figure on every resample of the models that have a value in `column`."""
        keep = ~np.isnan(column)
        shares = np.array_split(self.counts[:, keep], len(self.versions))
        parts = [
            statistics_of_counts(column[keep], truth[keep], counts, top=self.top)
            for truth, counts in zip(self.versions, shares, strict=True)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def values(self, score: Floats, truth: Floats) -> dict[str, float]:
        """Every figure of the models as they are; NaN where undefined."""
        found = {name: getattr(statistics, name)(score, truth) for name in CORRELATIONS}
        for k in self.top:
            top = (statistics.top_k_hit, statistics.relative_at_k, statistics.regret_at_k)
            found.update(zip(top_names(k), (figure(score, truth, k) for figure in top), strict=True))
        return found


def measure_all(frame: Frame, directions: Mapping[str, bool], reference: str) -> list[Measured]:
    """Scores, baselines and the random ranking of one dataset; each paired with the score named `reference`."""
    study = frame.study
    found = [_measure(frame, name, "score", column, directions[name]) for name, column in study.columns.items()]
    for name, column in study.baselines.items():
        found.append(_measure(frame, name, "baseline", column, name != RANK_ELSEWHERE))
    paired = next((item for item in found if item.result.score == reference), None)
    if paired is not None:
        found = [_paired(frame, item, paired) for item in found]
    return [*found, _random(frame)]


def _measure(frame: Frame, name: str, kind: str, column: Floats, higher: bool) -> Measured:
    study, keep = frame.study, ~np.isnan(column)
    x, y = column[keep], study.truth[keep]
    lacking = tuple(model for model, there in zip(study.models, keep, strict=True) if not there)
    undefined = _undefined(x if higher else -x, y)
    bare = Result(study.dataset, name, kind, higher, len(x), {}, without_value=lacking, reason=undefined)
    if undefined:
        return Measured(replace(bare, figures=_nothing(frame)), {}, column)
    values, draws = frame.values(x, y), frame.draws(column)
    flipped = statistics.weighted_tau(-x, y)
    draws["flip_gain"] = draws[FLIPPED] - draws["weighted_tau"]
    result = replace(
        bare,
        figures={figure: estimate(value, draws[figure]) for figure, value in values.items()},
        p_values=frame.permutations.p_values(x, y, {tau: values[tau] for tau in TAUS}),
        flipped=flipped,
        flip_gain=estimate(flipped - values["weighted_tau"], draws["flip_gain"]),
        reason=_partly_undefined(x, y),
    )
    return Measured(result, draws, column)


def _paired(frame: Frame, one: Measured, other: Measured) -> Measured:
    """The same with the difference to another score, on the models that have both."""
    if one.result.score == other.result.score or not one.draws or not other.draws:
        return one
    both = ~(np.isnan(one.column) | np.isnan(other.column))
    sides = [np.where(both, item.column, np.nan) for item in (one, other)]
    taus = [statistics.weighted_tau(column, frame.study.truth) for column in sides]
    if not np.isfinite(taus).all():
        return one
    draws = [
        (item.draws if both.sum() == item.result.n else frame.draws(column))["weighted_tau"]
        for item, column in zip((one, other), sides, strict=True)
    ]
    difference = draws[0] - draws[1]
    result = replace(one.result, versus=other.result.score, difference=estimate(taus[0] - taus[1], difference))
    return replace(one, result=result, draws={**one.draws, "difference": difference})


def _random(frame: Frame) -> Measured:
    """What rankings in random order reach: the mean, and the range of 95% of them."""
    truth = frame.study.truth
    reason = _undefined(np.arange(len(truth), dtype=np.float64), truth)
    bare = Result(frame.study.dataset, RANDOM, "random", None, len(truth), {}, reason=reason)
    if reason:
        return Measured(replace(bare, figures=_nothing(frame)), {}, truth)
    found = frame.permutations.random_ranking(truth, frame.top)
    figures = {name: estimate(float(found[name].mean()), found[name]) for name in frame.figures}
    # every dataset draws its own orders, so that averages are those of unrelated rankings
    rng = np.random.default_rng(zlib.crc32(f"random ranking on {frame.study.dataset}".encode()))
    picks = rng.integers(len(found["weighted_tau"]), size=len(frame.counts))
    return Measured(replace(bare, figures=figures), {name: found[name][picks] for name in frame.figures}, truth)


def _nothing(frame: Frame) -> dict[str, Estimate]:
    return {name: Estimate(None) for name in frame.figures}


def _undefined(score: Floats, truth: Floats) -> str:
    """Why nothing can be computed; "" where it can."""
    if len(score) < 2:
        return "no model has a value" if not len(score) else "only one model has a value"
    for column, name in ((score, "column"), (truth, "ground truth")):
        if (column == column[0]).all():
            return f"constant {name}: all {len(column)} models have {column[0]:g}"
    return ""


def _partly_undefined(score: Floats, truth: Floats) -> str:
    reasons = []
    if not np.isfinite(score).all():
        reasons.append("pearson: the score has infinite values")
    if truth.max() <= 0:
        reasons.append("rel_at_k: the best ground truth is not positive")
    return "; ".join(reasons)
