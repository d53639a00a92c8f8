"""Racing over draws: which candidates get another draw, and intervals where numbers of draws differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from acrank.ranking.costs import with_both_costs
from acrank.ranking.values import comparison_reach, ends_of, limits_of, value_of
from acrank.records import Row, Value
from acrank.scores import SCORES
from acrank.scores.evaluate import Evaluation
from acrank.settings import CONSENSUS, Settings

#: At most so many of the best go on; where the images of a draw tell nothing of how draws differ, so many.
FIRST, FIRST_UNTOLD = 2, 3
#: All further draws of a race are at most one for so many candidates, so that a race adds little to the cost of a run;
#: where a draw tells nothing, there is no such limit: without further draws there would be no intervals.
CANDIDATES_PER_DRAW = 8


def can_race(settings: Settings) -> bool:
    """Whether candidates may have different numbers of draws: not where the ranking score depends on the pool."""
    return settings.rank_by != CONSENSUS and not SCORES[settings.rank_by].pool_relative


def draws_to_give(candidates: int, settings: Settings) -> int:
    """How many further draws a race may take; none where two candidates cannot have one each.

    Args:
        candidates: of the run.
        settings: of the run, filled in for the task.

    >>> [draws_to_give(count, Settings().for_task("classification")) for count in (3, 15, 16, 44)]
    [0, 0, 2, 4]
    """
    racers, rounds = min(_racers(settings), candidates), (settings.repeats or 1) - 1
    most = racers * rounds if racers > 1 else 0
    most = min(most, candidates // CANDIDATES_PER_DRAW) if SCORES[settings.rank_by].reads_rows else most
    return most if most > 1 else 0


def _racers(settings: Settings) -> int:
    """How many of the best candidates race."""
    return FIRST if SCORES[settings.rank_by].reads_rows else FIRST_UNTOLD


class Race:
    """Which candidates get another draw, round after round.

    Args:
        settings: of the run, filled in for the task.
        candidates: how many the run has.
    """

    def __init__(self, settings: Settings, candidates: int) -> None:
        self._settings, self._left = settings, draws_to_give(candidates, settings)
        self._draws: dict[str, int] = {}  # a row of an earlier run may have more than it had when this was decided

    @property
    def left(self) -> int:
        """How many draws may still be given."""
        return self._left if self._left > 1 else 0

    def next_round(self, rows: Sequence[Row]) -> dict[str, int]:
        """How many draws those have in the next round that get one more; it decides as if no row had more so far."""
        known = as_of_draws(rows, self._settings.rank_by, self._draws)
        again = contested(known, self._settings, min(_racers(self._settings), self._left))
        self._left -= len(again)
        wanted = {model: self._draws.get(model, 1) + 1 for model in again}
        self._draws |= wanted
        return wanted


def contested(rows: Sequence[Row], settings: Settings, most: int) -> set[str]:
    """The candidates that may still be the best: those of the first ones whose interval overlaps the leader's.

    All of the first ones where the leader has no interval, as after one draw whose images cannot tell how draws differ.

    Args:
        rows: of the run so far.
        settings: of the run, filled in for the task.
        most: how many are looked at.
    """
    name = settings.rank_by
    sign = 1.0 if settings.directions()[name] else -1.0
    able = [row for row in rows if row.status == "scored"]
    found = [(sign * value, row.model) for row in able if (value := row.value(name)) is not None]
    ordered = [model for _, model in sorted(found, key=lambda one: (-one[0], one[1]))][:most]
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
            row = _with_values(row, name, few, deviations=row.details.deviations.get(name, [])[: len(few)])
        out.append(row)
    return out


def with_pooled_intervals(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows, with intervals from a deviation that candidates share where not each has its own.

    A row whose deviation was estimated from the images of its draws keeps its interval. The others share one where
    their numbers of draws differ: from the pooled deviation over the root of n, with the degrees of freedom of all that
    have several draws; or where rows with estimates are beside them: from the mean square of these. Else each keeps the
    interval of its own draws.
    """
    out = list(rows)
    for name in names:
        if _is_shared(rows, name):
            out = _pooled(out, name)
    return out


