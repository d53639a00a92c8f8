"""Racing over draws: which candidates get another draw, and intervals where numbers of draws differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from acrank.records import Row, Value
from acrank.scores import SCORES
from acrank.settings import CONSENSUS, Settings

#: At most so many of the best go on; after the first draw all of them, for nothing is known yet of how draws differ.
FIRST = 5


def contested(rows: Sequence[Row], settings: Settings) -> set[str]:
    """The candidates that may still be the best: those of the first five whose interval overlaps that of the first.

    Where the ranking score depends on the pool, all go on: draws must have the same candidates.

    Args:
        rows: of the run so far.
        settings: of the run, filled in for the task.
    """
    name = settings.rank_by
    sign = 1.0 if settings.directions()[name] else -1.0
    able = [row for row in rows if row.status == "scored"]
    if name == CONSENSUS or SCORES[name].pool_relative:
        return {row.model for row in able}
    found = [(sign * value, row.model) for row in able if (value := row.value(name)) is not None]
    ordered = [model for _, model in sorted(found, key=lambda one: (-one[0], one[1]))][:FIRST]
    if len(ordered) < 2:
        return set()
    ready = {row.model: row.scores[name] for row in with_pooled_intervals(able, [name])}
    leader = ready[ordered[0]]
    overlapping = {model for model in ordered if leader.low is None or leader.overlaps(ready[model])}
    return overlapping if len(overlapping) > 1 else set()


def with_pooled_intervals(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows, with intervals from a deviation that all candidates share where their numbers of draws differ.

    Student's 95% interval of a mean of n draws: the pooled deviation over the root of n, with the degrees of freedom of
    all candidates that have several draws. Where all have the same number of draws, each keeps its own.
    """
    counts = {row.details.draws or 1 for row in rows if row.status == "scored"}
    if len(counts) < 2:
        return list(rows)
    out = list(rows)
    for name in names:
        out = _pooled(out, name)
    return out


def with_own_intervals(rows: Sequence[Row]) -> list[Row]:
    """The rows of a record as they were before `with_pooled_intervals`: each interval from the row's own draws."""
    if len({row.details.draws or 1 for row in rows if row.status == "scored"}) < 2:
        return list(rows)
    return [
        dataclasses.replace(
            row, scores={name: _own(value, row.details.draws or 1) for name, value in row.scores.items()}
        )
        for row in rows
    ]


def _own(value: Value, draws: int) -> Value:
    from scipy.stats import t

    if value.value is None or value.sd is None or draws < 2:
        return dataclasses.replace(value, low=None, high=None)
    reach = float(t.ppf(0.975, draws - 1)) * value.sd / draws**0.5
    return dataclasses.replace(value, low=value.value - reach, high=value.value + reach)


def _pooled(rows: list[Row], name: str) -> list[Row]:
    from scipy.stats import t

    sds = [(row.details.draws or 1, sd) for row in rows if (sd := row.scores.get(name, Value(None)).sd) is not None]
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
        width = reach / (row.details.draws or 1) ** 0.5
        wide = dataclasses.replace(one, low=one.value - width, high=one.value + width)
        out.append(dataclasses.replace(row, scores={**row.scores, name: wide}))
    return out
