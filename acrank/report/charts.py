"""The charts of the report as Vega-Lite, written with Altair; the rows are those of `acrank.report.chart_data`.

Data stand in the page once and are named in the specifications. Names of scores and models are values or titles, never
field names or expressions, so nothing of a record is ever evaluated.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from acrank.report.chart_data import chart_name
from acrank.report.script_libraries import library

if TYPE_CHECKING:
    import altair

#: Candidates that a chart of rows shows at a time; a slider moves on to others.
WINDOW = 50
#: Colours that stand out on white and on near-black, also for colour-blind readers (Okabe-Ito, a little darker).
LEADING, OTHERS, FRONT = "#0f81c0", "#8a8f98", "#d55e00"
#: Fields of the layers -> what they are.
LAYER_VALUES = {"a": "AC-Corr", "d": "affine drift"}
#: The colour of a layer that has no value; a pointer finds it, unlike a transparent one.
WITHOUT_VALUE = "#88888822"
_EPOCHS = 10  # of a training, that its axis names at most, beside the first
_ROW = 18  # pixels of a candidate's row


@dataclass(frozen=True, kw_only=True)
class ScoreColumn:
    """A score as the charts know it.

    Attributes:
        name: of the score, as shown.
        higher: whether higher is better.
    """

    name: str
    higher: bool

    @property
    def title(self) -> str:
        """The name with its direction, for axes."""
        return f"{chart_name(self.name)} ({'higher' if self.higher else 'lower'} is better)"


def score_bars(scores: Mapping[int, ScoreColumn], count: int) -> dict[str, Any]:
    """Bars of a score that the reader chooses, at first of the first one, with intervals, in the order of the ranking.

    Args:
        scores: place in the rows -> score.
        count: candidates.
    """
    alt = library("altair")
    chosen = _choice(scores)
    base = _window(_named("candidates"), count).transform_calculate(
        v="datum['s' + score]", lo="datum['l' + score]", hi="datum['h' + score]"
    )
    x, y = alt.X("v:Q", title="value").axis(labelOverlap=True, format="~g"), _candidates_axis()
    tooltip = [alt.Tooltip("m:N", title="candidate"), *_numbers(v="value", lo="interval from", hi="interval to")]
    colour = alt.Color("lead:N", title=None).scale(domain=[True, False], range=[LEADING, OTHERS])
    colour = colour.legend(labelExpr="datum.value ? 'leading band' : 'other bands'")
    bars = base.mark_bar(height={"band": 0.7}).encode(x, y, colour, tooltip=tooltip)
    ends = base.transform_filter("isValid(datum.lo)").mark_rule(strokeWidth=2, color="currentColor", aria=False)
    return _spec(
        alt.layer(bars, ends.encode(alt.X("lo:Q", title=None), y, alt.X2("hi:Q"))).add_params(*chosen, *_slider(count)),
        rows=count,
    )


def cost_chart(score: ScoreColumn, cost: str, title: str, *, count: int) -> dict[str, Any]:
    """The ranking score against a cost, with the Pareto front.

    Args:
        score: the ranking score, `s0` of the rows.
        cost: field of the rows, positive numbers.
        title: of the cost.
        count: candidates; where they are many, screen readers are told of the front alone.
    """
    alt = library("altair")
    x = alt.X(f"{cost}:Q", title=f"{title} (log)").scale(type="log", nice=False, padding=12)
    x = x.axis(format="~s" if cost == "p" else "~g", tickCount=5)
    y = alt.Y("s0:Q", title=score.title).scale(zero=False, padding=12, reverse=not score.higher)
    tooltip = [alt.Tooltip("m:N", title="candidate"), *_numbers(**{cost: title, "s0": "score"})]
    points = _named("candidates").transform_filter(f"isValid(datum.{cost}) && isValid(datum.s0)")
    dots = points.mark_circle(size=64, color=OTHERS, opacity=0.8, aria=count <= WINDOW).encode(x, y, tooltip=tooltip)
    front = _named(f"front_{cost}")
    line = front.mark_line(interpolate="step-after", color=FRONT, strokeWidth=2, aria=False).encode(x, y)
    best = front.mark_point(size=150, color=FRONT, filled=True, opacity=1, shape="diamond").encode(
        x, y, tooltip=tooltip
    )
    align, dx = alt.expr("datum.east ? 'right' : 'left'"), alt.expr("datum.east ? -8 : 8")
    names = front.transform_filter("datum.named").mark_text(align=align, dx=dx, dy=-8, limit=170, aria=False)
    names = names.encode(x, y, text="m:N", color=alt.value("currentColor"))
    return _spec(dots + line + best + names, height=320)


def layer_map(count: int, floors: Mapping[str, float]) -> dict[str, Any]:
    """Heat map, candidate by layer, of AC-Corr or of the drift, on a logarithmic scale.

    A layer without a value is pale grey, which no value is.

    Args:
        count: candidates that have layers.
        floors: `a` (AC-Corr) and `d` (drift), or one of them -> the value that smaller ones, such as 0, are shown as.
    """
    alt = library("altair")
    what = _select("what", [*floors], [LAYER_VALUES[field] for field in floors], label="colour")
    names = alt.LookupData(data=alt.NamedData("bodies"), key="k", fields=["n", "c", "i"])
    base = _window(_named("layers"), count).transform_lookup("k", from_=names)
    cells = base.transform_flatten(["a", "d", "n", "c", "i"])
    least = " : ".join([*(f"what == '{field}' ? {floor}" for field, floor in floors.items()), "null"])
    cells = cells.transform_calculate(
        v=f"isValid(datum[what]) ? log(max(datum[what], {least})) / LN10 : null",
        **{
            f"{field}_text": f"isValid(datum.{field}) ? format(datum.{field}, '.4~g') : 'none'"
            for field in LAYER_VALUES
        },
    )
    tooltip = [
        *(alt.Tooltip(f"{field}:N", title=title) for field, title in (("m", "candidate"), ("n", "layer"))),
        alt.Tooltip("c:Q", title="channels"),
        *(alt.Tooltip(f"{field}_text:N", title=title) for field, title in LAYER_VALUES.items()),
    ]
    colour = alt.Color("v:Q", title="value (log)").scale(scheme="viridis")
    colour = colour.legend(orient="top", gradientLength=150, labelExpr="format(pow(10, datum.value), '.2~r')")
    x = alt.X("i:O", title="layer, input to output").axis(labelOverlap=True, labelAngle=0)
    # the order of two sets of rows together is not that of the ranks
    by_rank = alt.EncodingSortField(field="r", op="min")
    cells = cells.encode(x, _candidates_axis().sort(by_rank), tooltip=tooltip)
    known = cells.transform_filter("isValid(datum.v)").mark_rect(aria=False).encode(colour)
    others = cells.transform_filter("!isValid(datum.v)").mark_rect(aria=False, color=WITHOUT_VALUE)
    return _spec(alt.layer(known, others).add_params(what, *_slider(count)), rows=count)


def agreement_map(count: int) -> dict[str, Any]:
    """Kendall's tau between scores, as a matrix with its numbers."""
    alt = library("altair")
    x = alt.X("a:N", title=None, sort=None).axis(labelAngle=-40, labelLimit=130)
    y = alt.Y("b:N", title=None, sort=None)
    colour = alt.Color("tau:Q", title="Kendall's tau").scale(scheme="blueorange", domain=[-1, 1])
    colour = colour.legend(orient="top", gradientLength=150)
    fields = (("a:N", "score"), ("b:N", "and"), ("tau:Q", "tau"), ("n:Q", "candidates"))
    cells = _named("agreement").mark_rect(aria=False)
    cells = cells.encode(x, y, colour, tooltip=[alt.Tooltip(field, title=title) for field, title in fields])
    ink = alt.when("abs(datum.tau) > 0.75").then(alt.value("#fff")).otherwise(alt.value("#111"))
    numbers = _named("agreement").mark_text(fontSize=11 if count <= 12 else 8, aria=False)
    return _spec(alt.layer(cells, numbers.encode(x, y, alt.Text("tau:Q", format=".2f"), color=ink)), rows=2 * count)


