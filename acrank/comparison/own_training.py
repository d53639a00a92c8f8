"""Scores that are made of the very truth that they are held against: that of a run's own short trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from acrank.comparison.aligning import matched_datasets
from acrank.comparison.tables import Measurement, Scores, Truth
from acrank.errors import TableError, UsageError
from acrank.records import JOINT
from acrank.records.csv_columns import TRAINING_COLUMNS

#: Columns that short trainings have a say in; all but the first are compared only where a user names them.
_MADE_OF_TRAINING = (JOINT, "rank", "band", *TRAINING_COLUMNS)
_FEWEST = 2  # a single value may be the same by chance
_DIGITS = 5.001e-4  # a table may have been rounded to three decimals, as where it was typed from the screen


def made_of_truth(trained: Mapping[str, float], truth: Mapping[str, Measurement], *, score: str = JOINT) -> str:
    """Why nothing is learnt from holding a score against a truth: it is made of these very values; "" where it is not.

    The truth is known by what it holds: most of the trained candidates that it has, and at least two, have there the
    quality that their own short training gave, as a share or in percent.

    Args:
        trained: model -> quality that a short training of the run gave.
        truth: model -> its measurement.
        score: the name of the score.

    Example:
        >>> truth = {"a": Measurement(0.7), "b": Measurement(0.8), "c": Measurement(0.9)}
        >>> made_of_truth({"a": 0.7, "b": 0.8}, truth)[:27]
        'joint is made of this truth'
        >>> made_of_truth({"a": 0.72, "b": 0.83}, truth)
        ''
    """
    both = [model for model in trained if model in truth]
    same = sum(_has(truth[model], trained[model]) for model in both)
    if score not in _MADE_OF_TRAINING or same < _FEWEST or 2 * same <= len(both):
        return ""
    return (
        f"{score} is made of this truth: {same} of its values are those of this run's own short trainings (--refine), "
        "by which it orders the candidates"
    )


def without_own_training(scores: Scores, truth: Truth, versus: str | None) -> tuple[Scores, list[str]]:
    """The scores without those that are made of the truth, and for each of these why.

    Args:
        scores, truth: the tables.
        versus: the score that the user wants the others paired with.

    Raises:
        TableError: no score is left.
        UsageError: `versus` is one of those that are left out.
    """
    reasons: dict[str, str] = {}
    datasets = dict(scores.datasets)
    for mine, theirs in matched_datasets(scores, truth) if scores.trained else ():
        trained, known = scores.trained.get(mine, {}), truth.datasets[theirs]
        why = {name: made_of_truth(trained, known, score=name) for name in datasets[mine]}
        datasets[mine] = {name: column for name, column in datasets[mine].items() if not why[name]}
        reasons |= {name: text for name, text in why.items() if text}
    if not reasons:
        return scores, []
    kept = replace(scores, datasets=datasets)
    if versus in reasons and versus not in kept.names:
        raise UsageError(f"--versus {versus}: {reasons[versus]}", hint=_hint(scores))
    if not kept.names:
        raise TableError(f"no score is left to compare: {'; '.join(reasons.values())}", hint=_hint(scores))
    if kept.rank_by not in kept.names:
        kept = replace(kept, rank_by=scores.scored_by if scores.scored_by in kept.names else None)
    return kept, [f"{text}: left out, as nothing is learnt from comparing the two" for text in reasons.values()]


def _hint(scores: Scores) -> str:
    other = f"compare {scores.scored_by}, or " if scores.scored_by else ""
    return f"{other}give a truth of other trainings, such as `acrank finetune` makes"


def _has(found: Measurement, quality: float) -> bool:
    values = found.seeds or (found.mean,)
    return any(math.isclose(value, unit * quality, abs_tol=unit * _DIGITS) for value in values for unit in (1.0, 100.0))
