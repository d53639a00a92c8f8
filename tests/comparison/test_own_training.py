"""A truth that a run's own short trainings gave says nothing of the ranking that these trainings made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.made_runs import made_run, refine

import acrank
from acrank.comparison import Measurement
from acrank.comparison.own_training import made_of_truth
from acrank.errors import GatesError, TableError, UsageError
from acrank.gates import GateResult, check_ranking, parse_gates
from acrank.records import Ranking
from acrank.records.joint import joined

NAMES = [f"m{place}" for place in range(9)]
MADE = "joint is made of this truth: 5 of its values are those of this run's own short trainings"


@pytest.fixture
def run() -> Ranking:
    found = made_run(NAMES)
    found.settings["rank_by"] = "finetunability"
    return joined(refine(found, 6))


def own(run: Ranking, folder: Path, *, unit: float = 1.0, digits: int = 17, seeds: int = 1, **other: float) -> Path:
    """The truth that the run's trainings made, with other values for some models."""
    known = {**dict.fromkeys(other, 0.0), **run.trained}
    lines = [
        f"{model},{seed},{round(unit * other.get(model, quality - seed / 50), digits)}"
        for model, quality in known.items()
        for seed in range(seeds)
    ]
    path = folder / "truth.csv"
    path.write_text("\n".join(["model,seed,ground_truth", *lines]) + "\n")
    return path


def compared(given: Any, truth: Path, **more: Any) -> tuple[set[str], str, str]:
    found = acrank.compare(given, truth, resamples=100, **more)
    names = {result.score for result in found.results if result.kind == "score"}
    return names, str(found.settings["versus"]), "\n".join(found.warnings)


@pytest.mark.parametrize("more", [{}, {"unit": 100.0}, {"digits": 4}, {"seeds": 3}, {"m8": 0.3, "m7": 0.9}])
def test_joint_is_left_out_and_the_score_before_it_is_the_default(
    run: Ranking, tmp_path: Path, more: dict[str, Any]
) -> None:
    names, versus, warnings = compared(run, own(run, tmp_path, **more))
    assert "joint" not in names
    assert {"finetunability", "affine_drift"} <= names
    assert versus == "finetunability"
    assert MADE in warnings


def test_a_truth_from_elsewhere_keeps_it(run: Ranking, tmp_path: Path) -> None:
    others = {model: quality + 0.01 for model, quality in run.trained.items()}
    for truth in (own(run, tmp_path, **others), own(run, tmp_path, **dict(list(others.items())[:3]))):
        names, versus, warnings = compared(run, truth)
        assert "joint" in names
        assert versus == "joint"
        assert "made of" not in warnings


@pytest.mark.parametrize(("digits", "is_known"), [(3, True), (2, False)])
def test_a_truth_that_was_typed_from_the_table_is_known(digits: int, is_known: bool) -> None:
    trained = {"a": 0.78349, "b": 0.36651, "c": 0.52449}
    typed = {model: Measurement(round(quality, digits)) for model, quality in trained.items()}
    assert bool(made_of_truth(trained, typed)) is is_known


def test_every_form_of_the_run_is_known(run: Ranking, tmp_path: Path) -> None:
    truth = own(run, tmp_path)
    run.save(tmp_path / "run.json")
    (tmp_path / "scores.csv").write_text(run.to_frame().to_csv(index=False))
    for given in (tmp_path / "run.json", tmp_path / "scores.csv", run.to_frame()):
        names, versus, warnings = compared(given, truth)
        assert "joint" not in names
        assert versus == "finetunability"
        assert MADE in warnings


def test_what_is_asked_for_by_name_is_refused(run: Ranking, tmp_path: Path, acrank: Callable[..., Any]) -> None:
    truth = own(run, tmp_path)
    with pytest.raises(UsageError, match=f"--versus joint: {MADE[:26]}"):
        compared(run, truth, versus="joint")
    (tmp_path / "scores.csv").write_text(run.to_frame().to_csv(index=False))
    for name in ("joint", "refined", "rank"):
        outcome = acrank("compare", tmp_path / "scores.csv", "--truth", truth, "--score", name)
        assert outcome.code == TableError.exit_code
        assert f"error: no score is left to compare: {name} is made of this truth" in outcome.err
        assert "hint: compare finetunability, or give a truth of other trainings" in outcome.err
    both = acrank("compare", tmp_path / "scores.csv", "--truth", truth, "--score", "joint,ac_corr")
    assert both.code == 0, both.err
    assert f"warning: {MADE}" in both.err


def test_the_gate_of_a_tau_judges_the_score_before_it(run: Ranking, tmp_path: Path) -> None:
    def checked(truth: Path, **more: str) -> GateResult:
        gates = parse_gates({"weighted_tau": {"truth": str(truth), "at_least": -1, **more}})
        return check_ranking(run, gates).results[0]

    truth = own(run, tmp_path)
    assert "weighted tau of finetunability is" in checked(truth).message
    assert f"but {MADE}" in checked(truth).message
    assert "but" not in checked(truth, score="ac_corr").message
    with pytest.raises(GatesError, match="joint is made of this truth"):
        checked(truth, score="joint")
    elsewhere = own(run, tmp_path, **{model: quality + 0.01 for model, quality in run.trained.items()})
    assert "weighted tau of joint is" in checked(elsewhere).message


def test_a_report_plots_the_others_and_says_why(run: Ranking, tmp_path: Path, acrank: Callable[..., Any]) -> None:
    pytest.importorskip("altair")
    run.save(tmp_path / "run.json")
    page = tmp_path / "report.html"
    outcome = acrank("report", tmp_path / "run.json", "--truth", own(run, tmp_path), "-o", page)
    assert outcome.code == 0, outcome.err
    caption = page.read_text().split("Finetuned performance of 5 candidates")[1][:1000]
    assert "Left out: joint is made of this truth" in caption
    assert "finetunability" in caption.split("Left out")[0]
    assert "joint" not in caption.split("Left out")[0]
    scatter = page.read_text().split('"id":"truth"')[1].split('"id":')[0]
    assert '"options":["1","2","3","4","5","6"]' in scatter
