"""How a ranking's table reads: the ranking score as a share of the best, with its interval as a bar."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from acrank.system.view import EXTRA, Bar, Column, View
from acrank.system.words import from_to

#: A value, and the ends of its interval; None where there is none.
Interval = tuple[float | None, float | None, float | None]
_Shares = tuple[float, float | None, float | None]
#: An axis reaches this far beyond the best at most: of an interval that is wider, the end of the axis is shown.
FURTHEST = 2.0
#: Marks of rows -> what they mean.
MARKS = {"*": "the run record has notes on this row", "u": "looks untrained"}


@dataclass(frozen=True, kw_only=True)
class ReadableScale:
    """Values on a scale from 0 to 100, in the order of the rows.

    Attributes:
        name: "% of best", or "0 to 100".
        meaning: what 100 is, and what 0.
        places: each value on the scale; None where there is none.
        bars: each value and its interval on an axis from 0 to 1; None where there is none.
        zeros: what drawn weights get, on the same scale.
    """

    name: str
    meaning: str
    places: list[float | None]
    bars: list[Bar | None]
    zeros: list[float | None] = dataclasses.field(default_factory=list)


def readable_scale(
    values: Sequence[Interval], *, higher_is_better: bool, zeros: Sequence[float | None] = ()
) -> ReadableScale:
    """Values as shares of the best, or as places between the last and the first where shares mean nothing.

    Shares need values that are not negative: v / best where higher is better, best / v where lower is. Otherwise 0 is
    the last and 100 the first of these candidates.

    Example:
        >>> scale = readable_scale([(0.4, 0.3, 0.5), (0.1, None, None), (None, None, None)], higher_is_better=True)
        >>> scale.name, scale.places, scale.bars[1]
        ('% of best', [100.0, 25.0, None], Bar(value=0.2, low=None, high=None))
        >>> readable_scale([(-1.0, None, None), (-3.0, None, None)], higher_is_better=True).places
        [100.0, 0.0]
    """
    known = [value for value, _, _ in values if value is not None and math.isfinite(value)]
    if not known:
        nothing: list[Any] = [None] * len(values)
        return ReadableScale(name="% of best", meaning="", places=nothing, bars=nothing, zeros=[None] * len(zeros))
    best = max(known) if higher_is_better else min(known)
    worst = min(known) if higher_is_better else max(known)
    as_shares = min(known) >= 0 and best > 0

    def share(value: float) -> float:
        if not as_shares:
            return 1.0 if best == worst else (value - worst) / (best - worst)
        if higher_is_better:
            return value / best
        return best / value if value > 0 else FURTHEST

    found = [_shares(value, share) for value in values]
    ends = [end for one in found if one is not None for end in one if end is not None]
    axis = min(FURTHEST, max([1.0, *ends]))
    ends_of = f"where 0 is the worst, {worst:.4g}, and 100 the best, {best:.4g}"
    meaning = f"as a share of the best, {best:.4g}" if as_shares else ends_of
    return ReadableScale(
        name="% of best" if as_shares else "0 to 100",
        meaning=meaning,
        places=[None if one is None else round(100 * one[0], 1) for one in found],
        bars=[None if one is None else _bar(one, axis) for one in found],
        zeros=[None if one is None else round(100 * share(one), 1) for one in zeros],
    )


def _bar(shares: _Shares, axis: float) -> Bar:
    value, low, high = (None if one is None else min(1.0, max(0.0, one / axis)) for one in shares)
    return Bar(value or 0.0, low, high)


def _shares(value: Interval, share: Callable[[float], float]) -> _Shares | None:
    middle, low, high = value
    if middle is None or not math.isfinite(middle):
        return None
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return share(middle), None, None
    one, other = sorted((share(low), share(high)))
    return share(middle), one, other


def ranked_view(
    view: View,
    values: Sequence[Interval],
    *,
    scores: Sequence[str],
    shown: str,
    higher_is_better: bool,
    target: str,
    marks: Sequence[str],
    zero: Sequence[float | None] = (),
    within_zero: Sequence[bool] = (),
    trained: Trained | None = None,
    more: Sequence[Column] = (),
    footer: Sequence[str] = (),
) -> View:
    """The view of a ranking with what its table for people shows.

    Args:
        view: its columns begin with rank, band, model and status; `seconds` and `reason` are among them; skipped rows
            come last.
        values: of the score on the readable scale, in the order of the rows.
        scores: the ranking one, then the others, most important first.
        shown: the score on the readable scale: the ranking one, or one of those that it is made of.
        higher_is_better: direction of `shown`.
        target: its name.
        marks: for each row, of `MARKS`.
        zero: what drawn weights get of `shown`, for each row; none where that is not known.
        within_zero: for each row, whether its value is within what they get.
        trained: what short trainings gave, whose intervals then are the bars; None where there were none.
        more: further columns, which stand behind the interval.
        footer: sentences at the end.
    """
    name, *others = scores
    status, reason, model = (view.columns.index(column) for column in ("status", "reason", "model"))
    skipped = [row for row in view.rows if row[status] == "skipped"]
    direction = "higher" if higher_is_better or shown != name else "lower"
    sd = f"{name}_sd"
    deviates = sd in view.columns and any(row[view.columns.index(sd)] is not None for row in view.rows)
    brief = ["rank", "band", "model", name, *([sd] if deviates else []), *others, "seconds"]
    return dataclasses.replace(
        view,
        title=f"{target}: by {_title_of(name, shown, trained=trained, more=more)} ({direction} is better)",
        brief=[*brief, "status", "reason"] if skipped else brief,
        layout=_layout(
            values,
            scores,
            shown=shown,
            scale=readable_scale(values, higher_is_better=higher_is_better, zeros=zero),
            within_zero=within_zero,
            marks=marks,
            deviates=deviates,
            trained=trained,
            more=more,
        ),
        parted_by="band",
        table_rows=len(view.rows) - len(skipped),
        below=[(f"skipped {row[model]}", row[reason]) for row in skipped],
        footer=list(footer),
    )


def _title_of(name: str, shown: str, *, trained: Trained | None, more: Sequence[Column]) -> str:
    """The ranking score; of one that is made of others with what joins in it."""
    parts = [shown, *(["earlier targets"] if more else []), *(["short trainings"] if trained else [])]
    return name if shown == name else f"{name} of {', '.join(parts[:-1])} and {parts[-1]}"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What short trainings gave.

    Attributes:
        metric: of the qualities.
        qualities: in the order of the rows, with their intervals; None where a candidate was not trained.
    """

    metric: str
    qualities: Sequence[Interval | None]

    def columns(self) -> list[Column]:
        """The quality of each row, its interval as a bar from 0 to the highest, and in figures.

        Example:
            >>> found = Trained(metric="dice", qualities=[(0.8, 0.7, 0.9), None]).columns()
            >>> [column.cells for column in found if column.name != "interval"]
            [[0.8, None], ['0.70 to 0.90', None]]
        """
        found = [one or (None, None, None) for one in self.qualities]
        ends = [None if low is None or high is None else from_to(low, high, ".2f") for _, low, high in found]
        legend = f"trained: {self.metric} on validation images after a short training"
        return [
            Column(name="trained", cells=[value for value, _, _ in found], digits=3, legend=legend, priority=0),
            _bar_column("interval", readable_scale(found, higher_is_better=True)),
            Column(name="trained 95%", cells=list(ends), priority=EXTRA),
        ]


