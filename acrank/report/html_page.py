"""The report of a run: what its page says, put together and rendered."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from acrank.formats.cells import cell_text, visible
from acrank.report.chart_data import agreement_rows, candidate_rows, curve_rows, layer_rows, pareto_front, ranked_rows
from acrank.report.figures import figures
from acrank.report.packing import image_uri, packed, page_json, script_hash, script_json
from acrank.report.page_tables import comparison_table, ranking_table, weights_table
from acrank.report.script_libraries import library, table_bundle, vega_bundle

if TYPE_CHECKING:
    from acrank.records import Ranking

#: Items of a list, and levels of nesting, that the page writes out; the record has all.
_ITEMS, _LEVELS = 40, 4
#: Parts of `ranking.target` that have a place of their own in the page.
_SHOWN_ELSEWHERE = ("understood", "draws")


@dataclass(frozen=True, kw_only=True)
class ReportParts:
    """What a report shows beside its run.

    Attributes:
        title: of the page; empty for one made of the target's name.
        truth: model -> (mean finetuned performance, its standard error or None).
        left_out: score -> why it is not plotted against the truth.
        comparison: the record of a comparison.
        sheet: a contact sheet as JPEG.
    """

    title: str = ""
    truth: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    comparison: Mapping[str, Any] | None = None
    sheet: bytes | None = None


def report_html(ranking: Ranking, parts: ReportParts | None = None) -> str:
    """The whole page as text; equal records give equal pages.

    Raises:
        MissingExtraError: a package of the extra `report` is not installed.
        TableError: the comparison is no record of one.
    """
    parts = parts or ReportParts()
    rows = candidate_rows(ranking, parts.truth)
    higher = ranking.higher_is_better[ranking.rank_by]
    layers, bodies = layer_rows(ranking)
    datasets: dict[str, list[dict[str, Any]]] = {"candidates": rows, "layers": layers, "bodies": bodies}
    datasets |= {f"front_{cost}": pareto_front(rows, cost, higher=higher) for cost in ("p", "t")}
    datasets |= {"agreement": agreement_rows(ranking), "curves": curve_rows(ranking)}
    found = figures(ranking, datasets, left_out=parts.left_out)
    return _rendered(
        title=visible(parts.title) or f"{visible(str(ranking.target.get('name', 'target')))}: which checkpoint?",
        ranking=ranking,
        facts=_facts(ranking),
        lacking=visible(ranking.lacking),
        verdict=_verdict(ranking),
        warnings=[visible(text) for text in ranking.warnings],
        notes=[visible(text) for text in ranking.notes],
        candidates=ranking_table(ranking),
        figures=found,
        comparison=comparison_table(parts.comparison) if parts.comparison is not None else None,
        comparison_verdict=[visible(str(text)) for text in (parts.comparison or {}).get("verdict", [])],
        comparison_warnings=[visible(str(text)) for text in (parts.comparison or {}).get("warnings", [])],
        understood=_outline(ranking.target.get("understood")),
        target=_outline({name: found for name, found in ranking.target.items() if name not in _SHOWN_ELSEWHERE}),
        sheet=image_uri(parts.sheet) if parts.sheet else "",
        settings=_outline(ranking.settings),
        environment=_outline(ranking.environment),
        controls=_outline(ranking.controls),
        weights=weights_table(ranking.rows),
        page_data=page_json({"charts": [one.for_page() for one in found], "datasets": datasets}),
        record=page_json(ranking.to_record()),
    )


def _rendered(**content: Any) -> str:
    script = _asset("report.js")
    text: str = _template().render(
        **content,
        script=script,
        policy=f"script-src {script_hash(script)} blob:",
        style=f"{table_bundle()[1]}\n{_asset('report.css')}",
        libraries=_packed_libraries(),
    )
    return text.lstrip()


@functools.cache
def _template() -> Any:
    jinja2 = library("jinja2")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_asset("report.html.jinja"))


@functools.cache
def _packed_libraries() -> dict[str, str]:
    """Place in the page -> the library for it."""
    return {
        name: script_json(packed(code)) for name, code in (("datatables", table_bundle()[0]), ("vega", vega_bundle()))
    }


@functools.cache
def _asset(name: str) -> str:
    return (resources.files("acrank.report") / "assets" / name).read_text("utf-8")


def _facts(ranking: Ranking) -> list[tuple[str, str]]:
    """The few figures at the top of the page."""
    target, skipped = ranking.target, sum(row.status == "skipped" for row in ranking.rows)
    found = [("ranked", str(len(ranked_rows(ranking)))), ("skipped", str(skipped) if skipped else "")]
    found += [("images", cell_text(target["size"]) if target.get("size") else "")]
    found += [("task", visible(str(target.get("task") or ""))), ("ranked by", visible(ranking.rank_by))]
    found += [("protocol", visible(str(ranking.settings.get("protocol") or "")))]
    return [(name, text) for name, text in found if text]


def _verdict(ranking: Ranking) -> list[str]:
    """What the run says, as sentences."""
    nothing = ["No candidate was ranked; the reasons are in the table below."]
    return [visible(sentence) for sentence in ranking.verdict] or nothing


def _outline(value: Any, *, level: int = 0) -> Any:
    """Nested plain data for the page: mappings as lists of (name, value), all else as text."""
    if isinstance(value, Mapping) and level < _LEVELS:
        return [(visible(str(name)), _outline(item, level=level + 1)) for name, item in value.items()]
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    if isinstance(value, list | tuple):
        return _listed(value)
    return "none" if value is None else visible(value) if isinstance(value, str) else cell_text(value)


def _listed(values: Sequence[Any]) -> str:
    if any(isinstance(one, Mapping | list | tuple) for one in values) or len(values) > _ITEMS:
        return f"{len(values)} items"
    return ", ".join(cell_text(one) for one in values) if values else "none"
