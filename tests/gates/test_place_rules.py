"""Gates on a model's place, and margins in every unit."""

from __future__ import annotations

import dataclasses
import math

import pytest

from acrank.errors import GatesError
from acrank.gates import GateResult, check_ranking, parse_gates
from acrank.gates.margins import Within
from acrank.records import Details, Ranking, Refined, Row, Value, ZeroPoint
from acrank.records.joint import joined
from acrank.records.score_value import COMPARISON


def outcome(run: Ranking, **gates: object) -> GateResult:
    (result,) = check_ranking(run, parse_gates(gates)).results
    return result


def run(*rows: Row, higher: bool = True) -> Ranking:
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": higher})


def scored(name: str, value: float, half: float | None = None, sd: float | None = None, draws: int = 3) -> Row:
    ends = (None, None) if half is None else (value - half, value + half)
    return Row(name, "scored", scores={"s": Value(value, sd, *ends)}, details=Details(draws=draws))


BANDS = run(scored("a", 5.0, 1.0), scored("b", 4.0, 0.5), scored("c", 3.0, 0.5), Row("d", "skipped", reason="damaged"))


@pytest.mark.parametrize(("model", "passed"), [("a", True), ("b", True), ("c", False), ("d", False)])
def test_the_leading_band_is_the_tables(model: str, passed: bool) -> None:
    assert [row.band for row in BANDS.rows] == [1, 1, 2, None]
    assert outcome(BANDS, leading_band=model).passed is passed
    assert outcome(BANDS, leading_band={"model": model}).passed is passed


@pytest.mark.parametrize(
    "gate", [{"leading_band": "a"}, {"top_k": {"model": "a", "k": 1}}, {"margin": {"model": "a", "within": "10%"}}]
)
def test_a_model_that_passes_and_looks_untrained_is_called_so(gate: dict[str, object]) -> None:
    found = run(scored("a", 5.0, 1.0), scored("b", 1.0, 0.5))
    before = outcome(found, **gate).message
    found.rows[0].layers = [{"name": "bn", "channels": 8, "as_begun": True}]
    result = outcome(found, **gate)
    assert result.passed
    assert result.message == f"{before}; but it looks untrained: all its normalisation layers are as they begin"
    found.rows[0].untrained = ZeroPoint.of("s", [4.0, 5.0, 6.0])
    assert outcome(found, **gate).message.endswith(
        "as they begin; but it is no better than its architecture with drawn weights"
    )


def test_a_margin_of_ten_percent_failed_a_model_of_the_leading_band() -> None:
    assert not outcome(BANDS, margin={"model": "b", "within": "10%"}).passed
    assert outcome(BANDS, leading_band="b").passed


def test_an_interval_that_overlaps_the_first_passes_from_a_later_band() -> None:
    found = run(scored("a", 9.0, 1.0), scored("b", 7.0, 0.1), scored("c", 6.0, 3.0))
    assert not outcome(found, leading_band="b").passed
    result = outcome(found, leading_band="c")
    assert (result.passed, result.observed) == (True, 2)
    assert result.message == "c is rank 3, in band 2, but its interval overlaps that of the first"


def test_without_bands_only_the_first_can_be_judged() -> None:
    bare = run(scored("a", 2.0), scored("b", 1.0))
    assert outcome(bare, leading_band="a").passed
    with pytest.raises(GatesError, match="a run without bands"):
        outcome(bare, leading_band="b")


def test_among_the_first_after_refining() -> None:
    rows = [scored(name, 9.0 - place) for place, name in enumerate("abcd")]
    rows[0].refined = Refined(metric="accuracy", quality=0.70, low=0.65, high=0.75, epochs=3)
    rows[1].refined = Refined(metric="accuracy", quality=0.80, low=0.76, high=0.84, epochs=3)
    rows[2].refined = Refined(metric="accuracy", quality=None, reason="out of memory")
    refined = run(*rows)
    assert outcome(refined, refined_top_k={"model": "b", "k": 1}).passed
    found = outcome(refined, refined_top_k={"model": "a", "k": 1})
    assert (found.passed, found.observed) == (False, 2)
    assert outcome(refined, refined_top_k={"model": "a", "k": 2}).passed
    rows[0].refined = Refined(metric="accuracy", quality=0.70, low=0.60, high=0.80)  # their intervals overlap now
    within = outcome(run(*rows), refined_top_k={"model": "a", "k": 1})
    assert within.passed
    assert within.message.endswith("place 1 of the 2 trained (b higher, but within the intervals)")
    assert "out of memory" in outcome(refined, refined_top_k={"model": "c", "k": 4}).message
    assert "not among the 2" in outcome(refined, refined_top_k={"model": "d", "k": 4}).message
    with pytest.raises(GatesError, match="no candidate of the run was refined"):
        outcome(BANDS, refined_top_k={"model": "a", "k": 1})