def truth_scatter(scores: Mapping[int, ScoreColumn]) -> dict[str, Any]:
    """A chosen score, of those at their places among all scores, against the ground truth; intervals of both."""
    alt = library("altair")
    base = _named("candidates").transform_filter("isValid(datum.g)")
    base = base.transform_calculate(v="datum['s' + score]", lo="datum['l' + score]", hi="datum['h' + score]")
    base = base.transform_filter("isValid(datum.v)")
    x = alt.X("v:Q", title="score").scale(zero=False, padding=12).axis(labelOverlap=True, format="~g")
    y = alt.Y("g:Q", title="ground truth").scale(zero=False, padding=12)
    tooltip = [alt.Tooltip("m:N", title="candidate"), *_numbers(v="score", g="ground truth")]
    points = base.mark_circle(size=70, color=LEADING).encode(x, y, tooltip=tooltip)
    rule: dict[str, Any] = {"color": OTHERS, "strokeWidth": 1.5, "aria": False}
    across = base.transform_filter("isValid(datum.lo)").mark_rule(**rule).encode(alt.X("lo:Q"), y, alt.X2("hi:Q"))
    along = base.transform_filter("isValid(datum.gl)").mark_rule(**rule).encode(x, alt.Y("gl:Q"), alt.Y2("gh:Q"))
    return _spec(alt.layer(across, along, points).add_params(*_choice(scores)), height=360)


