"""What changed from one run to another: for the pull request that swaps a checkpoint."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from acrank.errors import GatesError
from acrank.gates.check_report import one_line
from acrank.records import Ranking, Row
from acrank.system.view import View


@dataclass(frozen=True, kw_only=True)
class Change:
    """One model before and after.

    Attributes:
        model: its id.
        rank_before, rank_after: None where it had no rank.
        before, after: its values of the ranking score.
        difference: after minus before; None where a value is missing.
        change: "same", "within noise" (the two intervals overlap, as within a band), "better" or "worse" (they do
            not), "unknown" (the values differ, and neither has an interval), "new", "gone", or "skipped" before or now.
    """

    model: str
    rank_before: int | None
    rank_after: int | None
    before: float | None
    after: float | None
    difference: float | None
    change: str


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What changed, the models of the run first, in its order; `notes` say what else differs between the runs."""

    score: str
    baseline: str
    models: list[Change]
    notes: list[str]

    def view(self) -> View:
        """A row for each model."""
        columns = ["model", "rank_before", "rank_after", "before", "after", "difference", "change"]
        rows = [[getattr(one, name) for name in columns] for one in self.models]
        title = f"{self.score} against {self.baseline}" + "".join(f"; {note}" for note in self.notes)
        return View(columns=columns, rows=rows, record=self.record(), title=title)

    def record(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


def changes_since(baseline: Ranking, ranking: Ranking, *, where: str = "the baseline") -> Changes:
    """Every model of two runs, before and after.

    Args:
        baseline, ranking: the run before, and the run now.
        where: what messages call the baseline.

    Raises:
        GatesError: the runs are ranked by different scores, or in different directions.

    Example:
        >>> from acrank.records import Value
        >>> runs = [Ranking.of([Row("a", "scored", scores={"s": Value(x, 0.1, x - 1, x + 1)})], rank_by="s",
        ...                    higher_is_better={"s": True}) for x in (1.0, 2.0)]
        >>> changes_since(runs[0], runs[1]).models[0].change
        'within noise'
    """
    name = ranking.rank_by
    if (baseline.rank_by, baseline.higher_is_better.get(name)) != (name, ranking.higher_is_better[name]):
        raise GatesError(
            f"{where} is ranked by {baseline.rank_by!r}, the run by {name!r}: nothing to compare",
            hint="rank both by the same score",
        )
    before, after = ({row.model: row for row in run.rows} for run in (baseline, ranking))
    higher = ranking.higher_is_better[name]
    models = [_change(before.get(model), after.get(model), name, higher=higher) for model in {**after, **before}]
    return Changes(score=one_line(name), baseline=one_line(where), models=models, notes=_notes(baseline, ranking))


def read_changes(path: str | os.PathLike[str], ranking: Ranking) -> Changes:
    """The changes since a baseline on disk; raises TableError where that is no run record."""
    return changes_since(Ranking.load(path), ranking, where=str(path))


def _change(before: Row | None, after: Row | None, name: str, *, higher: bool) -> Change:
    rows = [before, after]
    values = [None if row is None or row.status != "scored" else row.value(name) for row in rows]
    known = [value for value in values if value is not None]
    return Change(
        model=one_line((after or before or Row("", "skipped")).model),
        rank_before=before.rank if before else None,
        rank_after=after.rank if after else None,
        before=values[0],
        after=values[1],
        difference=known[1] - known[0] if len(known) == 2 else None,
        change=_kind(before, after, name, higher=higher),
    )


def _kind(before: Row | None, after: Row | None, name: str, *, higher: bool) -> str:
    if before is None or after is None:
        return "new" if before is None else "gone"
    if before.status != "scored" or after.status != "scored":
        return "skipped" if after.status != "scored" else "was skipped"
    old, new = before.value(name), after.value(name)
    if old is None or new is None or old == new:
        return "same" if old == new else "no value"
    one, other = before.scores[name], after.scores[name]
    if one.low is None and other.low is None:
        return "unknown"
    if one.overlaps(other):
        return "within noise"
    return "better" if (new > old) == higher else "worse"


def _notes(baseline: Ranking, ranking: Ranking) -> list[str]:
    """What makes the two runs hard to compare."""
    found = [f"{name}{run.lacking}" for name, run in (("", ranking), ("before, ", baseline)) if run.lacking]
    for part, what in (("fingerprint", "other images or labels"), ("draws", "other draws")):
        if baseline.target.get(part) != ranking.target.get(part):
            found.append(what)
    keys = ("protocol", "samples", "step_size", "layers", "head", "per_channel", "statistics")
    differing = [key for key in keys if baseline.settings.get(key) != ranking.settings.get(key)]
    return found + ([f"other settings: {', '.join(differing)}"] if differing else [])
