"""The report of a check: hostile names break none of its views."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from acrank.errors import GatesError
from acrank.formats import render
from acrank.formats.markdown import to_markdown
from acrank.gates import Gates, check_ranking, parse_gates
from acrank.gates.check_report import CheckReport, one_line
from acrank.records import Ranking, Row, Value

HOSTILE = [
    "a|b",
    "a\\|b",
    "a\\",
    "`|`",
    "x\n| injected | row |",
    "x\r\n\r\n# heading",
    "<script>alert(1)</script>",
    "</td></tr></table><img src=x onerror=alert(1)>",
    "<!-- ",
    "**bold** _it_ ~~no~~",
    "[click](https://evil.example)",
    "![img](https://evil.example/x.png)",
    "https://evil.example www.evil.example",
    "@octocat fixes #1",
    "$$\\Huge x$$",
    "&lt;b&gt;",
    "\u202egnp.exe",
    "\x1b[31mred\x00",
    "\ud800",
    "a\u2028b\u2029c\x85d\x0be",
    "##[add-mask]x",
    "\n::set-output name=x::y",
    "",
    " ",
]
names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30), st.lists(st.sampled_from(HOSTILE)).map("".join))


def report_on(name: str, reason: str) -> CheckReport:
    """A report whose messages name a hostile best, a skipped one and its reason, a warning and the run."""
    rows = [
        Row(name, "scored", scores={"s": Value(2.0)}, seconds=3.0),
        Row("chosen", "scored", scores={"s": Value(1.0)}),
        Row(name + "2", "skipped", reason=reason),
    ]
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, warnings=[reason])
    gates = {
        "top_k": {"model": "chosen", "k": 1},
        "margin": {"model": "chosen", "within": 1},
        "no_skipped": True,
        "no_warnings": True,
        "max_seconds": 1,
    }
    return check_ranking(ranking, parse_gates(gates), run=name)


def cells(markdown: str) -> list[list[list[tuple[str, str]]]]:
    """The table of a markdown text, by an independent parser: rows of cells of (kind, content) pieces."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    kinds = [token.type for token in tokens]
    assert kinds[:3] == ["heading_open", "inline", "heading_close"]
    assert kinds.count("table_open") == 1
    assert (kinds[3], kinds[-1]) == ("table_open", "table_close")
    rows: list[list[list[tuple[str, str]]]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and rows:
            rows[-1].append([(piece.type, piece.content) for piece in token.children or []])
    return rows


def words(text: str) -> list[str]:
    return text.replace("\u200b", "").split()


@given(names, names)
def test_the_summary_keeps_one_row_per_gate_and_shows_names_as_text(name: str, reason: str) -> None:
    report = report_on(name, reason)
    rows = cells(to_markdown(report.view()))
    assert [len(row) for row in rows] == [5] * (1 + len(report.results))
    for row, result in zip(rows[1:], report.results, strict=True):
        pieces = [piece for cell in row for piece in cell]
        assert {kind for kind, _ in pieces} <= {"text", "text_special", "html_inline"}
        assert {content for kind, content in pieces if kind == "html_inline"} <= {"<span>", "</span>"}
        shown = "".join(content for kind, content in row[4] if kind != "html_inline")
        assert words(shown) == words(result.message)


@given(names, names)
def test_no_summary_holds_a_live_link_mention_formula_or_tag(name: str, reason: str) -> None:
    text = to_markdown(report_on(name, reason).view())
    for live in ("://", "www.", "WWW."):
        assert live not in text
    assert all(text[i + 1] == "\u200b" for i, char in enumerate(text) if char == "@")
    assert not set("$<>") & set(text.replace("<span>$</span>", ""))


@given(names, names)
def test_messages_are_one_printable_line_in_every_view(name: str, reason: str) -> None:
    report = report_on(name, reason)
    for result in report.results:
        assert len(result.message.splitlines()) == 1
        assert not {unicodedata.category(char) for char in result.message} & {"Cc", "Cs", "Zl", "Zp"}
        assert "##[" not in result.message
        assert "::" not in result.message
        assert "\u202e" not in result.message  # would turn the rest of the line around
    for kind in ("table", "csv", "markdown", "json"):
        text = render(report.view(), kind)
        text.encode()  # a lone surrogate would fail here
        assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert len(render(report.view(), "csv").splitlines()) == 1 + len(report.results)


def test_a_long_list_and_a_long_name_are_cut() -> None:
    rows = [Row(f"{i}" + "x" * 5000, "skipped", reason="r" * 5000) for i in range(1000)]
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
    message = check_ranking(ranking, parse_gates({"no_skipped": True})).results[0].message
    assert len(message) <= 2000
    assert message.endswith("and 990 more")


def test_a_hint_that_suggests_a_hostile_name_is_one_safe_line() -> None:
    rows = [Row("model::a\n", "scored", scores={"s": Value(1.0)})]
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
    with pytest.raises(GatesError, match="no model 'model:a'") as caught:
        check_ranking(ranking, parse_gates({"top_k": {"model": "model:a", "k": 1}}))
    assert caught.value.hint == "did you mean 'model:\u200b:a\\n'?"


def test_ordinary_names_are_left_alone() -> None:
    for name in ("resnet50.a1_in1k", "timm/vit_b16@abc", "ckpt[final].pth", "modèle", "模型"):
        assert one_line(name) == name


def test_the_record_says_all_that_the_table_says() -> None:
    report = report_on("a", "no file")
    record = json.loads(render(report.view(), "json"))
    assert (record["kind"], record["passed"], record["run"]) == ("acrank-check", False, "a")
    for entry, result in zip(record["results"], report.results, strict=True):
        assert entry == {
            "gate": result.name,
            "passed": result.passed,
            "observed": result.observed,
            "required": result.required,
            "message": result.message,
            "warnings": list(result.warnings),
        }
    assert set(Gates.model_fields) >= {entry["gate"] for entry in record["results"]}


def test_it_shows_itself_in_a_few_lines_and_escaped_in_a_notebook() -> None:
    report = report_on("<b>net</b>", "it is damaged")
    first, *lines = repr(report).splitlines()
    assert first == "<acrank check of <b>net</b>: 4 of 5 gates failed"
    assert [line.split()[0] for line in lines] == ["passed" if one.passed else "FAILED" for one in report.results]
    page = report._repr_html_()
    assert page.count("<tr") == 1 + len(report.results)
    assert "<b>" not in page