def learning_curves(metric: str, epochs: int) -> dict[str, Any]:
    """Quality on the validation images after each epoch, a line for each candidate that was trained.

    Args:
        metric: of the quality.
        epochs: of the longest training.
    """
    alt = library("altair")
    base = _named("curves")
    x = alt.X("e:Q", title="epoch").scale(padding=12, nice=False).axis(format="d", values=whole_epochs(epochs))
    y = alt.Y("q:Q", title=chart_name(metric)).scale(zero=False)
    colour = alt.Color("m:N", title=None, sort=None).scale(scheme="tableau10").legend(orient="top", columns=2)
    tooltip = [alt.Tooltip("m:N", title="candidate"), alt.Tooltip("e:Q", title="epoch"), *_numbers(q=metric)]
    lines = base.mark_line(point=True).encode(x, y, colour, tooltip=tooltip)
    ends = base.transform_filter("isValid(datum.lo)").mark_rule(aria=False)
    return _spec(lines + ends.encode(x, alt.Y("lo:Q"), alt.Y2("hi:Q"), colour), height=360)


def whole_epochs(count: int) -> list[int]:
    """The epochs that an axis names: the first, and every one, second, fifth, tenth, ... up to the last.

    >>> whole_epochs(2), whole_epochs(24)
    ([1, 2], [1, 5, 10, 15, 20])
    """
    steps = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
    step = next(one for one in steps if one * _EPOCHS >= count)
    return sorted({1, *range(step, count + 1, step)})


def _named(name: str) -> altair.Chart:
    alt = library("altair")
    chart: altair.Chart = alt.Chart(alt.NamedData(name))
    return chart


def _numbers(**titles: str) -> list[Any]:
    """Tooltip entries of numbers: field=title."""
    alt = library("altair")
    return [alt.Tooltip(f"{field}:Q", title=title, format=".4~g") for field, title in titles.items()]


def _candidates_axis() -> Any:
    """Candidates in the order of their ranks, which is that of the rows."""
    return library("altair").Y("m:N", title=None, sort=None)


def _choice(scores: Mapping[int, ScoreColumn]) -> list[Any]:
    """The parameter `score`: the place of a score, chosen by its title."""
    return [_select("score", [str(one) for one in scores], [one.title for one in scores.values()], label="score")]


def _select(parameter: str, options: Sequence[str], titles: Sequence[str], *, label: str) -> Any:
    alt = library("altair")
    bind = alt.binding_select(options=list(options), labels=list(titles), name=f"{label} ")
    return alt.param(name=parameter, value=options[0], bind=bind)


def _slider(count: int) -> list[Any]:
    """The parameter `first`: the rank that a chart begins with, where it does not hold all candidates."""
    if count <= WINDOW:
        return []
    alt = library("altair")
    bind = alt.binding_range(min=1, max=count - WINDOW + 1, step=1, name=f"from rank ({WINDOW} shown) ")
    return [alt.param(name="first", value=1, bind=bind)]


def _window(chart: altair.Chart, count: int) -> altair.Chart:
    return chart.transform_filter(f"datum.r >= first && datum.r < first + {WINDOW}") if count > WINDOW else chart


def _spec(chart: Any, *, height: int = 0, rows: int = 0) -> dict[str, Any]:
    """The Vega-Lite specification, as wide as its place in the page; `height` pixels in all, or so many rows high."""
    alt = library("altair")
    fit = alt.AutoSizeParams(type="fit-x" if rows else "fit", contains="padding")
    high = _ROW * min(rows, WINDOW) if rows else height
    spec: dict[str, Any] = chart.properties(width="container", height=high, autosize=fit).to_dict()
    return {name: value for name, value in spec.items() if name != "config"}
