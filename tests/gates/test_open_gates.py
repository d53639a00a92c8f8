"""A gate that every candidate passes says so, and fails a check without warnings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml, SystemOut

from acrank.gates import GateResult, check_ranking, parse_gates
from acrank.records import Ranking, Refined, Row, Value

BAND = (
    "the band holds all 4 candidates: the sample cannot tell them apart; more --samples/--repeats or --refine, "
    "or --within/--top-k, make a gate that can fail"
)


def run(half: float, count: int = 4) -> Ranking:
    """Candidates m0 (best) to the last, each one apart, with intervals of this half width; one more is skipped."""
    rows = []
    for place in range(count):
        value = float(count - place)
        rows.append(Row(f"m{place}", "scored", scores={"s": Value(value, 0.1, value - half, value + half)}))
    rows.append(Row("broken", "skipped", reason="no weights"))
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, complete=True)


def outcomes(ranking: Ranking, **gates: Any) -> dict[str, GateResult]:
    return {found.name: found for found in check_ranking(ranking, parse_gates(gates)).results}


@pytest.mark.parametrize("model", ["m0", "m3"])
def test_a_band_of_all_candidates_proves_nothing(model: str) -> None:
    found = outcomes(run(5.0), leading_band=model, no_warnings=True)
    assert found["leading_band"].passed
    assert found["leading_band"].message.endswith(f"; but {BAND}")
    assert not found["no_warnings"].passed
    assert found["no_warnings"].observed == 1
    assert found["no_warnings"].message.startswith(f"1 warning of other gates: leading_band: {BAND[:60]}")


def test_a_larger_sample_is_not_advised_where_all_images_are_in_it() -> None:
    ranking = run(5.0)
    for size, advised in ((9, "more --samples/--repeats or --refine"), (4, "; --refine")):
        ranking.target = {"size": size, "draws": [{"ids": list("abcd")}]}
        assert advised in outcomes(ranking, leading_band="m0")["leading_band"].message


def test_a_band_that_leaves_one_out_and_a_single_candidate_are_not_said() -> None:
    for ranking, model in ((run(1.4), "m1"), (run(5.0, count=1), "m0")):
        found = outcomes(ranking, leading_band=model, no_warnings=True)
        assert "but" not in found["leading_band"].message
        assert found["no_warnings"].passed


@pytest.mark.parametrize(
    ("gate", "narrower"),
    [
        ({"top_k": {"model": "m1", "k": 4}}, {"top_k": {"model": "m1", "k": 3}}),
        ({"margin": {"model": "m1", "within": 3}}, {"margin": {"model": "m1", "within": 2.9}}),
        ({"margin": {"model": "m1", "within": "100% of range"}}, {"margin": {"model": "m1", "within": "99% of range"}}),
        ({"refined_top_k": {"model": "m1", "k": 4}}, None),
    ],
)
def test_other_gates_that_all_pass_say_so(gate: dict[str, Any], narrower: dict[str, Any] | None) -> None:
    ranking = run(0.1)
    for row in ranking.rows[:4]:
        row.refined = Refined(metric="accuracy", quality=0.6, low=0.5, high=0.7, epochs=2)
    (result,) = outcomes(ranking, **gate).values()
    assert result.passed
    assert "; but so does each of the 4 candidates: a smaller --" in result.message
    if narrower:
        (other,) = outcomes(run(0.1), **narrower).values()
        assert other.passed
        assert not other.warnings


def test_the_former_best_in_a_band_of_all(tmp_path: Path) -> None:
    before = run(5.0)
    before.rows[3].scores["s"] = Value(9.0)
    Ranking.of(before.rows, rank_by="s", higher_is_better={"s": True}).save(tmp_path / "before.json")
    run(5.0).save(tmp_path / "same.json")
    assert outcomes(run(5.0), same_best={"baseline": str(tmp_path / "before.json")})["same_best"].warnings == (BAND,)
    assert not outcomes(run(5.0), same_best={"baseline": str(tmp_path / "same.json")})["same_best"].warnings


def test_an_untrained_model_is_warned_of_whether_it_passes_or_not() -> None:
    ranking = run(0.1)
    for row in ranking.rows:
        row.layers = [{"name": "bn", "channels": 8, "as_begun": True}]
    for k, joins, passed in ((3, "; but ", True), (2, "; and ", False)):
        found = outcomes(ranking, top_k={"model": "m2", "k": k}, no_warnings=True)
        assert found["top_k"].passed is passed
        assert f"{joins}it looks untrained" in found["top_k"].message
        assert not found["no_warnings"].passed


def test_every_output_says_it(tmp_path: Path, acrank: Callable[..., Any]) -> None:
    run(5.0).save(tmp_path / "run.json")
    words = ("check", tmp_path / "run.json", "--model", "m3", "--leading-band")
    outputs = [tmp_path / name for name in ("out.xml", "out.md", "out.json", "out.csv", "out.txt")]
    done = acrank(*words, *(word for path in outputs for word in ("-o", path)))
    assert done.code == 0, done.err
    assert f"warning: leading_band: {BAND}" in done.err
    for text in (done.out, *(path.read_text() for path in outputs)):
        assert BAND in " ".join(text.split())
    assert json.loads(outputs[2].read_text())["results"][0]["warnings"] == [BAND]
    (suite,) = JUnitXml.fromfile(str(outputs[0]))
    assert next(iter(suite)).child(SystemOut).text.endswith(BAND)
    assert acrank(*words, "--no-warnings").code == 1


def test_two_thousand_candidates_take_no_time() -> None:
    started = time.process_time()
    assert outcomes(run(5000.0, count=2000), leading_band="m1999")["leading_band"].warnings
    assert time.process_time() - started < 5
