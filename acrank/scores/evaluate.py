"""Run a score on an observation's arrays: a value, or a note that says why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from acrank.errors import UndefinedScoreError
from acrank.scores import Score
from acrank.scores.diagnostics import saturation

#: Names in notes, where the argument's own name would not be understood.
_NAMES = {"later_gram": "outputs of normalisation layers by image"}


@dataclass(frozen=True)
class Evaluation:
    """The result of a score for one candidate.

    Attributes:
        value: the score, or None where it is undefined or waits for the pool.
        part: the candidate's part of a pool-relative score, None otherwise or where undefined.
        notes: why there is no value, or what to know about it.
    """

    value: float | None = None
    part: Any = None
    notes: tuple[str, ...] = ()


def evaluate_score(score: Score, arrays: Mapping[str, Any]) -> Evaluation:
    """Run one score on one candidate.

    Args:
        score: a row of SCORES.
        arrays: the score's arguments by the names in `score.needs`; absent or None where the observation lacks one.

    Returns:
        The value with notes; for a pool-relative score its part, which `evaluate_pool` turns into a value.

    >>> from acrank.scores import SCORES
    >>> evaluate_score(SCORES["leep"], {"logits": None, "labels": [0, 1]}).notes
    ('no logits: the checkpoint has none for this sample',)
    """
    missing = [need for need in score.needs if arrays.get(need) is None]
    if missing:
        names = (_NAMES.get(need, need.replace("_", " ")) for need in missing)
        return Evaluation(notes=tuple(f"no {name}: the checkpoint has none for this sample" for name in names))
    try:
        found = score.function(**{need: arrays[need] for need in score.needs})
    except UndefinedScoreError as error:
        return Evaluation(notes=(error.message,))
    if score.pool_relative:
        return Evaluation(part=found)
    value = float(found)
    if not math.isfinite(value):
        return Evaluation(notes=(f"not a finite number ({value})",))
    note = saturation(score, value)
    return Evaluation(value, notes=(note,) if note else ())


def evaluate_pool(score: Score, candidates: Sequence[Evaluation]) -> list[Evaluation]:
    """Turn the parts of all candidates of a run into values; candidates without a part stay as they are.

    >>> from acrank.scores import SCORES
    >>> alone, = evaluate_pool(SCORES["etran"], [Evaluation(part=(1.0, 0.5))])
    >>> alone.value, alone.notes
    (None, ('relative to the pool: undefined for a single candidate',))
    """
    there = [index for index, candidate in enumerate(candidates) if candidate.part is not None]
    finished = list(candidates)
    values = score.pool_function([candidates[index].part for index in there]) if there else []
    for index, value in zip(there, values, strict=True):
        if math.isnan(value):
            note = "relative to the pool: undefined for a single candidate"
            finished[index] = replace(candidates[index], notes=(*candidates[index].notes, note))
        else:
            finished[index] = replace(candidates[index], value=value)
    return finished
