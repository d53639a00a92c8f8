"""Every score and baseline of a dataset measured against its truth, and averaged over datasets."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from acrank.comparison import statistics
from acrank.comparison.aligning import RANK_ELSEWHERE, SAME_TASK, AlignedDataset
from acrank.comparison.permutation import Permutations
from acrank.comparison.resampling import CORRELATIONS, FLIPPED, TAUS, Counts, statistics_of_counts, top_names
from acrank.comparison.results import Estimate, ScoreResult, zeroed
from acrank.comparison.statistics import Floats

RANDOM = "random ranking"
#: A correlation of residuals needs as many models.
_FEWEST = 5


@dataclass(frozen=True, kw_only=True)
class ResampledDataset:
    """One dataset with the resamples that all its scores share.

    Attributes:
        aligned: the aligned columns.
        counts: [resamples, n], how often each resample holds each model.
        truths: truths of resampled seeds, [n] each; the resamples are divided among them.
        top: the k of the top-k figures.
        permutations: the taus under random order.
    """

    aligned: AlignedDataset
    counts: Counts
    truths: list[Floats]
    top: tuple[int, ...]
    permutations: Permutations

    @property
    def figures(self) -> list[str]:
        """Names of the figures, in order."""
        return [*CORRELATIONS, *(name for k in self.top for name in top_names(k))]

    def draws(self, column: Floats) -> dict[str, Floats]:
        """Every figure on every resample, of the models that have a value in `column`."""
        keep = ~np.isnan(column)
        shares = np.array_split(self.counts[:, keep], len(self.truths))
        parts = [
            statistics_of_counts(column[keep], truth[keep], counts, top=self.top)
            for truth, counts in zip(self.truths, shares, strict=True)
        ]
        return {name: zeroed(np.concatenate([part[name] for part in parts]), self.scale(name)) for name in parts[0]}

    def values(self, score: Floats, truth: Floats) -> dict[str, float]:
        """Every figure without resampling; NaN where undefined."""
        found = {name: getattr(statistics, name)(score, truth) for name in CORRELATIONS}
        for k in self.top:
            top = (statistics.top_k_hit, statistics.relative_at_k, statistics.regret_at_k)
            found.update(zip(top_names(k), (figure(score, truth, k) for figure in top), strict=True))
        return {name: float(zeroed(np.array(value), self.scale(name))) for name, value in found.items()}

    def scale(self, figure: str) -> float:
        """How large a figure is: regrets are in units of the truth, all others at most about 1."""
        return float(np.abs(self.aligned.truth).max()) if _is_regret(figure) else 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """A result with its resampled figures, from which averages and differences are computed.

    Attributes:
        result: the figures.
        draws: figure -> [resamples]; empty if the score is undefined.
        column: [n] the score, oriented so that higher is better, NaN where a model lacks it.
    """

    result: ScoreResult
    draws: dict[str, Floats]
    column: Floats


def measure_all(data: ResampledDataset, directions: Mapping[str, bool], reference: str) -> list[Measured]:
    """Scores, baselines and the random ranking of one dataset; each paired with the score named `reference`."""
    found = [
        _measure(data, column, name=name, kind="score", higher_is_better=directions[name])
        for name, column in data.aligned.columns.items()
    ]
    found += [
        _measure(data, column, name=name, kind="baseline", higher_is_better=name not in (RANK_ELSEWHERE, SAME_TASK))
        for name, column in data.aligned.baselines.items()
    ]
    partner = next((item for item in found if item.result.score == reference), None)
    if partner is not None:
        found = [_paired(data, item, partner) for item in found]
    return [*found, _random(data)]


def _measure(data: ResampledDataset, column: Floats, *, name: str, kind: str, higher_is_better: bool) -> Measured:
    keep = ~np.isnan(column)
    x, y = column[keep], data.aligned.truth[keep]
    reason = _why_undefined(x if higher_is_better else -x, y)
    bare = ScoreResult(
        dataset=data.aligned.name,
        score=name,
        kind=kind,
        higher_is_better=higher_is_better,
        n=len(x),
        figures={figure: Estimate(None) for figure in data.figures},
        without_value=tuple(model for model, kept in zip(data.aligned.models, keep, strict=True) if not kept),
        reason=reason,
    )
    if reason:
        return Measured(result=bare, draws={}, column=column)
    values, draws = data.values(x, y), data.draws(column)
    flipped = float(zeroed(np.array(statistics.weighted_tau(-x, y))))
    draws["flip_gain"] = draws[FLIPPED] - draws["weighted_tau"]
    result = replace(
        bare,
        figures={name: Estimate.of(value, draws[name], scale=data.scale(name)) for name, value in values.items()},
        p_values=data.permutations.p_values(x, y, {tau: values[tau] for tau in TAUS}),
        flipped=flipped,
        flip_gain=Estimate.of(flipped - values["weighted_tau"], draws["flip_gain"]),
        reason=_why_partly_undefined(x, y),
    )
    residual, draws["residual"] = _residual(data, name)
    return Measured(result=replace(result, residual=residual), draws=draws, column=column)


def _residual(data: ResampledDataset, name: str) -> tuple[Estimate, Floats]:
    """Pearson's correlation of the residuals of a score and of the truth, and its resamples."""
    score, truth = data.aligned.residuals.get(name), data.aligned.truth_residual
    nothing = np.full(len(data.counts), np.nan)
    if score is None or truth is None:
        return Estimate(None), nothing
    keep = ~(np.isnan(score) | np.isnan(truth))
    if keep.sum() < _FEWEST:
        return Estimate(None), nothing
    x, y, counts = score[keep], truth[keep], data.counts[:, keep]
    draws = statistics_of_counts(x, y, counts)["pearson"]
    return Estimate.of(statistics.pearson(x, y), draws), draws


