"""From a score and an observation's arrays to a value with notes: nothing undefined or suspicious stays silent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from acrank.errors import UndefinedScoreError
from acrank.scores import KEYWORDS, Score
from acrank.scores.diagnostics import saturation


@dataclass(frozen=True)
class Evaluation:
    """What a score came to for one candidate.

    Attributes:
        value: the score, or None where it is undefined or waits for the pool.
        part: a pool-relative score's share of this candidate, None otherwise or where undefined.
        notes: why there is no value, or what to know about it.
    """

    value: float | None = None
    part: Any = None
    notes: tuple[str, ...] = ()


_NAMES = {"later_gram": "outputs of normalisation layers by image"}


def evaluate_score(score: Score, arrays: Mapping[str, Any]) -> Evaluation:
    """Run one score on one candidate.

    Args:
        score: a row of SCORES.
        arrays: what the observation has, by the names in `score.needs`, keywords included; None for what it lacks.

    Returns:
        The value with notes. A pool-relative score gives its part; `evaluate_pool` finishes it.

    >>> from acrank.scores import SCORES
    >>> evaluate_score(SCORES["leep"], {"logits": None, "labels": [0, 1]}).notes
    ('no logits: the checkpoint has none for this sample',)
    """
    missing = [need for need in score.needs if arrays.get(need) is None]
    if missing:
        return Evaluation(
            notes=tuple(f"no {_NAMES.get(need, need)}: the checkpoint has none for this sample" for need in missing)
        )
    options = {need: arrays[need] for need in score.needs if need in KEYWORDS}
    try:
        found = score.function(*(arrays[need] for need in score.needs if need not in KEYWORDS), **options)
    except UndefinedScoreError as error:
        return Evaluation(notes=(error.message,))
    return Evaluation(part=found) if score.pool_relative else _judged(score, float(found))


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


def _judged(score: Score, value: float) -> Evaluation:
    if not math.isfinite(value):
        return Evaluation(notes=(f"not a finite number ({value})",))
    note = saturation(score, value)
    return Evaluation(value, notes=(note,) if note else ())
