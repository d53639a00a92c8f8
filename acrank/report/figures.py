"""Which charts a run has, each with what it shows in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from acrank.formats.cells import visible
from acrank.report import charts
from acrank.report.chart_data import ranked_rows
from acrank.report.charts import LAYER_VALUES, ScoreColumn

if TYPE_CHECKING:
    from acrank.records import Ranking

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart of the page.

    Attributes:
        id: of its place in the page.
        title: its heading.
        caption: what it shows and how to read it; screen readers say it in place of the chart.
        spec: Vega-Lite.
        wide: whether it takes the whole width of the page.
    """

    id: str
    title: str
    caption: str
    spec: dict[str, Any]
    wide: bool = True

    def for_page(self) -> dict[str, Any]:
        """What the page's script needs."""
        description = f"{self.title}. {self.caption}"
        data = sorted(_data_of(self.spec))
        return {"id": self.id, "title": self.title, "spec": self.spec, "description": description, "data": data}


def _data_of(spec: Any) -> set[str]:
    """The names of the data sets that a specification reads."""
    if isinstance(spec, list):
        return set().union(*map(_data_of, spec))
    if not isinstance(spec, dict):
        return set()
    own = {spec["data"]["name"]} if "data" in spec else set()
    return own.union(*map(_data_of, spec.values()))


def figures(ranking: Ranking, datasets: Mapping[str, Rows], *, left_out: Mapping[str, str]) -> list[Figure]:
    """The charts that a run has data for.

    Args:
        ranking: the run.
        datasets: name -> rows that the charts read.
        left_out: score -> why it is not plotted against the truth.
    """
    rows = datasets["candidates"]
    if not rows:
        return []
    scores = [ScoreColumn(name=name, higher=ranking.higher_is_better.get(name, True)) for name in ranking.score_names]
    found = [_bars(scores, ranking)]
    found += [_cost(scores[0], datasets, cost) for cost in _COSTS if any(cost in row for row in rows)]
    if floors := _floors(datasets["layers"]):
        found.append(_layers(datasets["layers"], floors))
    if any(row["a"] != row["b"] for row in datasets["agreement"]):
        found.append(_agreement(datasets["agreement"], scores))
    if datasets["curves"]:
        found.append(_curves(ranking, datasets["curves"]))
    if any("g" in row for row in rows):
        found.append(_truth(scores, rows, left_out))
    return found


_COSTS = {"p": "parameters", "t": "seconds of scoring"}


def _bars(scores: Sequence[ScoreColumn], ranking: Ranking) -> Figure:
    best = ranked_rows(ranking)[0]
    bounded = any((one := row.scores.get(ranking.rank_by)) and one.low is not None for row in ranking.rows)
    trained = any(row.refined is not None and row.refined.quality is not None for row in ranking.rows)
    lines = "Lines are intervals: where two of about equal width do not overlap, they differ at the 5% level."
    lines = lines if bounded or trained else ""
    chosen = dict(enumerate(scores))
    if trained:
        quality = ScoreColumn(name=f"{trained_metric(ranking)} of a short training", higher=True)
        chosen = {len(scores): quality, **chosen}
        lines = f"Bars are of {quality.name}, which not all candidates need have; others may be chosen. {lines}"
    return Figure(
        id="scores",
        title="Scores",
        caption=f"A bar for each candidate, in the order of the ranking; {visible(best.model)} is first. {lines}",
        spec=charts.score_bars(chosen, len(ranked_rows(ranking))),
    )


def _cost(score: ScoreColumn, datasets: Mapping[str, Rows], cost: str) -> Figure:
    front = datasets[f"front_{cost}"]
    names = ", ".join(str(row["m"]) for row in front[:5]) + (" and others" if len(front) > 5 else "")
    return Figure(
        id=f"cost-{cost}",
        title=f"Score and {_COSTS[cost]}",
        caption=f"Diamonds are the Pareto front: no candidate has both a better score and fewer {_COSTS[cost]}. "
        f"From the cheapest: {names}.",
        spec=charts.cost_chart(score, cost, _COSTS[cost], count=len(datasets["candidates"])),
        wide=False,
    )


