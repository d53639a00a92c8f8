"""Warnings of a comparison: too few models, unmatched names, scores that predict better flipped."""

from __future__ import annotations

from collections.abc import Iterable

from acrank.comparison.aligning import AlignedDataset
from acrank.comparison.name_rules import meant_by
from acrank.comparison.plain_words import ENOUGH
from acrank.comparison.results import ScoreResult
from acrank.comparison.tables import Scores
from acrank.system.words import from_to


def comparison_warnings(scores: Scores, datasets: list[AlignedDataset], results: Iterable[ScoreResult]) -> list[str]:
    """One line per warning."""
    found = [result for result in results if result.kind == "score"]
    return [
        *(
            f"{_on(dataset.name)}only {len(dataset.models)} models: nothing can be concluded from fewer than {ENOUGH}"
            for dataset in datasets
            if 0 < len(dataset.models) < ENOUGH
        ),
        *([scores.lacking] if scores.lacking else []),
        *_uncompared(scores, datasets),
        *(line for dataset in datasets for line in _unmatched(dataset)),
        *(_flipped(result) for result in found if _is_flipped(result)),
        *(f"{_of(item)} has no value for {', '.join(item.without_value)}" for item in found if item.without_value),
        *(f"{_of(item)}: undefined: {item.reason}" for item in found if item.reason),
    ]


def _uncompared(scores: Scores, datasets: list[AlignedDataset]) -> list[str]:
    """Scored datasets without truth, and those without common models; a truth may cover more than is scored."""
    compared = {dataset.name for dataset in datasets}
    alone = [name for name in scores.datasets if name and name not in compared]
    empty = [dataset.name for dataset in datasets if not dataset.models]
    lines = [f"no ground truth for the dataset {', '.join(alone)}"] if alone else []
    return lines + ([f"no model has both a score and a truth on {', '.join(empty)}"] if empty else [])


def _unmatched(dataset: AlignedDataset) -> list[str]:
    sides = ((dataset.without_truth, "no ground truth for"), (dataset.without_score, "no score for"))
    lines = [f"{_on(dataset.name)}{what} {', '.join(names)}" for names, what in sides if names]
    if dataset.without_score:
        matched, meant = len(dataset.models), meant_by(dataset.without_score, dataset.without_truth)
        whole = matched + len(dataset.without_score)
        lines.append(f"{_on(dataset.name)}{matched} of {whole} models of the truth match a candidate{meant}")
    return lines


def _is_flipped(result: ScoreResult) -> bool:
    """Whether the reverse of a score is shown to predict better: among enough models, with an interval above 0."""
    low = result.flip_gain.low
    return result.better_flipped and result.n >= ENOUGH and (low is None or low > 0)


def _flipped(result: ScoreResult) -> str:
    gain = result.flip_gain
    interval = "" if gain.low is None or gain.high is None else f", 95% {from_to(gain.low, gain.high, '.2f')}"
    better = "higher" if result.higher_is_better else "lower"
    return (
        f"{_of(result)} ({better} is better) predicts better when flipped: weighted tau "
        f"{result.figures['weighted_tau'].value:.3f}, flipped {result.flipped:.3f} (gain {gain.value:.2f}{interval}); "
        "it was not flipped"
    )


def _of(result: ScoreResult) -> str:
    return f"{_on(result.dataset)}{result.score}"


def _on(dataset: str) -> str:
    return f"{dataset}: " if dataset else ""