def _bar_column(name: str, scale: ReadableScale) -> Column:
    return Column(name=name, cells=list(scale.bars), priority=2, fit="bar", least=12, ease=16, most=24)


def earlier_columns(shares: Sequence[float | None]) -> list[Column]:
    """The column of what earlier targets say, where they say something of any candidate."""
    legend = "earlier: share of the other candidates that it beat when finetuned on earlier targets"
    known = any(one is not None for one in shares)
    return [Column(name="earlier", cells=list(shares), digits=2, priority=5, legend=legend)] if known else []


def _layout(
    values: Sequence[Interval],
    scores: Sequence[str],
    *,
    shown: str,
    scale: ReadableScale,
    within_zero: Sequence[bool],
    marks: Sequence[str],
    deviates: bool,
    trained: Trained | None,
    more: Sequence[Column],
) -> list[Column]:
    name, *others = scores
    of_trained = trained is not None and any(one and one[1] is not None for one in trained.qualities)
    bounded = of_trained or any(low is not None for _, low, _ in values)
    bar = ("├──●──┤ the interval of trained" if trained else "├──●──┤ its interval") if bounded else "━━● as a bar"
    legend = f"{scale.name}: {shown} {scale.meaning}; {bar}" + ("; a rule parts the bands" if bounded else "")
    of_scale = Column(name=scale.name, cells=list(scale.places), digits=1, legend=legend if scale.meaning else "")
    bars = [_bar_column("interval" if bounded else "bar", scale)]
    return [
        Column(name="rank", priority=0),
        *([Column(name="band", priority=EXTRA + 10_000)] if bounded else []),
        Column(name="model", priority=0, fit="shorten", least=18, ease=27),
        *([*trained.columns(), of_scale] if trained else [of_scale, *bars]),
        *_zero_columns(scale, within_zero),
        *more,
        Column(name=name, priority=EXTRA + 10_001),
        *([Column(name=f"{name}_sd", priority=EXTRA + 10_002)] if deviates else []),
        *(Column(name=name, priority=EXTRA + place) for place, name in enumerate(others)),
        Column(name="params", priority=EXTRA + 10_003),
        Column(name="seconds", priority=4, digits=1),
        *([_marks(marks)] if any(marks) else []),
    ]


def _zero_columns(scale: ReadableScale, within: Sequence[bool]) -> list[Column]:
    """The column of what drawn weights get, where that is known of any row."""
    if all(one is None for one in scale.zeros):
        return []
    pairs = zip(scale.zeros, within, strict=True)
    cells = [None if zero is None else f"{'=' if same else ' '} {zero:.1f}" for zero, same in pairs]
    legend = "untrained: its architecture with drawn weights, on the same scale; = where it is no better than those"
    return [Column(name="untrained", cells=list(cells), priority=2, legend=legend)]


def _marks(marks: Sequence[str]) -> Column:
    legend = "; ".join(f"{mark}: {meaning}" for mark, meaning in MARKS.items() if any(mark in one for one in marks))
    return Column(name="notes", cells=list(marks), priority=3, legend=legend)
