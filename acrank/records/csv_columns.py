"""The columns of a ranking as a table for programs, each with its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from acrank.records.joint import shares_of, weight_of
from acrank.records.row import Prior, Refined, Row, ZeroPoint
from acrank.records.score_value import Value
from acrank.system.record_schema import INTERVAL

if TYPE_CHECKING:
    from acrank.records.run import Ranking

#: A column's name, and its cell of a row; None where there is nothing.
CsvColumn = tuple[str, Callable[[Row], Any]]
#: Column of a short training -> what it holds.
TRAINING_COLUMNS: Mapping[str, Callable[[Refined], Any]] = {
    "refined": attrgetter("quality"),
    "refined_low": attrgetter("low"),
    "refined_high": attrgetter("high"),
    "epochs": attrgetter("epochs"),
}
#: Column of untrained twins -> what it holds.
ZERO_COLUMNS: Mapping[str, Callable[[ZeroPoint], Any]] = {
    "untrained": attrgetter("mean"),
    "untrained_sd": attrgetter("sd"),
}
#: Column of earlier targets -> what it holds.
EARLIER_COLUMNS: Mapping[str, Callable[[Prior], Any]] = {
    "earlier": attrgetter("value"),
    "earlier_targets": attrgetter("targets"),
    "earlier_same_task": attrgetter("same_task"),
    "earlier_weight": weight_of,
}
_NOTHING = Value(None)


def csv_columns(ranking: Ranking) -> list[CsvColumn]:
    """The columns in order.

    Example:
        >>> from acrank.records import Ranking
        >>> rows = [Row("a", "scored", scores={"s": Value(1.0, sd=0.1, low=0.8, high=1.2)})]
        >>> ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
        >>> {name: cell(ranking.rows[0]) for name, cell in csv_columns(ranking)[4:8]}
        {'s': 1.0, 's_sd': 0.1, 's_low': 0.8, 's_high': 1.2}
    """
    found: list[CsvColumn] = [(name, attrgetter(name)) for name in ("rank", "band", "model", "status")]
    for name in ranking.score_names:
        found += _of_score(name, with_interval=name == ranking.scored_by)
    if any(row.untrained for row in ranking.rows):
        found += [(name, _if_there("untrained", cell)) for name, cell in ZERO_COLUMNS.items()]
    if any(row.prior for row in ranking.rows):
        found += _of_earlier_targets(ranking)
    if any(row.refined for row in ranking.rows):
        found += [(name, _if_there("refined", cell)) for name, cell in TRAINING_COLUMNS.items()]
    return [*found, ("params", attrgetter("params")), ("seconds", attrgetter("cost")), ("reason", _reason)]


def _of_score(name: str, *, with_interval: bool) -> list[CsvColumn]:
    """A score, its deviation, and the ends of its interval where that makes bands."""

    def part(which: str) -> Callable[[Row], Any]:
        return lambda row: getattr(row.scores.get(name, _NOTHING), which)

    ends = [(f"{name}{INTERVAL[0]}", part("low")), (f"{name}{INTERVAL[1]}", part("high"))] if with_interval else []
    return [(name, lambda row: row.value(name)), (f"{name}_sd", part("sd")), *ends]


def _of_earlier_targets(ranking: Ranking) -> list[CsvColumn]:
    """What the joint ranking is made of: the share by the score, that on earlier targets, and its weight."""
    score = ranking.scored_by
    shares = shares_of(ranking.rows, score, higher_is_better=ranking.higher_is_better[score])
    more = [(name, _if_there("prior", cell)) for name, cell in EARLIER_COLUMNS.items()]
    return [("score_share", lambda row: shares.get(row.model)), *more]


def _if_there(part: str, cell: Callable[[Any], Any]) -> Callable[[Row], Any]:
    """A cell of what only some rows have."""
    return lambda row: None if getattr(row, part) is None else cell(getattr(row, part))


def _reason(row: Row) -> str:
    return row.reason or (row.refined.reason if row.refined else "")
