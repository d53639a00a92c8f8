"""What scoring a candidate costs: seconds by part, measured now or when the cache's entries were computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from acrank.records import Row
from acrank.scores.inputs import CandidateInfo

LOAD, PASS, TWIN = "load", "pass", "untrained"
_DIGITS = 4


class Costs:
    """The costs of one row by part: loading, the passes over each draw, the drift, the scores of each draw.

    What the cache gave counts as much as it took to compute. Loading counts once: as measured, where that was done,
    else as the entries of the cache have it.

    Args:
        first: number of the first draw, as rounds of a race load a candidate anew.

    Example:
        >>> costs = Costs(0)
        >>> costs.cached("draw 0", {"load": 2.0, "pass": 1.0})
        >>> costs.computed("scores 0", 0.5)
        >>> costs.parts()
        {'load 0': 2.0, 'draw 0': 1.0, 'scores 0': 0.5}
    """

    def __init__(self, first: int) -> None:
        self._load = f"{LOAD} {first}"
        self._loads: list[float | None] = []
        self._measured: float | None = None
        self._parts: dict[str, float | None] = {}

    def loaded(self, seconds: float) -> None:
        """Count the seconds until network and images were there."""
        self._measured = seconds

    def computed(self, part: str, seconds: float) -> None:
        """Count a part that was computed now."""
        self._parts[part] = seconds

    def cached(self, part: str, entry: Mapping[str, float]) -> None:
        """Count a part that the cache gave, by the seconds that its entry keeps."""
        self._parts[part] = entry.get(PASS)
        self._loads.append(entry.get(LOAD))

    def kept_with(self, info: CandidateInfo, seconds: float) -> CandidateInfo:
        """The info that goes into the cache beside a part that was computed now, with what loading and it took."""
        return dataclasses.replace(info, seconds={LOAD: self._measured or 0.0, PASS: seconds})

    def parts(self) -> dict[str, float]:
        """Seconds by part; empty where one of them is not known."""
        loads = [one for one in self._loads if one is not None]
        load = max(loads, default=None) if self._measured is None else self._measured
        found = {self._load: load, **self._parts}
        known = {name: round(one, _DIGITS) for name, one in found.items() if one is not None}
        return known if len(known) == len(found) else {}


def with_costs(row: Row, parts: Mapping[str, float]) -> Row:
    """The row with the seconds of these parts, rounded, and their sum; None of it where there are no parts."""
    known = {name: round(seconds, _DIGITS) for name, seconds in parts.items()}
    whole = round(sum(known.values()), _DIGITS) if known else None
    return dataclasses.replace(row, seconds=whole, details=dataclasses.replace(row.details, took=known))


def with_both_costs(row: Row, earlier: Row, later: Row) -> Row:
    """A row with the costs of two rounds of it: a part of both counts once, as the later one has it.

    Where those of the earlier one are not known, as in the record of an earlier version whose cache gave it, the sum is
    not known either.
    """
    if earlier.cost is None and earlier.details.cached:
        return with_costs(row, {})
    before = earlier.details.took or {"earlier": earlier.cost or 0.0}
    return with_costs(row, {**before, **(later.details.took or {"failed": later.cost or 0.0})})


def without_twins(row: Row) -> Row:
    """The row without its zero point, and without what that cost."""
    row = dataclasses.replace(row, untrained=None)
    kept = {name: seconds for name, seconds in row.details.took.items() if not name.startswith(TWIN)}
    return row if kept == row.details.took else with_costs(row, kept)
