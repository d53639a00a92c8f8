"""Statistics of many resamples at once agree with one resample at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.comparison import resampling, statistics
from acrank.comparison.resampling import bootstrap_counts, interval
from acrank.comparison.results import Estimate


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 15),
    levels=st.sampled_from([2, 4, 1000]),
    special=st.sampled_from([None, -np.inf]),
)
def test_counts_mean_the_same_as_repeated_models(seed: int, n: int, levels: int, special: float | None) -> None:
    rng = np.random.default_rng(seed)
    score, truth = (rng.integers(levels, size=n).astype(float) for _ in range(2))
    if special is not None:
        score[0] = special
    counts = rng.multinomial(n, np.full(n, 1 / n), size=8).astype(np.float32)
    found = resampling.statistics_of_counts(score, truth, counts, top=(1, 3))
    for row, picked in enumerate(counts.astype(int)):
        x, y = np.repeat(score, picked), np.repeat(truth, picked)
        for name in resampling.CORRELATIONS if special is None else resampling.CORRELATIONS[:-1]:
            assert found[name][row] == pytest.approx(getattr(statistics, name)(x, y), abs=1e-9, nan_ok=True), name
        assert found[resampling.FLIPPED][row] == pytest.approx(statistics.weighted_tau(-x, y), abs=1e-9, nan_ok=True)
        for k in (1, 3):
            functions = (statistics.top_k_hit, statistics.relative_at_k, statistics.regret_at_k)
            for name, function in zip(resampling.top_names(k), functions, strict=True):
                assert found[name][row] == pytest.approx(function(x, y, k), nan_ok=True), name


def test_pearson_is_undefined_on_all_resamples_of_an_infinite_score() -> None:
    counts = np.array([[0, 1, 1, 1], [1, 1, 1, 1]], np.float32)
    found = resampling.statistics_of_counts(np.array([-np.inf, 1, 2, 3]), np.arange(4.0), counts)
    assert np.isnan(found["pearson"]).all()
    np.testing.assert_allclose(found["kendall_tau"], 1.0)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    score, truth = rng.normal(size=(2, 9))
    counts = rng.multinomial(9, np.full(9, 1 / 9), size=20).astype(np.float32)
    whole = resampling.statistics_of_counts(score, truth, counts, top=(2,))
    monkeypatch.setattr(resampling, "_BLOCK", 30)
    for name, values in resampling.statistics_of_counts(score, truth, counts, top=(2,)).items():
        np.testing.assert_array_equal(values, whole[name])


def test_a_model_is_drawn_equally_often_in_all_its_datasets() -> None:
    one, two, apart = bootstrap_counts([["a", "b", "c"], ["c", "a", "b"], ["x", "y"]], resamples=200, seed=3)
    np.testing.assert_array_equal(one, two[:, [1, 2, 0]])
    assert (one.sum(axis=1) == 3).all()
    assert (apart.sum(axis=1) == 2).all()
    assert not np.array_equal(bootstrap_counts([["a", "b", "c"]], resamples=200, seed=4)[0], one)


def test_other_datasets_do_not_change_the_draws_of_one() -> None:
    alone = bootstrap_counts([["a", "b"]], resamples=50, seed=0)[0]
    beside = bootstrap_counts([["x", "y"], ["a", "b"]], resamples=50, seed=0)[1]
    np.testing.assert_array_equal(alone, beside)


def test_no_interval_where_most_resamples_are_undefined() -> None:
    draws = np.array([0.1, 0.2, np.nan, np.nan])
    assert interval(draws) is None
    assert Estimate.of(0.5, draws).low is None
    assert Estimate.of(float("nan"), np.ones(4)).value is None
