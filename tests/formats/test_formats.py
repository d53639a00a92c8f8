"""Every format against an independent reader, with hostile names."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from acrank.errors import UsageError
from acrank.formats import FORMATS, View, format_of, render
from acrank.formats.markdown import escape
from acrank.formats.table import to_table
from acrank.system.printable import printable

HOSTILE = [
    "ckpt[final].pth",
    "[bold red]x[/]",
    "a|b",
    "`code`*em*_u_~~s~~",
    "<script>alert(1)</script>",
    "&amp;",
    "![i](http://x/y.png)",
    "@someone #1",
    "https://a.b www.c.d",
    "$x$ and $$y$$",
    "-",
    "\\",
    "a\\*b\\|c\\",
    "日本語モデル",
    "e\u0301",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
cells = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | texts


def view_of(rows: list[list[Any]], columns: list[str] | None = None, **about: Any) -> View:
    names = columns if columns is not None else [f"c{i}" for i in range(len(rows[0]))]
    return View(columns=names, rows=rows, record={"rows": rows}, **about)


# --- the table of formats ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_ends_its_last_line(name: str) -> None:
    for rows in ([["a", 1.5]], [["a\n", None], ["", True]]):
        assert re.search(r"[^\n]\n\Z", render(view_of(rows), name))


@pytest.mark.parametrize("name", FORMATS)
def test_a_view_without_rows_still_shows_its_columns(name: str) -> None:
    text = render(View(columns=["model", "rank"], rows=[], record={"columns": ["model", "rank"]}), name)
    assert "model" in text
    assert "rank" in text


@pytest.mark.parametrize(
    ("path", "name"),
    [("a.json", "json"), ("b.CSV", "csv"), ("x.y.md", "markdown"), ("t.txt", "table")],
)
def test_the_suffix_names_the_format(path: str, name: str) -> None:
    assert format_of(Path(path)) == name
    assert name in FORMATS


@pytest.mark.parametrize("path", ["a", "a.html", ".csv", "a.csv.gz", "a."])
def test_other_suffixes_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(path))) as caught:
        format_of(Path(path))
    assert caught.value.hint is not None
    assert ".json, .csv, .md, .txt" in caught.value.hint


def test_brief_picks_columns_in_its_own_order_for_people_only() -> None:
    view = view_of([["m", 1, 0.5]], ["model", "rank", "score"], brief=["rank", "model"])
    assert view.shown() == (["rank", "model"], [[1, "m"]])
    assert render(view, "csv") == "model,rank,score\nm,1,0.5\n"
    assert "score" not in render(view, "table")
    assert "score" not in render(view, "markdown")


# --- csv --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=4))
@example([["a\rb", 'q"q', "x,y"], [0.1, 1e-300, 5e-324], ["\n", "", None]])
def test_csv_reads_back_exactly(rows: list[list[Any]]) -> None:
    text = render(view_of(rows, ["a", "b,c", "d"]), "csv")
    header, *found = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == ["a", "b,c", "d"]
    assert found == [["" if cell is None else printable(str(cell), newlines=True) for cell in row] for row in rows]
    for row, line in zip(rows, found, strict=True):
        assert [float(x) for c, x in zip(row, line, strict=True) if isinstance(c, float)] == [
            cell for cell in row if isinstance(cell, float)
        ]


def test_csv_is_one_line_per_row() -> None:
    assert render(view_of([["a", None], [0.1, 2]]), "csv") == "c0,c1\na,\n0.1,2\n"


# --- json -------------------------------------------------------------------------------------------------------------


def test_json_is_the_record_and_nothing_of_the_view() -> None:
    view = View(columns=["a"], rows=[[1]], record={"x": [1.5, math.nan, "ü"]}, title="t")
    assert json.loads(render(view, "json")) == {"x": [1.5, None, "ü"]}


HOSTILE_TEXTS = [
    "\x1b]0;t\x07",
    "\x00",
    "\x7f\x9b",
    "\u202ea",
    "\u2066b",
    "::error::x",
    "  ::warning::x",
    "##[error]x",
    "\r",
]
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", HOSTILE_TEXTS)
@pytest.mark.parametrize("before", ["", "first\n"])
def test_no_format_steers_a_terminal_or_a_runner(name: str, text: str, before: str) -> None:
    hostile = before + text
    shown = render(view_of([[hostile, 0.5]], [hostile, "score"], title=hostile), name)
    assert not STEERING.search(shown)
    assert not COMMAND.search(shown)


@given(st.text(max_size=30) | st.sampled_from(HOSTILE_TEXTS))
def test_json_is_printable_and_reads_back_exactly(text: str) -> None:
    shown = render(view_of([[text]]), "json")
    assert json.loads(shown) == {"rows": [[text]]}
    assert not STEERING.search(shown)
    assert not COMMAND.search(shown)


def test_csv_keeps_what_a_spreadsheet_takes_for_a_formula() -> None:
    assert render(view_of([["=1+1", "-a", "+b", "@c"]]), "csv") == "c0,c1,c2,c3\n=1+1,-a,+b,@c\n"


# --- markdown ---------------------------------------------------------------------------------------------------------


def parsed(text: str) -> list[list[str]]:
    """The cells of the one table in `text`, as an independent parser shows them; fails on any markup inside."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    assert {token.type.rsplit("_", 1)[0] for token in tokens} <= {"table", "thead", "tbody", "tr", "th", "td", "inline"}
    out: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            out.append([])
        if token.type == "inline":
            children = token.children or []
            shown = [child for child in children if child.content not in ("<span>", "</span>")]  # around a dollar sign
            assert {child.type for child in shown} <= {"text", "text_special"}
            out[-1].append("".join(child.content for child in shown).replace("\u200b", ""))
    return out


