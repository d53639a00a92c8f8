"""The tables of the report as cells of text; the template makes HTML of them and escapes every one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from acrank.comparison.comparison_record import check_comparison
from acrank.formats.cells import cell_text, is_number, visible
from acrank.system.words import from_to

if TYPE_CHECKING:
    from acrank.records import Ranking, Row

_FIGURES = ("weighted_tau", "kendall_tau", "spearman", "pearson", "residual", "difference")
_REFINED, _PRIOR, _UNTRAINED = "trained", "prior", "untrained"  # titles of columns
_PRIOR_MEANS = "share of the other candidates that it beat when finetuned on earlier targets"
_UNTRAINED_MEANS = "ranking score of the same architecture with drawn weights, mean and deviation over its twins"
#: What a cell without a value sorts as: below every number.
_LOWEST = "-1e308"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        text: as shown.
        below: smaller text under it, such as an interval.
        order: what it sorts by, where that is not its text.
        numeric: whether it is a number, and so right-aligned.
        lines: longer texts that the cell opens on demand.
        is_head: whether it names its row.
    """

    text: str
    below: str = ""
    order: str = ""
    numeric: bool = False
    lines: list[str] = field(default_factory=list)
    is_head: bool = False


@dataclass(frozen=True, kw_only=True)
class PageRow:
    """The cells of a row, and whether another band begins with it."""

    cells: list[Cell]
    starts_band: bool = False


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """A table of the page.

    Attributes:
        columns: (title, what the title means or "").
        rows: as many cells as columns.
        filters: place of a column -> (label, its values): what a reader can choose from.
    """

    columns: list[tuple[str, str]]
    rows: list[PageRow]
    filters: dict[int, tuple[str, list[str]]] = field(default_factory=dict)


def ranking_table(ranking: Ranking) -> PageTable:
    """Every candidate of a run: rank, band, scores with their intervals, costs, and why it was skipped."""
    names = ranking.score_names
    arrows = {name: "↑" if ranking.higher_is_better.get(name, True) else "↓" for name in names}
    means = {"↑": "higher is better", "↓": "lower is better"}
    columns = [("rank", ""), ("band", "the sample cannot tell the candidates of a band apart"), ("candidate", "")]
    metrics = list(dict.fromkeys(visible(row.refined.metric) for row in ranking.rows if row.refined))
    columns += [(_REFINED, f"{', '.join(metrics)} after a short training, with 95% interval")] if metrics else []
    columns += [(_PRIOR, _PRIOR_MEANS)] if any(row.prior for row in ranking.rows) else []
    columns += [(f"{visible(name)} {arrows[name]}", means[arrows[name]]) for name in names]
    columns += [(_UNTRAINED, _UNTRAINED_MEANS)] if any(row.untrained for row in ranking.rows) else []
    columns += [("parameters", ""), ("seconds", "wall time that scoring this candidate takes, without a cache")]
    bands = sorted({row.band for row in ranking.rows if row.band is not None})
    states = sorted({row.status for row in ranking.rows})
    columns += [("status", "")] if len(states) > 1 else []
    columns += [("notes", "")] if any(_remarks(row) for row in ranking.rows) else []
    rows, previous = [], None
    for row in ranking.rows:
        starts = previous is not None and row.band != previous.band
        cells = _ranking_cells(row, names, {title for title, _ in columns})
        rows.append(PageRow(cells=cells, starts_band=starts))
        previous = row
    places = {title: place for place, (title, _) in enumerate(columns)}
    filters = {1: ("Band", [str(band) for band in bands])}
    filters |= {places["status"]: ("Status", [str(one) for one in states])} if "status" in places else {}
    return PageTable(
        columns=columns, rows=rows, filters={i: found for i, found in filters.items() if len(found[1]) > 1}
    )


def _ranking_cells(row: Row, names: Sequence[str], columns: Collection[str]) -> list[Cell]:
    lines = [visible(text) for text in _remarks(row)]
    summary = "reason" if row.reason else f"{len(lines)} note{'s' if len(lines) > 1 else ''}"
    return [
        number_cell(row.rank),
        number_cell(row.band),
        Cell(text=visible(row.model), is_head=True),
        *([_refined_cell(row)] if _REFINED in columns else []),
        *([number_cell(row.prior.value if row.prior else None)] if _PRIOR in columns else []),
        *(_score_cell(row, name) for name in names),
        *([_untrained_cell(row)] if _UNTRAINED in columns else []),
        number_cell(row.params, text="" if row.params is None else f"{row.params:,}"),
        number_cell(row.cost),
        *([Cell(text=row.status)] if "status" in columns else []),
        *([Cell(text=summary if lines else "", order=str(len(lines)), lines=lines)] if "notes" in columns else []),
    ]


