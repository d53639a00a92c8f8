"""Scores and truth of each dataset, aligned by model: the columns from which every figure is computed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from acrank.comparison.name_rules import meant_by
from acrank.comparison.statistics import Floats
from acrank.comparison.tables import Measurement, Scores, Truth
from acrank.errors import TableError

RANK_ELSEWHERE = "mean rank elsewhere"
_DIGITS = 12  # of residuals: a score that is the same everywhere leaves none, but for rounding
SAME_TASK = "mean rank elsewhere, same task"


def elsewhere(score: str) -> str:
    """Name of the baseline that ranks by a score's own mean rank on the other datasets: it never saw this one."""
    return f"{score} elsewhere"


@dataclass(frozen=True, kw_only=True)
class AlignedDataset:
    """The models of one dataset that have both a truth and a row of scores, sorted by name.

    Attributes:
        name: of the dataset, "" if it has none.
        models: names of the n models.
        truth: [n] mean finetuned performance.
        measurements: the n measurements, with their seeds.
        columns: score -> [n], oriented so that higher is better, NaN where a model lacks a value.
        baselines: baseline -> [n], likewise.
        residuals: score -> [n], its rank here less its mean rank on the other datasets, in [-1, 1]; NaN where a model
            has none there. What is left is about this dataset, not about the models in general.
        truth_residual: [n], the same of the truth.
        sd: score -> [n] standard deviation over the sampled batches, 0 where unknown.
        without_truth: models with scores only.
        without_score: models with truth only.
    """

    name: str
    models: list[str]
    truth: Floats
    measurements: list[Measurement]
    columns: dict[str, Floats]
    baselines: dict[str, Floats] = field(default_factory=dict)
    residuals: dict[str, Floats] = field(default_factory=dict)
    truth_residual: Floats | None = None
    sd: dict[str, Floats] = field(default_factory=dict)
    without_truth: list[str] = field(default_factory=list)
    without_score: list[str] = field(default_factory=list)

    def resampled_truths(self, count: int, seed: int) -> list[Floats]:
        """Truths with resampled seeds, [n] each; only the truth itself if no model has seeds or a standard error.

        If all models have the same named seeds (such as the same splits), these are resampled together, because what
        they share moves all models at once; else every model's own seeds. A model with a standard error but no seeds
        gets normal noise of that size.
        """
        if not any(item.se for item in self.measurements):
            return [self.truth]
        rng = np.random.default_rng([seed, zlib.crc32(f"seeds of {self.name}".encode())])
        labels = self.measurements[0].labels
        shared = len(labels) > 1 and all(set(item.labels) == set(labels) for item in self.measurements)
        if not shared:
            return [np.array([_redrawn(item, rng) for item in self.measurements]) for _ in range(count)]
        return [self._with_shared_seeds(sorted(labels), rng) for _ in range(count)]

    def _with_shared_seeds(self, labels: list[str], rng: np.random.Generator) -> Floats:
        picked = rng.choice(len(labels), size=len(labels))
        tables = (dict(zip(item.labels, item.seeds, strict=True)) for item in self.measurements)
        return np.array([np.mean([table[labels[i]] for i in picked]) for table in tables])


def align(scores: Scores, truth: Truth, directions: Mapping[str, bool], *, reference: str = "") -> list[AlignedDataset]:
    """The datasets that both scores and truth have; at least one of them has models.

    Args:
        scores, truth: the tables.
        directions: score -> whether higher is better; names every score.
        reference: the score whose mean rank on other datasets is a baseline; "" for none.

    Raises:
        TableError: scores and truth have no dataset, or no model of any dataset, in common.
    """
    datasets = [
        _align_one(scores, truth, directions, mine=mine, theirs=theirs)
        for mine, theirs in matched_datasets(scores, truth)
    ]
    datasets = _with_residuals(datasets, truth, reference)
    if not any(dataset.models for dataset in datasets):
        first = datasets[0]
        mine, theirs = (next(iter(names), "nothing") for names in (first.without_truth, first.without_score))
        raise TableError(
            f"no model is in both {scores.where} and {truth.where}",
            hint=f"names must agree: the scores have {mine!r}, the truth has {theirs!r}"
            + meant_by(first.without_score, first.without_truth),
        )
    return datasets


def matched_datasets(scores: Scores, truth: Truth) -> list[tuple[str, str]]:
    """Pairs of dataset names (scores, truth); an unnamed dataset matches the only one of the other side."""
    both = [(name, name) for name in scores.datasets if name in truth.datasets]
    if both:
        return both
    mine, theirs = list(scores.datasets), list(truth.datasets)
    if len(mine) == len(theirs) == 1 and "" in (mine[0], theirs[0]):
        return [(mine[0], theirs[0])]
    if "" in mine or "" in theirs:
        where, named = (scores.where, theirs) if "" in mine else (truth.where, mine)
        raise TableError(
            f"{where} names no dataset, the other table has {len(named)}",
            hint=f"choose one with --dataset: {', '.join(named)}",
        )
    raise TableError(
        f"no dataset is in both {scores.where} and {truth.where}",
        hint=f"the scores have {', '.join(mine)}; the truth has {', '.join(theirs)}",
    )