# A parser may replace NUL and read Unicode's other spaces its own way: leave these to the escape's own example.
plain_texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(plain_texts, plain_texts | st.sampled_from(HOSTILE)), min_size=1, max_size=3))
def test_markdown_shows_every_name_as_itself(rows: list[tuple[str, str]]) -> None:
    shown = [["c0", "c1"], *([printable(" ".join(cell.split())) for cell in row] for row in rows)]
    found = parsed(render(view_of([list(row) for row in rows]), "markdown"))
    assert found == [[cell.replace("\u200b", "") for cell in row] for row in shown]


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_hostile_names_and_titles(name: str) -> None:
    text = render(view_of([[name, 1.0]], title=name), "markdown")
    heading, blank, table = text.split("\n", 2)
    assert heading == f"### {escape(name)}"
    assert blank == ""
    assert parsed(table)[1] == [name, "1"]


@given(texts)
def test_markdown_cells_stay_on_one_line(name: str) -> None:
    assert len(render(view_of([[name, name]]), "markdown").splitlines()) == 3


def test_markdown_aligns_numbers_right() -> None:
    lines = render(view_of([["m", 0.123456, None, True], ["n", None, None, False]]), "markdown").splitlines()
    assert lines[1] == "| --- | ---: | --- | --- |"
    assert lines[2:] == ["| m | 0.1235 | - | yes |", "| n | - | - | no |"]


# --- table ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*HOSTILE, "n" * 300, "n" * 20_000, "日本" * 6000])
def test_table_off_a_terminal_is_never_cut_or_folded(name: str) -> None:
    text = render(view_of([[name, 0.5], ["b", None]], [name, "score"], title=f"title {name}"), "table")
    assert sum(name in line for line in text.splitlines()) >= 3
    assert "…" not in text
    assert len(text.splitlines()) == 6


@given(st.lists(st.tuples(texts, cells), min_size=1, max_size=4))
@example([(" ", " ")])
@example([("t\tab", "x\x1b[31m"), ("a\nb", "\x85"), ("\u2028", "\x00")])
def test_table_is_one_line_per_row_and_sends_no_control_codes(rows: list[tuple[str, Any]]) -> None:
    text = render(view_of([list(row) for row in rows]), "table")
    assert len(text.splitlines()) == len(rows) + 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


@pytest.mark.parametrize("name", ["table", "markdown"])
def test_control_codes_show_as_escapes_and_tabs_as_spaces(name: str) -> None:
    text = render(view_of([["t\tab x\x1b[31m\udcfc"]], title="t\x1b]0;\n"), name).replace("\\[", "[")
    assert re.search(r"t ab x\\+x1b\[31m\\+udcfc", text)
    assert "\x1b" not in text


def test_table_columns_line_up_beside_wide_characters() -> None:
    lines = render(view_of([["日本", 1], ["ab", 22], ["e\u0301", 3]]), "table").splitlines()
    assert {cell_len(line) for line in lines[2:]} == {cell_len(lines[2])}


def test_colour_only_on_request() -> None:
    view = view_of([["a"]], title="t")
    assert "\x1b[" in to_table(view, width=40, colour=True)
    assert "\x1b[" not in to_table(view, width=40, colour=False)


def test_title_stands_above_the_table() -> None:
    assert render(view_of([["a"]], title="Ranking on busi"), "table").splitlines()[0] == "Ranking on busi"