def test_a_gate_that_every_trained_candidate_passes_says_so() -> None:
    rows = [scored("a", 5.0, 1.0), scored("b", 4.0, 1.0), scored("c", 3.0, 1.0)]
    for row in rows[:2]:
        row.refined = Refined(metric="dice", quality=0.8, low=0.6, high=0.9, rounds=1)
    result = outcome(run(*rows), refined_top_k={"model": "a", "k": 1})
    assert result.passed
    assert "so does each of the 2 candidates" in result.message


def test_a_training_that_gave_a_guess_is_no_place_among_the_first() -> None:
    rows = [scored("a", 5.0, 1.0), scored("b", 4.0, 1.0)]
    for row in rows:
        row.refined = Refined(metric="balanced_accuracy", quality=0.3333, low=0.30, high=0.36)
    found = run(*rows)
    found.target = {"classes": ["x", "y", "z"]}
    result = outcome(found, refined_top_k={"model": "a", "k": 1})
    assert not result.passed
    assert result.message.endswith("but that is no better than a guess")
    found.target = {"classes": ["x", "y", "z", "w", "v"]}  # of five a third is more than a guess
    assert outcome(found, refined_top_k={"model": "a", "k": 1}).passed


@pytest.mark.parametrize(
    ("within", "allowed"),
    [
        ("0.5", 0.5),
        (1, 1.0),
        ("10%", 0.5),
        ("25% of range", 0.5),
        ("50 % of  range", 1.0),
        ("2 se", 2 * math.sqrt(0.05)),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_margin_in_every_unit(within: str | float, allowed: float, sign: int) -> None:
    """Best 5, worst 3; deviations 0.3 and 0.4 over five draws: the difference has a standard error of 0.5 / √5."""
    for gap, passed in ((allowed - 1e-9, True), (allowed + 1e-9, False)):
        rows = [
            scored("a", sign * 5.0, sd=0.3, draws=5),
            scored("b", sign * (5.0 - gap), sd=0.4, draws=5),
        ]
        found = run(*rows, scored("c", sign * 3.0), higher=sign > 0)
        assert outcome(found, margin={"model": "b", "within": within}).passed is passed
    assert str(Within.parse(str(Within.parse(within)))) == str(Within.parse(within))


def test_standard_errors_are_those_of_the_intervals() -> None:
    """As the images tell it over as many draws as they are worth, else over the draws, else by the shared interval."""
    told, drawn, shared = scored("a", 5.0), scored("b", 4.0, sd=0.4, draws=4), scored("c", 3.0)
    told.details.values, told.details.deviations = {"s": [4.9, 5.1]}, {"s": [0.3, 0.3]}
    told.details.worth = [1.0, 1.5]
    shared = dataclasses.replace(shared, scores={"s": Value(3.0, low=2.9, high=3.0 + COMPARISON * 0.5)})
    errors = {"b": math.sqrt(0.09 / 1.5 + 0.16 / 4), "c": math.sqrt(0.09 / 1.5 + 0.25)}
    for model, gap in (("b", 1.0), ("c", 2.0)):
        for factor, passed in ((1.001, True), (0.999, False)):
            within = f"{gap / errors[model] * factor:.6f} se"
            assert outcome(run(told, drawn, shared), margin={"model": model, "within": within}).passed is passed


def test_standard_errors_need_an_interval() -> None:
    with pytest.raises(GatesError, match="s of b has no interval"):
        outcome(run(scored("a", 2.0, sd=0.1), scored("b", 1.0)), margin={"model": "b", "within": "3 se"})
    assert outcome(run(scored("a", 2.0), scored("b", 1.0)), margin={"model": "a", "within": "3 se"}).passed


def test_a_margin_in_standard_errors_of_joint_names_gates_that_fit() -> None:
    ranking = joined(run(scored("a", 5.0, 1.0), scored("b", 4.0, 1.0)))
    for row in ranking.rows:
        row.refined = Refined(metric="dice", quality=0.5, low=0.4, high=0.6, rounds=1)
    ranking = joined(ranking)
    with pytest.raises(GatesError, match="joint of a, b has no interval") as caught:
        outcome(ranking, margin={"model": "b", "within": "2 se"})
    wide = outcome(ranking, margin={"model": "b", "within": 1})
    assert wide.passed
    assert wide.message.split("; but ")[1].startswith("joint is made of ranks: the margin counts places, not quality")
    assert wide.warnings
    assert not outcome(ranking, margin={"model": "b", "within": 0.5}).warnings
    assert caught.value.hint is not None
    assert "--leading-band or --refined-top-k, or for a margin of a score" in caught.value.hint