def _layers(rows: Rows, floors: Mapping[str, float]) -> Figure:
    most = max(len(row["d"]) for row in rows)
    left_out = any(value is None for row in rows for value in row["a"])
    without = " Layers whose affines are all equal, as at the start of training, are left out of AC-Corr (grey)."
    return Figure(
        id="layers",
        title="Where source and target part",
        caption=f"AC-Corr and affine drift of each normalisation layer, at most {most}: a row is a candidate, a column "
        "a layer counted from the input. Bright layers are where the target moves the affines most (drift), or where "
        "their correlation between source and target is largest (AC-Corr: of a layer the sum over its channels, in the "
        f"ranking per channel, mean over layers).{without if left_out else ''}",
        spec=charts.layer_map(len(rows), floors),
    )


def _floors(rows: Rows) -> dict[str, float]:
    """The smallest value above 0 of each field of the layers that has one: a logarithmic scale begins there."""
    known = {name: [value for row in rows for value in row[name] if value and value > 0] for name in LAYER_VALUES}
    return {name: min(values) for name, values in known.items() if values}


def _agreement(rows: Rows, scores: Sequence[ScoreColumn]) -> Figure:
    pairs = {tuple(sorted((row["a"], row["b"]))): float(row["tau"]) for row in rows if row["a"] != row["b"]}
    return Figure(
        id="agreement",
        title="Agreement of the scores",
        caption="Kendall's tau between the orders that two scores give, each with its better end first: 1 is the same "
        f"order, -1 the reverse. {_alike(pairs)}",
        spec=charts.agreement_map(len(scores)),
        wide=len(scores) > 8,
    )


def _alike(pairs: Mapping[tuple[str, ...], float]) -> str:
    """Which two scores are most alike and which least, and how many other pairs have the same tau at two digits."""
    shown = {pair: f"{round(tau, 2) + 0.0:.2f}" for pair, tau in pairs.items()}  # no -0.00
    least, most = (min(pairs, key=lambda pair: (sign * pairs[pair], pair)) for sign in (1, -1))
    if shown[least] == shown[most]:
        only = f"{most[0]} and {most[1]} have {shown[most]}."
        return only if len(pairs) == 1 else f"All {len(pairs)} pairs of scores have {shown[most]}."

    def said(pair: tuple[str, ...]) -> str:
        others = sum(text == shown[pair] for text in shown.values()) - 1
        more = "" if not others else "; so is 1 other pair" if others == 1 else f"; so are {others} other pairs"
        return f"{pair[0]} and {pair[1]} ({shown[pair]}{more})"

    return f"Most alike are {said(most)}, least alike {said(least)}."


def trained_metric(ranking: Ranking) -> str:
    """By what the short trainings are judged."""
    return next(visible(row.refined.metric) for row in ranking.rows if row.refined and row.refined.quality is not None)


def _curves(ranking: Ranking, rows: Rows) -> Figure:
    metric = trained_metric(ranking)
    last = {str(row["m"]): float(row["q"]) for row in rows}
    best = max(last, key=lambda label: last[label])
    return Figure(
        id="curves",
        title="Short training",
        caption=f"Quality ({metric}) of {len(last)} candidates after each epoch of a short training; {best} ends "
        f"highest, at {last[best]:.4g}. Upright lines at the end are 95% intervals.",
        spec=charts.learning_curves(metric, max(int(row["e"]) for row in rows)),
        wide=False,
    )


def _truth(scores: Sequence[ScoreColumn], rows: Rows, left_out: Mapping[str, str]) -> Figure:
    from acrank.comparison.statistics import kendall_tau

    known = [row for row in rows if "g" in row]
    said = []
    plotted = {place: score for place, score in enumerate(scores) if score.name not in left_out}
    for place, score in plotted.items():
        pairs = [(row[f"s{place}"], row["g"]) for row in known if f"s{place}" in row]
        tau = kendall_tau(*zip(*pairs, strict=True)) if pairs else float("nan")
        said.append(f"{visible(score.name)} {tau if score.higher else -tau:.2f}")
    return Figure(
        id="truth",
        title="Score and ground truth",
        caption=f"Finetuned performance of {len(known)} candidates; lines are intervals. Kendall's tau with the "
        f"truth, higher is better for every score: {', '.join(said)}."
        + "".join(f" Left out: {visible(why)}." for why in left_out.values()),
        spec=charts.truth_scatter(plotted),
        wide=False,
    )
