"""Racing over draws: which candidates get another draw, and intervals where numbers of draws differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from acrank.ranking.values import value_of
from acrank.records import Row, Value
from acrank.scores import SCORES
from acrank.scores.evaluate import Evaluation
from acrank.settings import CONSENSUS, Settings

#: At most so many of the best go on; after the first draw all of them, for nothing is known yet of how draws differ.
FIRST = 3


def can_race(settings: Settings) -> bool:
    """Whether candidates may have different numbers of draws: not where the ranking score depends on the pool."""
    return settings.rank_by != CONSENSUS and not SCORES[settings.rank_by].pool_relative


def contested(rows: Sequence[Row], settings: Settings) -> set[str]:
    """The candidates that may still be the best: those of the first three whose interval overlaps the leader's.

    Args:
        rows: of the run so far.
        settings: of the run, filled in for the task.
    """
    name = settings.rank_by
    sign = 1.0 if settings.directions()[name] else -1.0
    able = [row for row in rows if row.status == "scored"]
    found = [(sign * value, row.model) for row in able if (value := row.value(name)) is not None]
    ordered = [model for _, model in sorted(found, key=lambda one: (-one[0], one[1]))][:FIRST]
    if len(ordered) < 2:
        return set()
    ready = {row.model: row.scores[name] for row in with_pooled_intervals(able, [name])}
    leader = ready[ordered[0]]
    overlapping = {model for model in ordered if leader.low is None or leader.overlaps(ready[model])}
    return overlapping if len(overlapping) > 1 else set()


def as_of_draws(rows: Sequence[Row], name: str, counts: Mapping[str, int]) -> list[Row]:
    """The rows as they were when they had so many draws of a score: a race that goes on then decides as it did.

    Args:
        rows: of the run so far.
        name: of the ranking score.
        counts: draws of each model; 1 where it is not there.
    """
    out = []
    for row in rows:
        values = row.details.values.get(name, [])
        few = values[: counts.get(row.model, 1)]
        if len(few) < len(values):
            scores = {**row.scores, name: value_of([Evaluation(one) for one in few])}
            details = dataclasses.replace(row.details, values={**row.details.values, name: few})
            row = dataclasses.replace(row, scores=scores, details=details)
        out.append(row)
    return out


def with_pooled_intervals(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows, with intervals from a deviation that all candidates share where their numbers of draws differ.

    Student's 95% interval of a mean of n draws: the pooled deviation over the root of n, with the degrees of freedom of
    all candidates that have several draws. Where all have the same number of draws, each keeps its own.
    """
    out = list(rows)
    for name in names:
        if _draws_differ(rows, name):
            out = _pooled(out, name)
    return out


def with_own_intervals(rows: Sequence[Row]) -> list[Row]:
    """The rows of a record as they were before `with_pooled_intervals`: each interval from the row's own draws."""
    names = {name for row in rows for name in row.scores if _draws_differ(rows, name)}
    return [
        dataclasses.replace(
            row,
            scores={
                name: _own(value, row.details.draws_of(name)) if name in names else value
                for name, value in row.scores.items()
            },
        )
        for row in rows
    ]


def settings_of_the_race(settings: Settings) -> Settings:
    """The settings of draws after the first: the ranking score alone, where its passes are the same without the others.

    Args:
        settings: of the run, filled in for the task.
    """
    settings = dataclasses.replace(settings, untrained=None)
    alone = dataclasses.replace(settings, scores=(settings.rank_by,))
    one, all_of_them = alone.plan(), settings.plan()
    same = (one.moves_affines, one.source_features) == (all_of_them.moves_affines, all_of_them.source_features)
    return alone if same else settings


def with_more_draws(row: Row, more: Row, name: str) -> Row:
    """The row with the ranking score over the draws of both; its other scores stay those of its own draws.

    Args:
        row: so far.
        more: of the draws whose values of the ranking score the row lacks.
        name: of the ranking score.
    """
    values = [*row.details.values.get(name, []), *more.details.values[name]]
    known = row.scores[name]
    found = value_of([Evaluation(value) for value in values])
    details = dataclasses.replace(
        row.details,
        draws=len(values),
        draws_of_others=row.details.draws_of_others or row.details.draws,
        patches=_both(row.details.patches, more.details.patches),
        values={**row.details.values, name: values},
    )
    value = dataclasses.replace(found, no_drift=known.no_drift, shuffled=known.shuffled, note=known.note)
    return dataclasses.replace(row, scores={**row.scores, name: value}, details=details)


def _both(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """The patches of the draws of both."""
    return {**before, "corners": [*before["corners"], *after["corners"]]} if before and after else before


def _draws_differ(rows: Sequence[Row], name: str) -> bool:
    return len({row.details.draws_of(name) for row in rows if row.status == "scored"}) > 1


def _own(value: Value, draws: int) -> Value:
    from scipy.stats import t

    if value.value is None or value.sd is None or draws < 2:
        return dataclasses.replace(value, low=None, high=None)
    reach = float(t.ppf(0.975, draws - 1)) * value.sd / draws**0.5
    return dataclasses.replace(value, low=value.value - reach, high=value.value + reach)


def _pooled(rows: list[Row], name: str) -> list[Row]:
    from scipy.stats import t

    sds = [(row.details.draws_of(name), sd) for row in rows if (sd := row.scores.get(name, Value(None)).sd) is not None]
    freedom = sum(draws - 1 for draws, _ in sds)
    if not freedom:
        return rows
    deviation = float(np.sqrt(sum((draws - 1) * sd**2 for draws, sd in sds) / freedom))
    reach = float(t.ppf(0.975, freedom)) * deviation
    out = []
    for row in rows:
        one = row.scores.get(name)
        if one is None or one.value is None:
            out.append(row)
            continue
        width = reach / row.details.draws_of(name) ** 0.5
        wide = dataclasses.replace(one, low=one.value - width, high=one.value + width)
        out.append(dataclasses.replace(row, scores={**row.scores, name: wide}))
    return out