def with_own_intervals(rows: Sequence[Row]) -> list[Row]:
    """The rows of a record as they were before `with_pooled_intervals`: each interval from the row's own draws."""
    names = {name for row in rows for name in row.scores if _is_shared(rows, name)}
    return [
        dataclasses.replace(
            row,
            scores={
                name: _own(value, name, row.details.draws_of(name))
                if name in names and not _has_own(row, name)
                else value
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
    deviations = [*row.details.deviations.get(name, []), *more.details.deviations.get(name, [])]
    details = dataclasses.replace(
        row.details,
        draws=len(values),
        draws_of_others=row.details.draws_of_others or row.details.draws,
        patches=_both(row.details.patches, more.details.patches),
        worth=[*(row.details.worth if row.details.values.get(name) else []), *more.details.worth],
    )
    return _with_values(dataclasses.replace(row, details=details), name, values, deviations=deviations)


def _with_values(row: Row, name: str, values: list[float | None], *, deviations: list[float | None]) -> Row:
    """The row with a score over these draws, and with its controls as they are."""
    known = row.scores[name]
    details = dataclasses.replace(
        row.details,
        values={**row.details.values, name: values},
        deviations={**row.details.deviations, name: deviations},
    )
    each = [Evaluation(value) for value in values]
    found = value_of(each, deviations, worth=details.worth_of(name), limits=limits_of(name))
    value = dataclasses.replace(found, no_drift=known.no_drift, shuffled=known.shuffled, note=known.note)
    return dataclasses.replace(row, scores={**row.scores, name: value}, details=details)


def after_round(earlier: Row, row: Row, name: str | None = None) -> Row:
    """The row of a later round, with the costs of both; the earlier one where the later failed.

    Args:
        earlier, row: of one candidate.
        name: of the score that the later row has more draws of; None where it has all draws of all scores.
    """
    if row.status == "skipped":
        note = f"draw {earlier.details.draws_of(name or '') + 1} failed: {row.reason}"
        noted = dataclasses.replace(earlier, notes=list(dict.fromkeys([*earlier.notes, note])))
        return with_both_costs(noted, earlier, row)
    whole = with_more_draws(earlier, row, name) if name else row
    whole = dataclasses.replace(whole, prior=earlier.prior, refined=earlier.refined)
    return with_both_costs(whole, earlier, row)


def _both(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """The patches of the draws of both."""
    return {**before, "corners": [*before["corners"], *after["corners"]]} if before and after else before


def _is_shared(rows: Sequence[Row], name: str) -> bool:
    """Whether the rows without a deviation of their own share one."""
    there = [row for row in rows if row.status == "scored" and row.scores.get(name, Value(None)).value is not None]
    lacking = [row for row in there if not _has_own(row, name)]
    draws = {row.details.draws_of(name) for row in lacking}
    return bool(lacking) and (len(draws) > 1 or len(lacking) < len(there))


def _has_own(row: Row, name: str) -> bool:
    return row.details.deviation_of(name) is not None


def _own(value: Value, name: str, draws: int) -> Value:
    if value.value is None or value.sd is None or draws < 2:
        return dataclasses.replace(value, low=None, high=None)
    low, high = ends_of(value.value, comparison_reach(value.sd / draws**0.5, freedom=draws - 1), limits_of(name))
    return dataclasses.replace(value, low=low, high=high)


def _pooled(rows: list[Row], name: str) -> list[Row]:
    lacking = [row for row in rows if name in row.scores and not _has_own(row, name)]
    sds = [(row.details.draws_of(name), sd) for row in lacking if (sd := row.scores[name].sd) is not None]
    freedom = sum(draws - 1 for draws, _ in sds)
    told = [found for row in rows if (found := row.details.deviation_of(name)) is not None]
    if freedom:
        deviation = float(np.sqrt(sum((draws - 1) * sd**2 for draws, sd in sds) / freedom))
    elif told:
        deviation = float(np.sqrt(np.mean(np.square(told))))
    else:
        return rows
    reach = comparison_reach(deviation, freedom=freedom or None)
    out = []
    for row in rows:
        one = row.scores.get(name)
        if one is not None and one.value is not None and not _has_own(row, name):
            draws = row.details.draws_of(name) if freedom else row.details.worth_of(name)
            low, high = ends_of(one.value, reach / draws**0.5, limits_of(name))
            wide = dataclasses.replace(one, low=low, high=high)
            row = dataclasses.replace(row, scores={**row.scores, name: wide})
        out.append(row)
    return out
