"""Scores and truth of one dataset, aligned: what every figure is computed from."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from acrank.comparison.tables import Measurement, Scores, Truth
from acrank.errors import TableError

Floats = NDArray[np.float64]
RANK_ELSEWHERE = "mean rank elsewhere"


@dataclass(frozen=True)
class Study:
    """The models of one dataset that have both a truth and a row of scores, sorted by name.

    Attributes:
        dataset: its name, "" where none was given.
        models: n names.
        truth: [n] mean finetuned performance.
        measurements: n, with their seeds.
        columns: score -> [n], oriented so that higher is better, NaN where a model lacks a value.
        baselines: baseline -> [n], likewise.
        sd: score -> [n] standard deviation over the sampled batches, 0 where unknown.
        without_truth: models with scores only.
        without_score: models with truth only.
    """

    dataset: str
    models: list[str]
    truth: Floats
    measurements: list[Measurement]
    columns: dict[str, Floats]
    baselines: dict[str, Floats] = field(default_factory=dict)
    sd: dict[str, Floats] = field(default_factory=dict)
    without_truth: list[str] = field(default_factory=list)
    without_score: list[str] = field(default_factory=list)

    def truth_versions(self, count: int, seed: int) -> list[Floats]:
        """Means of resampled seeds, [n] each; only the mean itself where no truth has seeds or a standard error.

        Where every model has the same named seeds (the same splits, say), they are resampled together, because what
        they share moves all models at once; else each model's own. A model with a standard error but no seeds gets
        normal noise of that size.
        """
        if not any(item.se for item in self.measurements):
            return [self.truth]
        rng = np.random.default_rng([seed, zlib.crc32(f"seeds of {self.dataset}".encode())])
        labels = self.measurements[0].labels
        shared = len(labels) > 1 and all(set(item.labels) == set(labels) for item in self.measurements)
        redraw = self._shared_seeds if shared else self._own_seeds
        return [redraw(rng) for _ in range(count)]

    def _shared_seeds(self, rng: np.random.Generator) -> Floats:
        labels = sorted(self.measurements[0].labels)
        picked = rng.choice(len(labels), size=len(labels))
        tables = (dict(zip(item.labels, item.seeds, strict=True)) for item in self.measurements)
        return np.array([np.mean([table[labels[i]] for i in picked]) for table in tables])

    def _own_seeds(self, rng: np.random.Generator) -> Floats:
        return np.array([_redrawn(item, rng) for item in self.measurements])


def studies_of(scores: Scores, truth: Truth, directions: Mapping[str, bool]) -> list[Study]:
    """One study per dataset that both sides have; one of them at least has models.

    Args:
        directions: score -> whether higher is better; must name every score.

    Raises:
        TableError: no dataset, or within a dataset no model, is on both sides.
    """
    pairs = _matched(scores, truth)
    studies = [_study(scores, truth, mine, theirs, directions) for mine, theirs in pairs]
    if not any(study.models for study in studies):
        mine, theirs = (next(iter(found), "nothing") for found in (studies[0].without_truth, studies[0].without_score))
        raise TableError(
            f"no model is in both {scores.where} and {truth.where}",
            hint=f"names must agree: the scores have {mine!r}, the truth has {theirs!r}",
        )
    return studies


def _matched(scores: Scores, truth: Truth) -> list[tuple[str, str]]:
    """Pairs of dataset names; an unnamed dataset goes with the only one of the other side."""
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


def _study(scores: Scores, truth: Truth, mine: str, theirs: str, directions: Mapping[str, bool]) -> Study:
    known = truth.datasets[theirs]
    listed = scores.models[mine]
    models = sorted(set(listed) & set(known))
    columns = {name: _column(found, models, directions[name]) for name, found in scores.datasets[mine].items()}
    return Study(
        theirs or mine,
        models,
        np.array([known[model].mean for model in models]),
        [known[model] for model in models],
        columns,
        _baselines(scores, truth, mine, theirs, models),
        {name: np.nan_to_num(_column(found, models, True)) for name, found in scores.sd.get(mine, {}).items()},
        without_truth=sorted(set(listed) - set(known)),
        without_score=sorted((set(known) | set(truth.unknown.get(theirs, ()))) - set(listed)),
    )


def _baselines(scores: Scores, truth: Truth, mine: str, theirs: str, models: list[str]) -> dict[str, Floats]:
    """What a score must beat: size, the manifest's figures, and how the models do elsewhere."""
    found: dict[str, Floats] = {}
    if mine in scores.params:
        found["params"] = _column(scores.params[mine], models, True)
    for name, figures in scores.reference.get(mine, {}).items():
        found[f"reference {name}"] = _column(figures, models, True)
    elsewhere = mean_ranks(truth, leave_out=theirs)
    if any(model in elsewhere for model in models):
        found[RANK_ELSEWHERE] = _column(elsewhere, models, False)
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


def _column(values: Mapping[str, float], models: list[str], higher: bool) -> Floats:
    column = np.array([values.get(model, np.nan) for model in models], dtype=np.float64)
    return column if higher else -column


def _redrawn(item: Measurement, rng: np.random.Generator) -> float:
    if len(item.seeds) > 1:
        return float(np.mean(rng.choice(item.seeds, size=len(item.seeds))))
    return item.mean + float(rng.normal()) * (item.se or 0.0)
