"""Scores that only the whole run can give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from acrank.ranking.summary import summarise, with_pool_values
from acrank.records import Details, Row, Value
from acrank.records.borda import borda
from acrank.scores.etran import etran_pool
from acrank.settings import Settings

numbers = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=8)


@given(numbers)
def test_borda_equals_the_mean_rank(values: list[float]) -> None:
    named = {f"m{i}": value for i, value in enumerate(values)}
    expected = (rankdata(values) - 1) / (len(values) - 1)
    assert list(borda(named, higher_is_better=True).values()) == pytest.approx(expected)
    flipped = borda({name: -value for name, value in named.items()}, higher_is_better=False)
    assert list(flipped.values()) == pytest.approx(expected)


def test_a_pool_of_one_has_no_consensus() -> None:
    assert borda({"only": 1.0}, higher_is_better=True) == {}


def row(model: str, parts: list[tuple[float, float]], **values: float) -> Row:
    scores = {name: Value(value) for name, value in values.items()} | {"etran": Value(None)}
    return Row(model, "scored", scores=scores, details=Details(parts={"etran": [list(part) for part in parts]}))


def test_pool_scores_are_worked_out_draw_by_draw() -> None:
    settings = Settings(scores=["etran"], repeats=2).for_task("classification")
    rows = [row("a", [(1.0, 0.5), (1.0, 0.9)]), row("b", [(3.0, 0.9), (2.0, 0.1)]), row("c", [(2.0, 0.9), (4.0, 0.5)])]
    done = with_pool_values(rows, settings)
    first, second = (etran_pool([row.details.parts["etran"][i] for row in rows]) for i in range(2))
    for one, values in zip(done, zip(first, second, strict=True), strict=True):
        assert one.scores["etran"].value == pytest.approx(np.mean(values))
        assert one.scores["etran"].sd == pytest.approx(np.std(values, ddof=1))


def test_a_single_candidate_has_no_pool_score_and_says_so() -> None:
    settings = Settings(scores=["etran"], repeats=1).for_task("classification")
    (alone,) = with_pool_values([row("a", [(1.0, 0.5)])], settings)
    assert alone.scores["etran"].value is None
    assert "pool" in str(alone.scores["etran"].note)


def test_consensus_counts_each_score_in_its_direction() -> None:
    settings = Settings(scores=["ac_corr", "knn"], rank_by="consensus").for_task("classification")
    rows = [
        Row(name, "scored", scores={"ac_corr": Value(low), "knn": Value(high)})
        for name, low, high in (("best", 0.1, 0.9), ("middle", 0.2, 0.8), ("worst", 0.3, None))
    ]
    rows.append(Row("failed", "skipped", reason="broken"))
    done = {one.model: one for one in with_pool_values(rows, settings)}
    assert done["best"].scores["consensus"].value == 1
    assert done["middle"].scores["consensus"].value == pytest.approx((0.5 + 0) / 2)
    assert done["worst"].scores["consensus"].note == "from 1 of 2 scores"
    assert "consensus" not in done["failed"].scores


def controlled(count: int, *, step: float) -> list[Row]:
    """Candidates whose values under shuffled labels are `step` times their values, all ranks alike or reversed."""
    return [
        Row(
            f"m{i}",
            "scored",
            scores={"knn": Value(i / 10, shuffled=step * i / 10)},
            layers=[{"name": "bn", "channels": i + 1}],
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(("count", "step", "tau"), [(5, 0.5, 1.0), (5, -0.5, -1.0), (4, 0.5, None), (2, 0.5, None)])
def test_fewer_than_five_candidates_have_no_tau_and_no_warning(count: int, step: float, tau: float | None) -> None:
    settings = Settings(scores=["knn"]).for_task("classification")
    found = summarise(controlled(count, step=step), settings, zoo={}, environment={}, target={}, notes=[])
    assert found.controls["tau_shuffled"] == (None if tau is None else pytest.approx(tau))
    assert (found.controls["tau_layer_width"] is None) == (count < 5)
    said = [text for text in found.warnings if text.startswith("shuffled labels give nearly the same ranking")]
    assert len(said) == (1 if tau is not None and tau > 0.7 else 0)


def test_undefined_controls_do_not_count_towards_the_five() -> None:
    rows = controlled(6, step=0.5)
    for row_ in rows[:2]:
        row_.scores["knn"] = Value(row_.scores["knn"].value)
    settings = Settings(scores=["knn"]).for_task("classification")
    found = summarise(rows, settings, zoo={}, environment={}, target={}, notes=[])
    assert found.controls["tau_shuffled"] is None
    assert found.controls["tau_layer_width"] == pytest.approx(1)
