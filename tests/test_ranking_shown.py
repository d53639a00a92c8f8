"""A ranking shows itself: a few lines, an escaped table, a plot whose bars are its values."""

from __future__ import annotations

import pytest

import acrank.system.imports
from acrank.errors import MissingExtraError, UsageError
from acrank.records import Ranking, Row, Value

LAYERS = [{"name": f"layer{i}", "channels": 64, "ac_corr": i / 7} for i in range(50)]


def ranking(count: int = 12, **about: object) -> Ranking:
    """Candidates of falling values in bands of two, the last one skipped."""
    rows = [
        Row(f"net{i:02d}", "scored", scores={"s": Value(5.0 - i, 0.1, 4.4 - i, 5.6 - i)}, layers=LAYERS)
        for i in range(count)
    ]
    rows.append(Row("bad", "skipped", reason="its file is damaged", layers=LAYERS))
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, target={"name": "set"}, **about)


def test_a_repr_of_a_few_lines() -> None:
    lines = repr(ranking(warnings=["w" * 500])).splitlines()
    assert lines[0] == "<Ranking for set by s: 12 ranked, 1 skipped"
    assert lines[1] == "  1. net00 5 [4.4, 5.6], band 1"
    assert lines[6] == "  … and 7 more"
    assert len(lines) == 8
    assert max(map(len, lines)) < 100
    assert repr(ranking().rows[1]) == "<Row net01, rank 2: s 4>"
    assert repr(ranking().rows[-1]) == "<Row bad skipped: its file is damaged>"


def test_html_has_every_row_the_verdict_and_the_warnings_escaped() -> None:
    shown = ranking(warnings=["a & b"])
    shown.rows[0].model = "<net00>"
    page = shown._repr_html_()
    assert page.count("<tr") == 13  # 12 ranked, and the heading
    assert "skipped bad: its file is damaged" in page
    assert page.count('<tr style="border-top') == 5  # a rule between any two of the six bands
    assert "0 to 100" in page  # the scale of the terminal's table, for values below 0
    assert page.count("●") == 12 + 1  # a bar each, and the legend
    assert "&lt;net00&gt; is first by s, but the sample cannot tell it from net01" in page
    assert "<net00>" not in page
    assert "warning: a &amp; b" in page
    assert page.index("net00") < page.index("net01") < page.index("bad")


def test_a_run_that_was_not_finished_says_so_in_every_form() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from acrank.formats import render

    part, whole = (ranking(candidates=count, complete=count == 13, warnings=["w"]) for count in (20, 13))
    said = "the run was not finished: 13 of 20 candidates have a row"
    forms = {
        "repr": repr,
        "notebook": Ranking._repr_html_,
        "table": lambda one: render(one.view(), "table"),
        "markdown": lambda one: render(one.view(), "markdown"),
        "plot": lambda one: one.plot(Figure().subplots()).get_title(),
    }
    assert [name for name, form in forms.items() if said not in form(part)] == []
    assert [name for name, form in forms.items() if "finished" in form(whole)] == []
    for name in ("notebook", "table", "markdown"):
        text = forms[name](part)
        assert text.index(f"warning: {said}") < text.index("is first by s"), name


def test_bars_and_their_intervals_are_the_values() -> None:
    pytest.importorskip("matplotlib")
    import matplotlib
    from matplotlib.figure import Figure

    axes = ranking().plot(Figure().subplots(), most=3)
    assert [bar.get_width() for bar in axes.patches] == [5.0, 4.0, 3.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["net00", "net01", "net02"]
    segments = axes.collections[0].get_segments()
    assert [tuple(round(float(x), 6) for x, _ in ends) for ends in segments] == [(4.4, 5.6), (3.4, 4.6), (2.4, 3.6)]
    assert axes.yaxis_inverted()  # the best is on top
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] == colours[1] != colours[2]  # bands
    matplotlib.use("Agg")
    assert ranking().plot().get_xlabel() == "s (higher is better)"


def test_what_cannot_be_plotted_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="ranks nothing"):
        Ranking.of([Row("a", "skipped")], rank_by="s", higher_is_better={"s": True}).plot()
    with pytest.raises(UsageError, match="most is 0"):
        ranking().plot(most=0)

    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(acrank.system.imports.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError) as caught:
        ranking().plot()
    assert caught.value.hint == "pip install 'acrank[plot]'"