def _paired(data: ResampledDataset, one: Measured, other: Measured) -> Measured:
    """`one` with its difference to another score, on the models that have both."""
    if one.result.score == other.result.score or not one.draws or not other.draws:
        return one
    both = ~(np.isnan(one.column) | np.isnan(other.column))
    sides = [np.where(both, item.column, np.nan) for item in (one, other)]
    taus = [statistics.weighted_tau(column, data.aligned.truth) for column in sides]
    if not np.isfinite(taus).all():
        return one
    draws = [
        (item.draws if both.sum() == item.result.n else data.draws(column))["weighted_tau"]
        for item, column in zip((one, other), sides, strict=True)
    ]
    difference = draws[0] - draws[1]
    estimate = Estimate.of(taus[0] - taus[1], difference)
    result = replace(one.result, versus=other.result.score, difference=estimate)
    return replace(one, result=result, draws={**one.draws, "difference": difference})


def _random(data: ResampledDataset) -> Measured:
    """The figures of rankings in random order: the mean, and the range of 95% of them."""
    truth = data.aligned.truth
    bare = ScoreResult(
        dataset=data.aligned.name,
        score=RANDOM,
        kind="random",
        higher_is_better=None,
        n=len(truth),
        figures={name: Estimate(None) for name in data.figures},
        reason=_why_undefined(np.arange(len(truth), dtype=np.float64), truth),
    )
    if bare.reason:
        return Measured(result=bare, draws={}, column=truth)
    found = data.permutations.random_ranking(truth, data.top)
    found = {name: zeroed(values, data.scale(name)) for name, values in found.items()}
    figures = {name: Estimate.of(float(found[name].mean()), found[name], scale=data.scale(name)) for name in found}
    # every dataset draws its own orders, so that an average is one of unrelated rankings
    rng = np.random.default_rng(zlib.crc32(f"random ranking on {data.aligned.name}".encode()))
    picks = rng.integers(len(found["weighted_tau"]), size=len(data.counts))
    draws = {name: found[name][picks] for name in data.figures}
    return Measured(result=replace(bare, figures=figures), draws=draws, column=truth)


def _is_regret(figure: str) -> bool:
    return figure.startswith("regret_at_")


def _why_undefined(score: Floats, truth: Floats) -> str:
    """The reason why no figure is defined; "" if some is."""
    if len(score) < 2:
        return "no model has a value" if not len(score) else "only one model has a value"
    for column, name in ((score, "column"), (truth, "ground truth")):
        if (column == column[0]).all():
            return f"constant {name}: all {len(column)} models have {column[0]:g}"
    return ""


def _why_partly_undefined(score: Floats, truth: Floats) -> str:
    reasons = []
    if not np.isfinite(score).all():
        reasons.append("pearson: the score has infinite values")
    if truth.max() <= 0:
        reasons.append("rel_at_k: the best ground truth is not positive")
    return "; ".join(reasons)


def averages(measured: Sequence[Measured]) -> list[ScoreResult]:
    """Every score and baseline averaged over the datasets where it is defined, with equal weights.

    The draws of all datasets come from the same resampled models, so the interval accounts for what they share.
    """
    keys = dict.fromkeys((item.result.score, item.result.kind) for item in measured)
    return [_average([m for m in measured if (m.result.score, m.result.kind) == key]) for key in keys]


def _average(found: list[Measured]) -> ScoreResult:
    first = found[0].result
    defined = [item for item in found if item.draws]
    undefined = [item.result.dataset for item in found if not item.draws]
    paired = [item for item in defined if item.result.difference.value is not None]
    residuals = [(item.result.residual, item.draws["residual"]) for item in defined if "residual" in item.draws]
    flips = [item.result.flipped for item in defined if item.result.flipped is not None]
    return ScoreResult(
        dataset=f"mean of {len(defined)}",
        score=first.score,
        kind=first.kind,
        higher_is_better=first.higher_is_better,
        n=sum(item.result.n for item in defined),
        figures={
            name: _mean(
                [(i.result.figures[name], i.draws[name]) for i in defined], scale=0.0 if _is_regret(name) else 1.0
            )
            for name in first.figures
        },
        versus=paired[0].result.versus if paired else "",
        difference=_mean([(item.result.difference, item.draws["difference"]) for item in paired]),
        residual=_mean(residuals),
        flipped=float(zeroed(np.array(np.mean(flips)))) if flips else None,
        flip_gain=_mean([(item.result.flip_gain, item.draws["flip_gain"]) for item in defined if flips]),
        reason=f"undefined on {', '.join(undefined)}" if undefined else "",
    )


def _mean(parts: Sequence[tuple[Estimate, Floats]], *, scale: float = 1.0) -> Estimate:
    """Mean value, with the interval of the mean of the draws; datasets without a value are left out.

    The mean of regrets, which none of them is below 0, rounds nothing to 0: their scale is 0 here.
    """
    known = [(estimate.value, draws) for estimate, draws in parts if estimate.value is not None]
    if not known:
        return Estimate(None)
    stacked = np.stack([draws for _, draws in known])
    finite = np.isfinite(stacked)
    with np.errstate(invalid="ignore"):
        draws = np.where(finite, stacked, 0.0).sum(axis=0) / finite.sum(axis=0)
    return Estimate.of(float(np.mean([value for value, _ in known])), draws, scale=scale)
