"""The table within a terminal: whatever its width and whatever the names, lines fit and no word is broken."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from acrank.comparison.tables import Measurement
from acrank.formats import View
from acrank.formats.cells import cell_text, visible
from acrank.formats.fitting import pieces_of, shortened_to, wrapped
from acrank.formats.markdown import to_markdown
from acrank.formats.table import to_table
from acrank.history.earlier import EarlierResults, History
from acrank.history.history_views import targets_view
from acrank.records import Prior, Ranking, Refined, Row, Value
from acrank.system.ranked_layout import readable_scale
from acrank.system.view import Bar, Column

LONG = "mobilenetv3_large_100.miil_in21k_ft_in1k"
ODD = [
    LONG,
    "日本語モデル" * 9,
    "👩‍👩‍👧‍👦" * 20,
    "e\u0301" * 60,
    "[bold]x[/]",
    "a\x1b[31mb",
    "\u202e" + "n" * 70,
    "🇩🇪" * 30,
    "\u200b" * 99,
]
names = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
widths = st.integers(40, 250)
sentences = st.lists(names, min_size=1, max_size=8).map(" ".join)
DRAWN = re.compile(r"[━●├─┤╌]+")


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    rows = []
    for model in draw(st.lists(names, min_size=1, max_size=9, unique=True)):
        if draw(st.integers(0, 3)) == 0:
            rows.append(Row(model, "skipped", reason=draw(sentences)))
            continue
        value = draw(st.floats(-1e6, 1e6) | st.floats(0, 1))
        reach = draw(st.none() | st.floats(0, 1e3))
        ends = {} if reach is None else {"sd": reach, "low": value - reach, "high": value + reach}
        scores = {"finetunability": Value(value, **ends), "ac_corr": Value(draw(st.floats(-1, 1)))}
        notes = draw(st.lists(sentences, max_size=1))
        rows.append(Row(model, "scored", scores=scores, params=draw(st.integers(1, 10**10)), seconds=1.23, notes=notes))
    ways = {"finetunability": draw(st.booleans()), "ac_corr": False}
    return Ranking.of(rows, rank_by="finetunability", higher_is_better=ways, target={"name": draw(names)})


def tokens(text: str) -> set[str]:
    return {word for word in text.replace("\n", " ").split(" ") if word}


def said_by(view: View) -> set[str]:
    """Every word that the table may hold, headings in pieces too."""
    out: set[str] = set()
    for column, cells in view.table_columns():
        out |= tokens(visible(column.name)) | set(pieces_of(visible(column.name)))
        for cell in cells:
            text = f"{cell:.{column.digits}f}" if column.digits and isinstance(cell, float) else cell_text(cell)
            out |= set() if isinstance(cell, Bar) else tokens(text)
        out |= tokens(column.legend)
    for text in [view.title, *view.footer, *(f"{one}: {other}" for one, other in view.below)]:
        out |= tokens(visible(text))
    return out


def check(view: View, width: int) -> list[str]:
    """The lines of the table, held against the width and the words of the view."""
    lines = to_table(view, width=width).splitlines()
    assert max(map(cell_len, lines)) <= width
    known = said_by(view) | tokens("more column columns in a wider terminal, a pipe or with -f csv")
    known |= {str(count) for count in range(1, 20)}  # of columns that are left out
    pieces = {piece for word in known for piece in pieces_of(word)}
    for line in lines:
        for word in tokens(line):
            joined = "".join(pieces_of(word)) == word and set(pieces_of(word)) <= pieces  # of a heading
            assert word in known or joined or "…" in word or DRAWN.fullmatch(word) or not cell_len(word), word
    return lines


@given(rankings(), widths)
def test_a_ranking_fits_every_terminal(ranking: Ranking, width: int) -> None:
    lines = check(ranking.view(), width)
    ranked = [row for row in ranking.rows if row.rank is not None]
    found = [match[1] for line in lines if (match := re.match(r" *([0-9]+)  ", line))]
    assert found[: len(ranked)] == [str(row.rank) for row in ranked]
    assert sum(line.startswith("skipped") for line in lines) >= len(ranking.rows) - len(ranked)


cells = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | sentences


@given(
    st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=5)),
    widths,
)
def test_any_view_fits_every_terminal(rows: list[list[Any]], width: int) -> None:
    columns = [f"column_{i}" for i in range(len(rows[0]))]
    check(
        View(columns=columns, rows=rows, record=None, title="a title of some words", footer=["and a last one"]), width
    )


@given(names, st.integers(1, 60))
def test_shortened_names_keep_both_ends(name: str, width: int) -> None:
    text = shortened_to(name, width)
    assert cell_len(text) <= width
    if text != name and width > 1:
        head, _, tail = text.partition("…")
        assert name.startswith(head)
        assert name.endswith(tail)


@given(sentences, st.integers(4, 80))
def test_wrapped_text_keeps_its_words_in_order(text: str, width: int) -> None:
    text = visible(text)
    found = wrapped(text, width)
    assert max(map(cell_len, found.split("\n"))) <= width
    shown = [word for line in found.split("\n") for word in line.split(" ") if word]
    whole = [word for word in text.split(" ") if word]
    assert len(shown) == len(whole)
    assert all(one == other or "…" in one for one, other in zip(shown, whole, strict=True))


def example() -> Ranking:
    values = [(LONG, 0.4, 0.05), ("second", 0.3, 0.02), ("third", 0.1, None)]
    rows = [
        Row(
            model,
            "scored",
            scores={
                "finetunability": Value(x, sd=reach, low=x - (reach or 0.04), high=x + (reach or 0.04)),
                **{name: Value(0.123456) for name in ("channel_alignment", "ac_corr", "affine_drift", "gradient_norm")},
            },
            params=23508032,
            seconds=12.34,
            notes=["one"] * (model == "second"),
        )
        for model, x, reach in values
    ]
    rows.append(Row("broken", "skipped", reason="weights/broken.pth is cut short"))
    ways = {
        "finetunability": True,
        "channel_alignment": True,
        "ac_corr": False,
        "affine_drift": True,
        "gradient_norm": True,
    }
    return Ranking.of(rows, rank_by="finetunability", higher_is_better=ways, target={"name": "busi"})


#: width -> the columns that a reader finds there.
SHOWN = {
    60: ["rank", "model", "% of best", "interval"],
    80: ["rank", "model", "% of best", "interval", "seconds", "notes"],
    120: [
        "rank",
        "model",
        "% of best",
        "interval",
        "channel_alignment",
        "ac_corr",
        "affine_drift",
        "seconds",
        "notes",
    ],
    200: [
        "rank",
        "band",
        "model",
        "% of best",
        "interval",
        "finetunability",
        "finetunability_sd",
        "gradient_norm",
        "params",
    ],
}


@pytest.mark.parametrize("width", SHOWN)
def test_what_a_terminal_shows(width: int) -> None:
    lines = to_table(example().view(), width=width).splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith("──"))
    heads = " ".join(" ".join(lines[2:rule]).replace("_ ", "_").split())
    for name in SHOWN[width]:
        assert all(piece in heads for piece in pieces_of(name)), name
    hidden = [name for name in SHOWN[200] if name not in SHOWN[width] and name in ("finetunability_sd", "params")]
    assert all(name not in heads for name in hidden)
    assert any("more columns" in line for line in lines) is (width < 200)


def test_rules_part_the_bands_and_skipped_rows_stand_below() -> None:
    lines = to_table(example().view(), width=80).splitlines()
    rules = [i for i, line in enumerate(lines) if line.startswith("╌")]
    ranked = {line.split()[1]: i for i, line in enumerate(lines) if re.match(r" *[0-9]  ", line)}
    bands = {row.model: row.band for row in example().rows if row.rank}
    assert list(bands.values()) == [1, 2, 3]
    assert rules == [ranked["second"] - 1, ranked["third"] - 1]
    assert "skipped broken: weights/broken.pth is cut short" in lines
    assert LONG not in ranked
    assert any(line.startswith("   1  mobilenetv3_") and "ft_in1k  " in line for line in lines)
    assert next(line for line in lines if "  second " in line).endswith("*")


def test_rows_that_look_untrained_are_marked() -> None:
    found = example()
    assert "looks untrained" not in to_table(found.view(), width=80)
    next(row for row in found.rows if row.model == "second").layers = [{"name": "n", "channels": 2, "as_begun": True}]
    lines = to_table(found.view(), width=80).splitlines()
    assert next(line for line in lines if "  second " in line).endswith("*u")
    assert any(line.endswith("*: the run record has notes on this row; u: looks untrained") for line in lines)


def test_deviations_have_a_column_where_there_are_any() -> None:
    found = example()
    for row in found.rows:
        row.scores = {name: dataclasses.replace(value, sd=None) for name, value in row.scores.items()}
    assert "finetunability_sd" not in to_table(found.view(), width=200)
    assert "finetunability_sd" in found.view().columns


def test_shares_and_bars_are_of_the_best() -> None:
    """Worked out by hand: 0.3 / 0.4 is 75%; the axis ends at 0.45 / 0.4 = 1.125."""
    lines = to_table(example().view(), width=80).splitlines()
    assert [line.split()[2] for line in lines if re.match(r" *[0-9]  ", line)] == ["100.0", "75.0", "25.0"]
    scale = readable_scale([(0.4, 0.35, 0.45), (0.3, 0.28, 0.32)], higher_is_better=True)
    first = scale.bars[0]
    assert first is not None
    assert (first.value, first.high) == pytest.approx((1 / 1.125, 1.0))


@given(st.lists(st.floats(0, 1e3, width=32), min_size=1, max_size=8), st.booleans())
def test_the_scale_orders_as_the_values_do(values: list[float], higher: bool) -> None:
    places = readable_scale([(value, None, None) for value in values], higher_is_better=higher).places
    pairs = sorted(zip(values, places, strict=True), reverse=higher)
    assert [place for _, place in pairs] == sorted((place for _, place in pairs), reverse=True)
    assert all(place is not None and place >= 0 for place in places)


@pytest.mark.parametrize(
    ("values", "higher", "name", "places"),
    [
        ([2.0, 1.0], True, "% of best", [100, 50]),
        ([1.0, 4.0], False, "% of best", [100, 25]),
        ([-1.0, -3.0, -2.0], True, "0 to 100", [100, 0, 50]),
        ([-0.5, 0.5], False, "0 to 100", [100, 0]),
        ([-2.0], True, "0 to 100", [100]),
        ([0.0, 0.0], True, "0 to 100", [100, 100]),
    ],
)
def test_shares_where_they_mean_something(values: list[float], higher: bool, name: str, places: list[float]) -> None:
    scale = readable_scale([(value, None, None) for value in values], higher_is_better=higher)
    assert (scale.name, scale.places) == (name, places)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(8, 40))
def test_a_bar_has_one_dot_within_its_whiskers(one: float, two: float, three: float, width: int) -> None:
    low, value, high = sorted((one, two, three))
    text = Bar(value, low, high).drawn(width)
    assert len(text) <= width
    assert text.count("●") == 1
    assert re.fullmatch("━*├?─*●─*┤?", text)


def test_colour_says_nothing_that_the_text_does_not() -> None:
    column = Column(name="result", priority=0, tones={"FAILED": "bad", "passed": "good"})
    view = View(columns=["result"], rows=[["FAILED"], ["passed"]], record=None, layout=[column])
    coloured = to_table(view, width=40, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == to_table(view, width=40)


@pytest.mark.parametrize("width", [*range(40, 121, 8), None])
def test_headings_of_a_history_break_between_words(width: int | None) -> None:
    models = {name * 12: Measurement(0.9) for name in "ab"}
    one = EarlierResults(file="f" * 20 + ".csv", target="t" * 20, task="classification", models=models)
    text = to_table(targets_view(History(files={}, results=[one])), width=width)
    assert not re.search(r"_(\s|$)", text)
    assert "ground_truth" not in text
    if width is None:
        assert "ground truth" in text


def test_the_footer_ends_table_and_markdown() -> None:
    view = View(columns=["a"], rows=[["x"]], record=None, footer=["Take the first.", "It leads *alone*."])
    assert to_table(view).splitlines()[-2:] == view.footer
    assert to_markdown(view).splitlines()[-3:] == ["Take the first.", "", "It leads \\*alone\\*."]


def test_trainings_earlier_targets_and_the_verdict_are_shown() -> None:
    ranking = example()
    ranking.rows[0].refined = Refined(metric="balanced_accuracy", quality=0.912, low=0.9, high=0.92)
    ranking.rows[1].prior = Prior(value=0.75, targets=3)
    text = to_table(ranking.view(), width=80)
    first, second = (line for line in text.splitlines() if re.match(" *[12]  ", line))
    assert " 0.912 " in first
    assert " 0.75 " in second
    assert ranking.verdict[-1].split()[-1] == text.split()[-1]
    assert "0.90 to 0.92" in to_table(ranking.view())
    assert "trained" not in to_table(example().view())


def test_where_nothing_was_ranked_the_reasons_stand_alone() -> None:
    ranking = Ranking.of(
        [Row("a", "skipped", reason="no file a.pth")], rank_by="s", higher_is_better={"s": True}, target={"name": "t"}
    )
    assert to_table(ranking.view(), width=40) == "t: by s (higher is better)\n\nskipped a: no file a.pth\n"