def _align_one(
    scores: Scores, truth: Truth, directions: Mapping[str, bool], *, mine: str, theirs: str
) -> AlignedDataset:
    known = truth.datasets[theirs]
    listed = scores.models[mine]
    models = sorted(set(listed) & set(known))
    columns = {name: _column(found, models) for name, found in scores.datasets[mine].items()}
    return AlignedDataset(
        name=theirs or mine,
        models=models,
        truth=np.array([known[model].mean for model in models]),
        measurements=[known[model] for model in models],
        columns={name: column if directions[name] else -column for name, column in columns.items()},
        baselines=_baselines(scores, truth, models, mine=mine, theirs=theirs),
        sd={name: np.nan_to_num(_column(found, models)) for name, found in scores.sd.get(mine, {}).items()},
        without_truth=sorted(set(listed) - set(known)),
        without_score=sorted((set(known) | set(truth.unknown.get(theirs, ()))) - set(listed)),
    )


def _baselines(scores: Scores, truth: Truth, models: list[str], *, mine: str, theirs: str) -> dict[str, Floats]:
    """Trivial rankings that a score must beat: size, the manifest's figures, and the ranks on other datasets."""
    found: dict[str, Floats] = {}
    if mine in scores.params:
        found["params"] = _column(scores.params[mine], models)
    for name, figures in scores.reference.get(mine, {}).items():
        found[f"reference {name}"] = _column(figures, models)
    for name, same_task in ((RANK_ELSEWHERE, False), (SAME_TASK, True)):
        ranks = mean_ranks(truth, leave_out=theirs, same_task=same_task)
        if any(model in ranks for model in models):
            found[name] = -_column(ranks, models)
    return found


def _with_residuals(datasets: list[AlignedDataset], truth: Truth, reference: str) -> list[AlignedDataset]:
    """The datasets with residuals of every column, and with the baseline of the reference's mean rank elsewhere."""
    if len(datasets) < 2:
        return datasets
    names = dict.fromkeys(name for one in datasets for name in one.columns)
    ranks = {name: {one.name: _ranks(one.models, one.columns.get(name)) for one in datasets} for name in names}
    truths = {one.name: _ranks(one.models, one.truth) for one in datasets}
    out = []
    for one in datasets:
        here = {name: _mean_of_others(found, one.name) for name, found in ranks.items()}
        residuals = {name: _residual(one.models, ranks[name][one.name], here[name]) for name in one.columns}
        baselines = dict(one.baselines)
        if reference in here and any(model in here[reference] for model in one.models):
            baselines[elsewhere(reference)] = _column(here[reference], one.models)
        known = _residual(one.models, truths[one.name], _mean_of_others(truths, one.name))
        out.append(replace(one, residuals=residuals, truth_residual=known, baselines=baselines))
    return out


def _ranks(models: Sequence[str], column: Floats | None) -> dict[str, float]:
    """Rank of every model that has a value, from 0 (worst) to 1 (best); empty for fewer than two."""
    from scipy.stats import rankdata

    if column is None or (known := np.flatnonzero(~np.isnan(column))).size < 2:
        return {}
    places = (rankdata(column[known]) - 1) / (len(known) - 1)
    return {models[place]: float(rank) for place, rank in zip(known.tolist(), places, strict=True)}


def _mean_of_others(ranks: Mapping[str, Mapping[str, float]], left_out: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for dataset, known in ranks.items():
        for model, rank in known.items() if dataset != left_out else ():
            found.setdefault(model, []).append(rank)
    return {model: float(np.mean(each)) for model, each in found.items()}


def _residual(models: Sequence[str], here: Mapping[str, float], others: Mapping[str, float]) -> Floats:
    found = np.array([here.get(model, np.nan) - others.get(model, np.nan) for model in models])
    return np.asarray(found.round(_DIGITS))


def mean_ranks(truth: Truth, *, leave_out: str, same_task: bool = False) -> dict[str, float]:
    """Mean rank of every model on the other datasets, from 0 (best on all) to 1 (worst on all).

    Args:
        truth: of several datasets.
        leave_out: the dataset that does not count.
        same_task: whether only datasets of its task count; where the tasks are not known, none does.

    >>> one, two = {"a": Measurement(0.9), "b": Measurement(0.8)}, {"a": Measurement(0.5), "b": Measurement(0.6)}
    >>> mean_ranks(Truth("t", {"x": one, "y": two}), leave_out="x")
    {'a': 1.0, 'b': 0.0}
    """
    from scipy.stats import rankdata

    ranks: dict[str, list[float]] = {}
    task = truth.tasks.get(leave_out)
    for dataset, known in truth.datasets.items():
        counts = not same_task or (task is not None and truth.tasks.get(dataset) == task)
        if dataset != leave_out and len(known) > 1 and counts:
            places = (rankdata([-item.mean for item in known.values()]) - 1) / (len(known) - 1)
            for model, place in zip(known, places, strict=True):
                ranks.setdefault(model, []).append(float(place))
    return {model: float(np.mean(places)) for model, places in ranks.items()}


def _column(values: Mapping[str, float], models: list[str]) -> Floats:
    return np.array([values.get(model, np.nan) for model in models], dtype=np.float64)


def _redrawn(item: Measurement, rng: np.random.Generator) -> float:
    """The mean of resampled seeds, or of normal noise around the mean."""
    if len(item.seeds) > 1:
        return float(np.mean(rng.choice(item.seeds, size=len(item.seeds))))
    return item.mean + float(rng.normal()) * (item.se or 0.0)
