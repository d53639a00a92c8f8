"""A comparison in a sentence, and names of a truth that match no candidate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import acrank
from acrank.comparison.plain_words import words_on
from acrank.comparison.results import Estimate, ScoreResult
from acrank.errors import TableError
from acrank.gates import check_ranking, parse_gates
from acrank.records import Ranking, Row, Value


def result(tau: float | None, low: float | None, high: float | None, *, n: int = 12, **more: Any) -> ScoreResult:
    figures = {"weighted_tau": Estimate(tau, low, high), "regret_at_1": Estimate(more.pop("regret", 0.012))}
    return ScoreResult(
        **{"dataset": "", "score": "s", "kind": "score", "higher_is_better": True, "n": n, "figures": figures, **more}
    )


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            result(0.62, 0.31, 0.81),
            "s ordered 12 candidates with weighted tau 0.62 [0.31, 0.81], better than chance; its pick is 0.012 behind "
            "the best.",
        ),
        (
            result(0.62, 0.31, 0.81, n=9, regret=0.0),
            "s ordered 9 candidates with weighted tau 0.62 [0.31, 0.81], better than chance; its pick is the best; "
            "over 9 candidates this is weak evidence.",
        ),
        (
            result(0.2, -0.3, 0.6),
            "s ordered 12 candidates with weighted tau 0.20 [-0.30, 0.60], not shown to be better than chance: "
            "the interval includes 0; its pick is 0.012 behind the best.",
        ),
        (
            result(-0.5, -0.8, -0.2),
            "s ordered 12 candidates with weighted tau -0.50 [-0.80, -0.20], the reverse of the truth: worse than "
            "chance; its pick is 0.012 behind the best.",
        ),
        (
            result(1.0, 1.0, 1.0, n=4),
            "s ordered 4 candidates with weighted tau 1.00 [1.00, 1.00]: too few to conclude anything, which takes 5 "
            "candidates.",
        ),
        (
            result(0.5, None, None),
            "s ordered 12 candidates with weighted tau 0.50, without an interval that would tell it from chance; its "
            "pick is 0.012 behind the best.",
        ),
        (result(None, None, None, reason="constant column"), "s cannot be judged: constant column."),
    ],
)
def test_each_outcome_has_its_words(one: ScoreResult, said: str) -> None:
    assert words_on([one, result(0.9, 0.8, 1.0, score="other")], [], "s") == [said]


def test_several_datasets_have_one_sentence_and_no_score_has_none() -> None:
    ones = [result(0.6, 0.3, 0.8, dataset=name) for name in "ab"]
    mean = result(0.6, 0.4, 0.8, n=24, dataset="mean of 2")
    assert words_on(ones, [mean], "s") == [
        "s ordered the candidates of 2 datasets with mean weighted tau 0.60 [0.40, 0.80], better than chance; its pick "
        "is 0.012 behind the best on average."
    ]
    few = [result(0.6, 0.3, 0.8, dataset=name, n=3) for name in "ab"]
    assert words_on(few, [mean], "s")[0].endswith(
        "too few to conclude anything, which takes 5 candidates of one dataset."
    )
    assert words_on(ones, [mean], None) == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of eight candidates, two of them misspelt in the truth, which has a third that is another."""
    monkeypatch.chdir(tmp_path)
    rows = [Row(f"resnet{place}0", "scored", scores={"s": Value(float(place))}) for place in range(1, 9)]
    run = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
    run.save("run.json")
    names = [*(row.model for row in rows[:6]), "ResNet-70", "resnet8O", "later"]
    lines = [f"{name},{0.4 + place / 20}" for place, name in enumerate(names)]
    Path("truth.csv").write_text("\n".join(["model,ground_truth", *lines]) + "\n")
    Path("others.csv").write_text("model,ground_truth\nresnet-10,0.5\nresnet-20,0.6\n")
    return tmp_path


MEANT = "for 'resnet8O' did you mean 'resnet80'"


def test_every_output_has_the_sentence(folder: Path, acrank: Callable[..., Any]) -> None:
    outputs = ("out.md", "out.json", "out.txt")
    words = ("compare", "run.json", "--truth", "truth.csv", "--resamples", 100)
    done = acrank(*words, *(word for path in outputs for word in ("-o", path)))
    assert done.code == 0, done.err
    record = json.loads(Path("out.json").read_text())
    (sentence,) = record["verdict"]
    assert sentence.startswith("s ordered 6 candidates with weighted tau ")
    for text in (done.out, Path("out.txt").read_text()):
        assert sentence in " ".join(text.split())
    assert sentence.split(" [")[0] in Path("out.md").read_text()
    assert "6 of 9 models of the truth match a candidate; " in done.err
    assert MEANT in done.err
    assert acrank(*words, "--dataset", "x").code == 2


def test_nothing_in_common_says_what_may_be_meant(folder: Path, acrank: Callable[..., Any]) -> None:
    done = acrank("compare", "run.json", "--truth", "others.csv")
    assert done.code == TableError.exit_code
    assert "did you mean 'resnet10'" in done.err


def test_gates_and_reports_say_it_too(folder: Path, acrank: Callable[..., Any]) -> None:
    gates = parse_gates({"weighted_tau": {"truth": "truth.csv", "at_least": 0.5}})
    assert MEANT in check_ranking(Ranking.load("run.json"), gates).results[0].message
    pytest.importorskip("altair")
    acrank("compare", "run.json", "--truth", "truth.csv", "-o", "out.json", "--resamples", 100)
    done = acrank("report", "run.json", "--truth", "truth.csv", "--compare", "out.json")
    assert done.code == 0, done.err
    assert "warning: 6 of 9 models of the truth match a candidate; " in done.err
    assert "<p>s ordered 6 candidates with weighted tau" in Path("report.html").read_text()
    assert "did you mean 'resnet10'" in acrank("report", "run.json", "--truth", "others.csv", "--overwrite").err


def test_a_run_that_was_not_finished_is_said(folder: Path) -> None:
    run = Ranking.load("run.json")
    run.candidates, run.complete = 20, False
    warnings = acrank.compare(run, "truth.csv", resamples=100).warnings
    assert "the run was not finished: 8 of 20 candidates have a row" in warnings
