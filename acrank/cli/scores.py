"""`acrank scores`: what scores there are."""

from __future__ import annotations

from acrank.cli.console import check_outputs, show, write
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.scores import SCORES, Score
from acrank.system.view import Column, View


def scores(
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """List the scores: what each needs, its direction and range, the tasks it is for, its cost and its paper."""
    check_outputs(output or [])
    check_replaceable(output or [], [], kinds=["scores"], overwrite=overwrite)
    view = view_of_scores()
    show(view, format)
    write(view, output or [])


def view_of_scores() -> View:
    """SCORES as a table; the terminal leaves the papers out."""
    records = [_record(score) for score in SCORES.values()]
    columns = list(records[0])
    return View(
        columns=columns,
        rows=[[_cell(record[column]) for column in columns] for record in records],
        record={"kind": "acrank-scores", "schema_version": 1, "scores": records},
        title="Scores",
        brief=[column for column in columns if column != "paper"],
        layout=[
            Column(name="name", priority=0, fit="shorten", least=16, ease=30),
            Column(name="needs", priority=5, fit="wrap", least=14),
            Column(name="direction", priority=0),
            Column(name="range", priority=3),
            Column(name="tasks", priority=2, fit="wrap", least=16),
            Column(name="pool_relative", priority=6, heading="pool relative"),
            Column(name="cost", priority=1, fit="wrap", least=14),
        ],
    )


def _record(score: Score) -> dict[str, object]:
    return {
        "name": score.name,
        "needs": list(score.needs),
        "direction": "higher" if score.higher_is_better else "lower",
        "range": list(score.range),
        "tasks": list(score.tasks),
        "pool_relative": score.pool_relative,
        "cost": score.cost,
        "paper": score.paper,
    }


def _cell(value: object) -> object:
    if not isinstance(value, list):
        return value
    if value and all(isinstance(end, float | None) for end in value):
        low, high = value
        return f"{'-inf' if low is None else format(low, 'g')} to {'inf' if high is None else format(high, 'g')}"
    return ", ".join(value)
