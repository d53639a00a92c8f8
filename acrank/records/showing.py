"""A ranking at Python's prompt, in a notebook and as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acrank.errors import UsageError
from acrank.records.row import Row
from acrank.system.imports import extra
from acrank.system.notebook import first_lines, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acrank.records.run import Ranking

_MOST_BARS = 60  # candidates of a plot: more names could not be read
_COLOURS = ("#0072b2", "#56b4e9")  # of every other band, told apart by colour-blind people, too


def text_of(ranking: Ranking) -> str:
    """A few lines: target, ranking score, the first candidates with their bands, what was skipped, and warnings."""
    skipped = sum(row.status == "skipped" for row in ranking.rows)
    ranked = [row for row in ranking.rows if row.rank is not None]
    count = f"{len(ranked)} ranked" + (f", {skipped} skipped" if skipped else "")
    target = short_name(str(ranking.target.get("name", "a target")))
    lacking = [f"  warning: {ranking.lacking}"] if ranking.lacking else []
    return (
        "\n".join(
            [
                f"<Ranking for {target} by {short_name(ranking.rank_by)}: {count}",
                *first_lines([_line(row, ranking.rank_by) for row in ranked]),
                *lacking,
                *first_lines([f"warning: {short_name(text)}" for text in ranking.warnings], most=2),
            ]
        )
        + ">"
    )


def text_of_row(row: Row) -> str:
    """One line: rank, model and scores, or why it was skipped."""
    if row.status == "skipped":
        return f"<Row {short_name(row.model)} skipped: {short_name(row.reason)}>"
    known = {name: row.value(name) for name in row.scores}
    scores = ", ".join(f"{short_name(name)} {value:.4g}" for name, value in known.items() if value is not None)
    return f"<Row {short_name(row.model)}, rank {row.rank or '–'}: {scores or 'no value'}>"


def plot_ranking(ranking: Ranking, axes: Axes | None = None, *, most: int = 20) -> Axes:
    """The ranking score of the first candidates with its intervals, best on top; bands alternate in colour.

    Args:
        ranking: that ranks at least one candidate.
        axes: to draw on; None makes a figure.
        most: candidates that are drawn, from 1 to 60.

    Raises:
        UsageError: nothing is ranked, or `most` is out of range.
        MissingExtraError: matplotlib is not installed.
    """
    if not 1 <= most <= _MOST_BARS:
        raise UsageError(f"most is {most}", hint=f"it must be from 1 to {_MOST_BARS}")
    rows = [row for row in ranking.rows if row.rank is not None][:most]
    if not rows:
        raise UsageError("the ranking ranks nothing, so there is nothing to plot", hint="see the reasons of its rows")
    name, values = ranking.rank_by, [row.scores[ranking.rank_by] for row in rows]
    axes = axes if axes is not None else _new_axes(len(rows))
    places = range(len(rows))
    middles = [value.value or 0.0 for value in values]
    below = [max(0.0, middle - value.interval[0]) for middle, value in zip(middles, values, strict=True)]
    above = [max(0.0, value.interval[1] - middle) for middle, value in zip(middles, values, strict=True)]
    colours = [_COLOURS[((row.band or 1) - 1) % 2] for row in rows]
    axes.barh(places, middles, xerr=[below, above], color=colours, error_kw={"elinewidth": 1, "capsize": 2})
    axes.set_yticks(places, [short_name(row.model) for row in rows], parse_math=False)
    axes.invert_yaxis()
    direction = "higher" if ranking.higher_is_better[name] else "lower"
    axes.set_xlabel(f"{short_name(name)} ({direction} is better)", parse_math=False)
    title = short_name(str(ranking.target.get("name", "")))
    axes.set_title("\n".join(filter(None, [title, ranking.lacking])), parse_math=False)
    return axes


def _new_axes(count: int) -> Axes:
    plots = extra("matplotlib.pyplot", "plot", "plots need")
    _, axes = plots.subplots(figsize=(7, 1.2 + 0.3 * count), layout="constrained")
    found: Axes = axes
    return found


def _line(row: Row, name: str) -> str:
    value = row.scores[name]
    band = f", band {row.band}" if row.band else ""
    interval = "" if value.low is None else " [{:.4g}, {:.4g}]".format(*value.interval)
    return f"{row.rank}. {short_name(row.model)} {value.value:.4g}{interval}{band}"