def _remarks(row: Row) -> list[str]:
    """Why a candidate was skipped or its training failed, and its notes."""
    failed = [f"training failed: {row.refined.reason}"] if row.refined and row.refined.reason else []
    return [*([row.reason] if row.reason else []), *failed, *row.notes]


def _refined_cell(row: Row) -> Cell:
    found = row.refined
    if found is None or found.low is None or found.high is None:
        return number_cell(found.quality if found else None)
    return number_cell(found.quality, below=from_to(found.low, found.high, ".3g"))


def _untrained_cell(row: Row) -> Cell:
    found = row.untrained
    if found is None or found.sd is None:
        return number_cell(found.mean if found else None)
    return number_cell(found.mean, below=f"± {found.sd:.3g}")


def _score_cell(row: Row, name: str) -> Cell:
    value, found = row.value(name), row.scores.get(name)
    below = ""
    if value is not None and found is not None and found.low is not None and found.high is not None:
        below = from_to(found.low, found.high, ".3g")
    return number_cell(value, below=below)


def number_cell(number: float | int | None, *, text: str = "", below: str = "") -> Cell:
    """A right-aligned number that sorts by its value; without one a dash that sorts below all."""
    order = _LOWEST if number is None or not math.isfinite(number) else repr(number)
    return Cell(text=text or cell_text(number), below=below, order=order, numeric=True)


def weights_table(rows: Sequence[Row]) -> PageTable:
    """Where the weights of each candidate came from, their SHA-256, and how many tensors matched."""
    names = ("file", "sha256", "matched", "missing", "left_over")
    table = [
        PageRow(cells=[Cell(text=visible(row.model), is_head=True), *(_cell(row.weights.get(name)) for name in names)])
        for row in rows
        if row.weights
    ]
    titles = ("file", "sha256", "tensors matched", "missing", "left over")
    return PageTable(columns=[("candidate", ""), *((title, "") for title in titles)], rows=table)


def comparison_table(record: Mapping[str, Any]) -> PageTable:
    """The figures of a comparison: a row per dataset, score and baseline.

    Args:
        record: what `acrank compare -o comparison.json` wrote.

    Raises:
        TableError: it is something else, or damaged.
    """
    check_comparison(record)
    results: list[Mapping[str, Any]] = [*record.get("results", []), *record.get("averages", [])]
    several = len({str(one.get("dataset")) for one in results}) > 1
    figures = [name for name in _FIGURES if any(one.get(name) is not None for one in results)]
    tops = [name for name in (results[0] if results else {}) if name.startswith(("top", "rel@", "regret"))]
    tops = [name for name in tops if not name.endswith(("_low", "_high"))]
    columns = [*([("dataset", "")] if several else []), ("score", ""), ("kind", ""), ("models", "")]
    columns += [(visible(name).replace("_", " "), "") for name in (*figures, *tops)]
    columns += [("verdict", "against the ranking score: its interval lies above or below 0")]
    rows = [
        PageRow(
            cells=[
                *([_cell(one.get("dataset"))] if several else []),
                Cell(text=visible(str(one.get("score", ""))), is_head=True),
                _cell(one.get("kind")),
                _cell(one.get("n")),
                *(_estimate(one, name) for name in (*figures, *tops)),
                _cell(one.get("verdict")),
            ]
        )
        for one in results
    ]
    return PageTable(columns=columns, rows=rows)


def _estimate(one: Mapping[str, Any], name: str) -> Cell:
    value, low, high = (_float(one.get(f"{name}{end}")) for end in ("", "_low", "_high"))
    return number_cell(value, below="" if low is None or high is None else from_to(low, high, ".2f"))


def _float(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def _cell(value: Any) -> Cell:
    if value is None or is_number(value):
        return number_cell(value)
    return Cell(text=cell_text(value))
