"""What a reader of a comparison must know: too few models, names without a partner, scores better flipped."""

from __future__ import annotations

from collections.abc import Iterable

from acrank.comparison.results import Result
from acrank.comparison.study import Study
from acrank.comparison.tables import Scores, Truth

#: Fewer models than this conclude nothing.
ENOUGH = 5


def warnings_of(scores: Scores, truth: Truth, studies: list[Study], results: Iterable[Result]) -> list[str]:
    """One line each."""
    found = list(results)
    return [
        *(_few(study) for study in studies if 0 < len(study.models) < ENOUGH),
        *_datasets(scores, truth, studies),
        *(line for study in studies for line in _alone(study)),
        *(_flipped(result) for result in found if result.kind == "score" and result.better_flipped),
        *(_lacking(result) for result in found if result.kind == "score" and result.without_value),
        *(_undefined(result) for result in found if result.kind == "score" and result.reason),
    ]


def _few(study: Study) -> str:
    return f"{_on(study.dataset)}only {len(study.models)} models: nothing can be concluded from fewer than {ENOUGH}"


def _datasets(scores: Scores, truth: Truth, studies: list[Study]) -> list[str]:
    """Datasets that only one side has; a truth may well cover more datasets than are scored."""
    compared = {study.dataset for study in studies}
    alone = [name for name in scores.datasets if name and name not in compared]
    empty = [study.dataset for study in studies if not study.models]
    lines = [f"no ground truth for the dataset {', '.join(alone)}"] if alone else []
    return lines + ([f"no model has both a score and a truth on {', '.join(empty)}"] if empty else [])


def _alone(study: Study) -> list[str]:
    sides = ((study.without_truth, "no ground truth for"), (study.without_score, "no score for"))
    return [f"{_on(study.dataset)}{what} {', '.join(names)}" for names, what in sides if names]


def _flipped(result: Result) -> str:
    gain = result.flip_gain
    reach = "" if gain.low is None or gain.high is None else f", 95% {gain.low:.2f} to {gain.high:.2f}"
    way = "higher" if result.higher_is_better else "lower"
    return (
        f"{_on(result.dataset)}{result.score} ({way} is better) predicts better when flipped: weighted tau "
        f"{result.figures['weighted_tau'].value:.3f}, flipped {result.flipped:.3f} (gain {gain.value:.2f}{reach}); "
        "it was not flipped"
    )


def _lacking(result: Result) -> str:
    return f"{_on(result.dataset)}{result.score} has no value for {', '.join(result.without_value)}"


def _undefined(result: Result) -> str:
    return f"{_on(result.dataset)}{result.score}: undefined: {result.reason}"


def _on(dataset: str) -> str:
    return f"{dataset}: " if dataset else ""
