"""Notes on candidates, on stderr: one line for what several share, and not more lines than a reader takes in."""

from __future__ import annotations

import pytest

from acrank.cli.console import set_verbosity, tell_notes
from acrank.records import Ranking, Row, Value


def ranking(notes: dict[str, list[str]]) -> Ranking:
    rows = [
        Row(model, "scored", scores={"s": Value(float(place))}, notes=said)
        for place, (model, said) in enumerate(notes.items())
    ]
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": False})


def test_a_note_on_several_candidates_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    shared = "assumed input: size 224"
    tell_notes(ranking({**{f"m{place}": [shared] for place in range(6)}, "other": [shared, "an own note"]}))
    assert capsys.readouterr().err.splitlines() == [
        "note: m0, m1, m2 and 4 others: assumed input: size 224",
        "note: other: an own note",
    ]


@pytest.mark.parametrize(("verbosity", "lines"), [(0, 9), (1, 20)])
def test_many_notes_are_cut_but_with_v(capsys: pytest.CaptureFixture[str], verbosity: int, lines: int) -> None:
    set_verbosity(verbosity)
    try:
        tell_notes(ranking({f"m{place}": [f"note {place}"] for place in range(20)}))
    finally:
        set_verbosity(0)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    assert (said[-1] == "note: 12 more on candidates: in the run record, and here with -v") == (verbosity == 0)
