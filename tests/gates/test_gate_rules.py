"""Each gate: pass, fail, on the bound, and unusable input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import weightedtau

from acrank.errors import GatesError, TableError
from acrank.gates import GateResult, Gates, check_ranking, parse_gates
from acrank.gates.rules import RULES
from acrank.records import Ranking, Row, Value

SKIPPED = Row("broken", "skipped", reason="no normalisation layers")


def ranking(higher: bool = True, seconds: float | None = None, extra: tuple[Row, ...] = (), **values: Any) -> Ranking:
    """A run of one score "s": name -> value, or (value, low, high)."""
    rows = [
        Row(name, "scored", scores={"s": Value(*([v[0], None, v[1], v[2]] if isinstance(v, tuple) else [v]))})
        for name, v in values.items()
    ]
    for row in rows:
        row.seconds = seconds
    return Ranking.of([*rows, *extra], rank_by="s", higher_is_better={"s": higher})


def outcome(run: Ranking, **gates: Any) -> GateResult:
    """The result of the only gate."""
    report = check_ranking(run, parse_gates(gates))
    assert len(report.results) == 1
    return report.results[0]


def saved(run: Ranking, folder: Path) -> str:
    run.save(folder / "baseline.json")
    return str(folder / "baseline.json")


def truth(folder: Path, text: str) -> str:
    (folder / "truth.csv").write_text(text)
    return str(folder / "truth.csv")


FOUR = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}


class TestTopK:
    @pytest.mark.parametrize(("model", "passed"), [("a", True), ("b", True), ("c", False), ("d", False)])
    def test_the_bound_is_included(self, model: str, passed: bool) -> None:
        assert outcome(ranking(**FOUR), top_k={"model": model, "k": 2}).passed is passed

    def test_a_score_that_is_better_when_lower_ranks_the_other_way(self) -> None:
        assert outcome(ranking(higher=False, **FOUR), top_k={"model": "d", "k": 1}).passed

    def test_failure_names_the_rank_and_the_top(self) -> None:
        result = outcome(ranking(**FOUR), top_k={"model": "d", "k": 2})
        assert (result.message, result.observed) == ("d is rank 4 of 4, not in the top 2: a, b", 4)

    def test_a_skipped_model_fails_with_its_reason(self) -> None:
        result = outcome(ranking(**FOUR, extra=(SKIPPED,)), top_k={"model": "broken", "k": 5})
        assert not result.passed
        assert result.message == "broken was skipped: no normalisation layers"

    def test_a_model_without_a_value_fails_with_the_note(self) -> None:
        row = Row("flat", "scored", scores={"s": Value(None, note="constant feature")})
        result = outcome(ranking(**FOUR, extra=(row,)), top_k={"model": "flat", "k": 5})
        assert not result.passed
        assert result.message == "flat has no value of s: constant feature"

    def test_an_unknown_model_is_unusable_and_the_hint_names_the_nearest(self) -> None:
        with pytest.raises(GatesError, match="no model 'resnet5'") as caught:
            outcome(ranking(resnet50=1.0, vgg=0.5), top_k={"model": "resnet5", "k": 1})
        assert caught.value.hint == "did you mean 'resnet50'?"


class TestMargin:
    @pytest.mark.parametrize(("within", "passed"), [(0.2, True), (0.1, True), (0.0999, False), ("0.1", True)])
    def test_absolute_margin_includes_its_bound_as_written(self, within: Any, passed: bool) -> None:
        # 0.8 - 0.7 is 0.10000000000000009 in binary: the bound must hold for the figures as written
        assert outcome(ranking(a=0.8, b=0.7), margin={"model": "b", "within": within}).passed is passed

    @pytest.mark.parametrize(("within", "passed"), [("11%", True), ("10%", True), ("9.99%", False)])
    def test_relative_margin_is_of_the_best_magnitude(self, within: str, passed: bool) -> None:
        assert outcome(ranking(a=-2.0, b=-2.2), margin={"model": "b", "within": within}).passed is passed

    def test_lower_is_better_measures_from_the_lowest(self) -> None:
        run = ranking(higher=False, a=1.0, b=1.5, c=9.0)
        assert outcome(run, margin={"model": "b", "within": 0.5}).passed
        assert not outcome(run, margin={"model": "c", "within": 0.5}).passed

    def test_the_best_itself_is_within_nothing(self) -> None:
        assert outcome(ranking(**FOUR), margin={"model": "a", "within": 0}).passed

    def test_relative_margin_of_a_best_of_zero_allows_nothing(self) -> None:
        assert not outcome(ranking(a=0.0, b=-0.1), margin={"model": "b", "within": "50%"}).passed

    def test_another_score_than_the_ranking_one(self) -> None:
        rows = [
            Row("a", "scored", scores={"s": Value(2.0), "loss": Value(0.5)}),
            Row("b", "scored", scores={"s": Value(1.0), "loss": Value(0.1)}),
        ]
        run = Ranking.of(rows, rank_by="s", higher_is_better={"s": True, "loss": False})
        assert outcome(run, margin={"model": "b", "within": 0, "score": "loss"}).passed
        assert not outcome(run, margin={"model": "a", "within": 0.1, "score": "loss"}).passed

    def test_an_unknown_score_is_unusable(self) -> None:
        with pytest.raises(GatesError, match="no score 'logme'") as caught:
            outcome(ranking(**FOUR), margin={"model": "a", "within": 1, "score": "logme"})
        assert caught.value.hint == "the run has: s"

    def test_an_unknown_model_is_unusable(self) -> None:
        with pytest.raises(GatesError, match="margin: the run has no model 'e'"):
            outcome(ranking(**FOUR), margin={"model": "e", "within": 1})

    def test_a_skipped_model_fails(self) -> None:
        result = outcome(ranking(**FOUR, extra=(SKIPPED,)), margin={"model": "broken", "within": 100})
        assert (result.passed, result.observed) == (False, None)

    def test_values_of_a_skipped_row_do_not_set_the_best(self) -> None:
        partial = Row("half", "skipped", reason="out of memory", scores={"s": Value(99.0)})
        assert outcome(ranking(**FOUR, extra=(partial,)), margin={"model": "a", "within": 0}).passed

    @given(st.lists(st.decimals(-1000, 1000, places=3), min_size=2, max_size=8, unique=True), st.booleans())
    def test_the_gap_itself_passes_and_anything_less_fails(self, values: list[Any], higher: bool) -> None:
        run = ranking(higher=higher, **{f"m{i}": float(value) for i, value in enumerate(values)})
        gap = abs((max if higher else min)(values) - values[0])
        assert outcome(run, margin={"model": "m0", "within": str(gap)}).passed
        if gap:
            less = gap * (1 - type(gap)("1e-6"))
            assert not outcome(run, margin={"model": "m0", "within": str(less)}).passed


class TestSameBest:
    def test_the_same_best_passes_in_both_tolerances(self, tmp_path: Path) -> None:
        baseline = saved(ranking(a=2.0, b=1.0), tmp_path)
        for tolerance in ("band", "exact"):
            gate = {"baseline": baseline, "tolerance": tolerance}
            assert outcome(ranking(a=5.0, b=4.0), same_best=gate).passed

    @pytest.mark.parametrize(
        ("low", "band"),
        [
            (2.9, True),  # the intervals overlap
            (3.0, True),  # they touch: still one band
            (3.1, False),
        ],
    )
    def test_band_tolerance_ends_where_the_leading_band_ends(self, tmp_path: Path, low: float, band: bool) -> None:
        baseline = saved(ranking(a=2.0, b=1.0), tmp_path)
        run = ranking(b=(4.0, low, 5.0), a=(2.0, 1.0, 3.0))
        assert outcome(run, same_best={"baseline": baseline}).passed is band
        assert not outcome(run, same_best={"baseline": baseline, "tolerance": "exact"}).passed

    def test_an_interval_that_overlaps_the_best_passes_from_a_later_band(self, tmp_path: Path) -> None:
        baseline = saved(ranking(a=9.0, b=1.0, c=1.0), tmp_path)
        run = ranking(a=(6.0, 3.0, 9.0), b=(9.0, 8.0, 10.0), c=(7.0, 6.9, 7.1))
        result = outcome(run, same_best={"baseline": baseline})
        assert result.passed
        assert result.message.endswith("now rank 3, in band 2, but its interval overlaps that of the first")

    def test_failure_gives_the_new_place_of_the_former_best(self, tmp_path: Path) -> None:
        baseline = saved(ranking(a=2.0, b=1.0), tmp_path)
        run = ranking(a=(1.0, 0.9, 1.1), b=(2.0, 1.9, 2.1))
        result = outcome(run, same_best={"baseline": baseline})
        assert not result.passed
        assert result.message == f"the best is b, in {baseline} it was a, now rank 2, outside the leading band"

    def test_a_single_draw_has_no_bands_to_stay_in(self, tmp_path: Path) -> None:
        baseline = saved(ranking(a=2.0, b=1.0), tmp_path)
        result = outcome(ranking(a=1.0, b=2.0), same_best={"baseline": baseline})
        assert not result.passed
        assert result.message == f"the best is b, in {baseline} it was a, now rank 2 of a run without bands"
        assert outcome(ranking(a=3.0, b=2.0), same_best={"baseline": baseline}).passed

    @pytest.mark.parametrize(
        ("extra", "said"), [((), "which is not in the run"), ((Row("a", "skipped", reason="gone"),), "skipped: gone")]
    )
    def test_a_former_best_that_is_missing_or_skipped_fails(self, tmp_path: Path, extra: Any, said: str) -> None:
        baseline = saved(ranking(a=2.0, b=1.0), tmp_path)
        result = outcome(ranking(b=2.0, extra=extra), same_best={"baseline": baseline})
        assert not result.passed
        assert said in result.message

    def test_a_run_that_ranked_nothing_fails(self, tmp_path: Path) -> None:
        baseline = saved(ranking(a=2.0), tmp_path)
        assert not outcome(ranking(extra=(SKIPPED,)), same_best={"baseline": baseline}).passed

    def test_a_missing_baseline_is_unusable(self, tmp_path: Path) -> None:
        with pytest.raises(TableError, match="cannot read"):
            outcome(ranking(**FOUR), same_best={"baseline": str(tmp_path / "none.json")})

    def test_a_baseline_without_ranks_is_unusable(self, tmp_path: Path) -> None:
        with pytest.raises(GatesError, match="ranks nothing"):
            outcome(ranking(**FOUR), same_best={"baseline": saved(ranking(extra=(SKIPPED,)), tmp_path)})

    def test_a_baseline_of_another_score_is_unusable(self, tmp_path: Path) -> None:
        other = Ranking.of([Row("a", "scored", scores={"t": Value(1.0)})], rank_by="t", higher_is_better={"t": True})
        with pytest.raises(GatesError, match="is ranked by 't', the run by 's'"):
            outcome(ranking(**FOUR), same_best={"baseline": saved(other, tmp_path)})


class TestWeightedTau:
    TRUTH = "model,ground_truth\na,0.9\nb,0.7\nc,0.8\nd,0.1\n"
    TAU = float(weightedtau([4, 3, 2, 1], [0.9, 0.7, 0.8, 0.1]).statistic)

    @pytest.mark.parametrize(("distance", "passed"), [(-0.1, True), (0.0, True), (1e-6, False)])
    def test_the_bound_is_included(self, tmp_path: Path, distance: float, passed: bool) -> None:
        gate = {"truth": truth(tmp_path, self.TRUTH), "at_least": self.TAU + distance}
        result = outcome(ranking(**FOUR), weighted_tau=gate)
        assert result.passed is passed
        assert result.observed == pytest.approx(self.TAU, abs=1e-12)

    def test_perfect_agreement_reaches_one_whatever_the_rounding(self, tmp_path: Path) -> None:
        rows = "".join(f"m{i},{i}\n" for i in range(17))
        gate = {"truth": truth(tmp_path, "model,ground_truth\n" + rows), "at_least": 1}
        assert outcome(ranking(**{f"m{i}": float(i) for i in range(17)}), weighted_tau=gate).passed

    def test_a_lower_is_better_score_is_negated_before_it_is_compared(self, tmp_path: Path) -> None:
        gate = {"truth": truth(tmp_path, self.TRUTH), "at_least": 0}
        losses = {name: -value for name, value in FOUR.items()}
        assert outcome(ranking(higher=False, **losses), weighted_tau=gate).observed == pytest.approx(self.TAU)

    def test_models_on_one_side_only_are_left_out_and_counted(self, tmp_path: Path) -> None:
        gate = {"truth": truth(tmp_path, self.TRUTH + "e,0.5\n"), "at_least": 0}
        result = outcome(ranking(**FOUR, f=9.0, extra=(SKIPPED,)), weighted_tau=gate)
        assert result.observed == pytest.approx(self.TAU)
        assert result.message.endswith("over 4 models (2 of the run and 1 of the truth without a counterpart)")

    def test_seeds_are_averaged_and_the_method_is_chosen(self, tmp_path: Path) -> None:
        rows = "model,method,seed,ground_truth\na,ft,0,1\na,ft,1,3\nb,ft,0,2.5\na,probe,0,9\nb,probe,0,1\n"
        path = truth(tmp_path, rows)
        run = ranking(a=2.0, b=1.0)
        assert outcome(run, weighted_tau={"truth": path, "at_least": -1, "method": "ft"}).observed == pytest.approx(-1)
        assert outcome(run, weighted_tau={"truth": path, "at_least": -1, "method": "probe"}).observed == pytest.approx(
            1
        )
        with pytest.raises(TableError, match="several methods"):
            outcome(run, weighted_tau={"truth": path, "at_least": 0})

    def test_one_of_several_datasets_must_be_chosen(self, tmp_path: Path) -> None:
        path = truth(tmp_path, "dataset,model,ground_truth\nx,a,1\nx,b,2\ny,a,2\ny,b,1\n")
        run = ranking(a=2.0, b=1.0)
        assert outcome(run, weighted_tau={"truth": path, "at_least": 1, "dataset": "y"}).passed
        assert not outcome(run, weighted_tau={"truth": path, "at_least": 1, "dataset": "x"}).passed
        with pytest.raises(GatesError, match="several datasets") as caught:
            outcome(run, weighted_tau={"truth": path, "at_least": 1})
        assert caught.value.hint == "choose one of: x, y"
        with pytest.raises(GatesError, match="no dataset 'z'"):
            outcome(run, weighted_tau={"truth": path, "at_least": 1, "dataset": "z"})

    @pytest.mark.parametrize(
        ("rows", "why"), [("x,1\ny,2\n", "0 models have both"), ("a,1\nb,1\nc,1\n", "a constant column")]
    )
    def test_an_undefined_tau_is_unusable(self, tmp_path: Path, rows: str, why: str) -> None:
        gate = {"truth": truth(tmp_path, "model,ground_truth\n" + rows), "at_least": -1}
        with pytest.raises(GatesError, match=why):
            outcome(ranking(**FOUR), weighted_tau=gate)

    def test_a_missing_truth_is_unusable(self, tmp_path: Path) -> None:
        with pytest.raises(TableError, match="cannot read"):
            outcome(ranking(**FOUR), weighted_tau={"truth": str(tmp_path / "none.csv"), "at_least": 0})


class TestNoSkipped:
    def test_nothing_skipped_passes(self) -> None:
        assert outcome(ranking(**FOUR), no_skipped=True).message == "0 of 4 candidates skipped"

    def test_one_skipped_fails_with_its_reason(self) -> None:
        result = outcome(ranking(**FOUR, extra=(SKIPPED,)), no_skipped=True)
        assert not result.passed
        assert result.message == "1 of 5 candidates skipped: broken (no normalisation layers)"

    def test_exactly_the_allowed_ones_pass_and_one_more_fails(self) -> None:
        other = Row("other", "skipped", reason="no file")
        gate = {"allowed": ["broken"]}
        assert outcome(ranking(**FOUR, extra=(SKIPPED,)), no_skipped=gate).passed
        result = outcome(ranking(**FOUR, extra=(SKIPPED, other)), no_skipped=gate)
        assert (result.passed, result.observed) == (False, 1)
        assert "broken (" not in result.message

    def test_allowing_a_model_that_the_run_lacks_is_unusable(self) -> None:
        with pytest.raises(GatesError, match="no model 'brokne'") as caught:
            outcome(ranking(**FOUR, extra=(SKIPPED,)), no_skipped={"allowed": ["brokne"]})
        assert caught.value.hint == "did you mean 'broken'?"


class TestNoWarnings:
    def test_passes_without_and_fails_with_a_warning(self) -> None:
        run = ranking(**FOUR)
        assert outcome(run, no_warnings=True).passed
        run.warnings.append("one class only")
        result = outcome(run, no_warnings=True)
        assert (result.passed, result.message) == (False, "1 warning: one class only")


class TestTime:
    @pytest.mark.parametrize(("seconds", "passed"), [(1.0, True), (3.0, True), (3.01, False)])
    def test_the_bound_is_included(self, tmp_path: Path, seconds: float, passed: bool) -> None:
        gate = {"baseline": saved(ranking(**FOUR, seconds=2.0), tmp_path), "at_most": 1.5}
        assert outcome(ranking(**FOUR, seconds=seconds), time=gate).passed is passed

    def test_rounding_does_not_decide_on_the_bound(self, tmp_path: Path) -> None:
        gate = {"baseline": saved(ranking(**FOUR, seconds=0.1), tmp_path), "at_most": 3}
        assert outcome(ranking(**FOUR, seconds=0.1 + 0.2), time=gate).passed  # 0.30000000000000004

    def test_one_slow_candidate_of_three_does_not_move_the_median(self, tmp_path: Path) -> None:
        gate = {"baseline": saved(ranking(a=3.0, b=2.0, c=1.0, gone=0.0, seconds=1.0), tmp_path), "at_most": 1.5}
        run = ranking(a=3.0, b=2.0, c=1.0, new=0.0, seconds=1.5)
        run.rows[0].seconds = 100.0
        run.rows[3].seconds = 100.0  # not in the baseline: no ratio
        result = outcome(run, time=gate)
        assert result.passed
        assert result.observed == 1.5
        assert result.message.endswith("median over 3 common candidates")

    def test_no_common_candidate_with_a_time_is_unusable(self, tmp_path: Path) -> None:
        for baseline in (ranking(x=1.0, seconds=1.0), ranking(**FOUR), ranking(**FOUR, seconds=0.0)):
            with pytest.raises(GatesError, match="no candidate has a time both"):
                outcome(ranking(**FOUR, seconds=1.0), time={"baseline": saved(baseline, tmp_path), "at_most": 2})

    def test_a_missing_baseline_is_unusable(self, tmp_path: Path) -> None:
        with pytest.raises(TableError, match="cannot read"):
            outcome(ranking(**FOUR, seconds=1.0), time={"baseline": str(tmp_path / "none.json"), "at_most": 2})


class TestMaxSeconds:
    @pytest.mark.parametrize(("limit", "passed"), [(2.5, True), (2.0, True), (1.99, False)])
    def test_the_slowest_decides_and_the_bound_is_included(self, limit: float, passed: bool) -> None:
        run = ranking(**FOUR, seconds=1.0)
        run.rows[2].seconds = 2.0
        result = outcome(run, max_seconds=limit)
        assert (result.passed, result.observed) == (passed, 2.0)
        assert result.message == "the slowest of 4 candidates, c, took 2 s"

    def test_a_run_without_times_is_unusable(self) -> None:
        with pytest.raises(GatesError, match="no candidate of the run has a time"):
            outcome(ranking(**FOUR), max_seconds=1)


def test_every_gate_of_the_schema_has_its_rule() -> None:
    assert list(RULES) == [name for name in Gates.model_fields if name != "allow_partial"]


def test_no_gate_is_an_error_not_a_pass() -> None:
    with pytest.raises(GatesError, match="no gate is asked for"):
        check_ranking(ranking(**FOUR), Gates())


def test_results_come_in_the_order_of_the_gates_and_one_failure_fails_the_report() -> None:
    report = check_ranking(
        ranking(**FOUR, extra=(SKIPPED,)), parse_gates({"no_skipped": True, "top_k": {"model": "a", "k": 1}})
    )
    assert [(result.name, result.passed) for result in report.results] == [("top_k", True), ("no_skipped", False)]
    assert not report.passed
    assert report.title == "acrank check of the run: 1 of 2 gates failed"
