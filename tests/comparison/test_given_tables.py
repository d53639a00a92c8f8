"""`compare` takes what a user has at hand: a ranking, a path, a DataFrame."""

from __future__ import annotations

import json
from pathlib import Path

import pandas
import pytest

import acrank
from acrank.errors import TableError, UsageError
from acrank.records import Ranking, Row, Value

TRUTH = "model,ground_truth\na,0.5\nb,0.6\nc,0.7\nd,0.65\ne,0.9\nf,0.8\n"
SIGNS = {"full": 1, "head": -1}


def ranking() -> Ranking:
    """`ac_corr`, where lower is better, orders the models nearly as the truth does."""
    values = {"a": 0.9, "b": 0.8, "c": 0.5, "d": 0.7, "e": 0.1, "f": 0.3}
    rows = [Row(name, "scored", scores={"ac_corr": Value(x, 0.01)}, params=7) for name, x in values.items()]
    return Ranking.of(rows, rank_by="ac_corr", higher_is_better={"ac_corr": False})


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    (tmp_path / "truth.csv").write_text(TRUTH)
    return tmp_path / "truth.csv"


def measured(found: acrank.comparison.Comparison) -> list[dict[str, object]]:
    return [one.to_record() for one in found.results]


def test_a_ranking_its_record_its_csv_and_its_frame_compare_alike(tmp_path: Path, truth: Path) -> None:
    run = ranking()
    run.save(tmp_path / "run.json")
    run.to_frame().to_csv(tmp_path / "scores.csv", index=False)
    expected = measured(acrank.compare(run, truth))
    tau = next(one for one in expected if one["score"] == "ac_corr")
    assert tau["weighted_tau"] == 1.0  # written so: with the direction read the wrong way it is below 0
    for given in (tmp_path / "run.json", str(tmp_path / "scores.csv"), run.to_frame()):
        assert measured(acrank.compare(given, str(truth))) == expected


def test_truth_may_be_a_frame_with_models_as_its_index(truth: Path) -> None:
    frame = pandas.read_csv(truth)
    expected = json.dumps(measured(acrank.compare(ranking(), truth)))
    assert json.dumps(measured(acrank.compare(ranking(), frame))) == expected
    assert json.dumps(measured(acrank.compare(ranking(), frame.set_index("model")))) == expected


def test_one_of_several_methods_is_chosen() -> None:
    rows = [(name, sign * place, method) for method, sign in SIGNS.items() for place, name in enumerate("abcdef")]
    frame = pandas.DataFrame(rows, columns=["model", "ground_truth", "method"])
    with pytest.raises(TableError, match="several methods"):
        acrank.compare(ranking(), frame)
    for method, sign in SIGNS.items():
        tau = acrank.compare(ranking(), frame, method=method).results[0].figures["weighted_tau"].value
        assert tau is not None
        assert tau * sign > 0


def test_what_is_no_table_is_refused_with_what_would_be_one(truth: Path) -> None:
    with pytest.raises(UsageError, match="scores cannot be a list"):
        acrank.compare([1, 2], truth)  # type: ignore[arg-type]
    with pytest.raises(TableError, match="the DataFrame has no column 'model'"):
        acrank.compare(pandas.DataFrame({"name": ["a"], "logme": [1.0]}), truth)


def test_a_comparison_shows_itself_in_a_few_lines_and_escaped(truth: Path) -> None:
    run = ranking()
    run.rows[0].model = "<script>alert(1)</script>"
    found = acrank.compare(run, truth)
    assert repr(found).splitlines()[1].startswith("  ac_corr ")
    assert len(repr(found)) < 400
    page = acrank.compare(pandas.DataFrame({"model": list("abcdef"), "<b>": range(6)}), truth)._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
