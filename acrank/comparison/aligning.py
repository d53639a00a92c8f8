"""Scores and truth of each dataset, aligned by model: the columns from which every figure is computed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from acrank.comparison.statistics import Floats
from acrank.comparison.tables import Measurement, Scores, Truth
from acrank.errors import TableError

RANK_ELSEWHERE = "mean rank elsewhere"


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


def align(scores: Scores, truth: Truth, directions: Mapping[str, bool]) -> list[AlignedDataset]:
    """The datasets that both scores and truth have; at least one of them has models.

    Args:
        directions: score -> whether higher is better; names every score.

    Raises:
        TableError: scores and truth have no dataset, or no model of any dataset, in common.
    """
    datasets = [
        _align_one(scores, truth, directions, mine=mine, theirs=theirs) for mine, theirs in _matched(scores, truth)
    ]
    if not any(dataset.models for dataset in datasets):
        first = datasets[0]
        mine, theirs = (next(iter(names), "nothing") for names in (first.without_truth, first.without_score))
        raise TableError(
            f"no model is in both {scores.where} and {truth.where}",
            hint=f"names must agree: the scores have {mine!r}, the truth has {theirs!r}",
        )
    return datasets


def _matched(scores: Scores, truth: Truth) -> list[tuple[str, str]]:
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
    elsewhere = mean_ranks(truth, leave_out=theirs)
    if any(model in elsewhere for model in models):
        found[RANK_ELSEWHERE] = -_column(elsewhere, models)
    return found


def mean_ranks(truth: Truth, *, leave_out: str) -> dict[str, float]:
    """Mean rank of every model on the other datasets, from 0 (best on all) to 1 (worst on all).

    >>> one, two = {"a": Measurement(0.9), "b": Measurement(0.8)}, {"a": Measurement(0.5), "b": Measurement(0.6)}
    >>> mean_ranks(Truth("t", {"x": one, "y": two}), leave_out="x")
    {'a': 1.0, 'b': 0.0}
    """
    from scipy.stats import rankdata

    ranks: dict[str, list[float]] = {}
    for dataset, known in truth.datasets.items():
        if dataset != leave_out and len(known) > 1:
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
