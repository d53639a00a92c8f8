"""The statistics of a score: SciPy, brute force over pairs, and invariances."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from acrank.comparison import statistics as figures

CORRELATIONS = ["weighted_tau", "weighted_tau_truth_ranked", "kendall_tau", "spearman", "pearson"]
few_levels = st.integers(-3, 3).map(float)
columns = st.lists(st.tuples(few_levels, few_levels), min_size=2, max_size=12)


def brute_weighted_tau(score: list[float], truth: list[float], by_score: bool) -> float:
    """Vigna's definition, pair by pair: weights 1/(1+r) of both members, added; tied pairs count for nothing."""
    n = len(score)
    first, second = (score, truth) if by_score else (truth, score)
    order = sorted(range(n), key=lambda i: (first[i], second[i]), reverse=True)
    weight = {model: 1 / (1 + rank) for rank, model in enumerate(order)}
    product = own_score = own_truth = 0.0
    for i, j in itertools.combinations(range(n), 2):
        pair = weight[i] + weight[j]
        a, b = np.sign(score[i] - score[j]), np.sign(truth[i] - truth[j])
        product, own_score, own_truth = product + pair * a * b, own_score + pair * a * a, own_truth + pair * b * b
    return product / math.sqrt(own_score * own_truth)


@given(columns)
def test_both_weighted_taus_follow_the_definition_with_ties(pairs: list[tuple[float, float]]) -> None:
    score, truth = map(list, zip(*pairs, strict=True))
    if len(set(score)) == 1 or len(set(truth)) == 1:
        assert math.isnan(figures.weighted_tau(score, truth))
        return
    by_score, by_truth = (brute_weighted_tau(score, truth, way) for way in (True, False))
    assert figures.weighted_tau(score, truth) == pytest.approx((by_score + by_truth) / 2, abs=1e-12)
    assert figures.weighted_tau_truth_ranked(score, truth) == pytest.approx(by_truth, abs=1e-12)


@given(columns)
def test_plain_correlations_agree_with_scipy(pairs: list[tuple[float, float]]) -> None:
    score, truth = map(np.array, zip(*pairs, strict=True))
    if len(set(score)) == 1 or len(set(truth)) == 1:
        return
    assert figures.kendall_tau(score, truth) == pytest.approx(stats.kendalltau(score, truth).statistic, abs=1e-12)
    assert figures.spearman(score, truth) == pytest.approx(stats.spearmanr(score, truth).statistic, abs=1e-12)
    assert figures.pearson(score, truth) == pytest.approx(stats.pearsonr(score, truth).statistic, abs=1e-12)


def test_the_two_conventions_are_scipys() -> None:
    rng = np.random.default_rng(0)
    score, truth = rng.normal(size=(2, 14))
    assert figures.weighted_tau(score, truth) == stats.weightedtau(score, truth).statistic
    expected = stats.weightedtau(truth, score, rank=None).statistic
    assert figures.weighted_tau_truth_ranked(score, truth) == expected
    assert abs(expected - stats.weightedtau(score, truth).statistic) > 1e-3


@pytest.mark.parametrize("name", CORRELATIONS)
@given(pairs=columns, seed=st.integers(0, 99))
def test_the_order_of_the_models_does_not_matter(name: str, pairs: list[tuple[float, float]], seed: int) -> None:
    score, truth = map(np.array, zip(*pairs, strict=True))
    shuffled = np.random.default_rng(seed).permutation(len(score))
    function = getattr(figures, name)
    assert function(score, truth) == pytest.approx(function(score[shuffled], truth[shuffled]), nan_ok=True, abs=1e-12)


@given(pairs=columns, k=st.integers(1, 5), seed=st.integers(0, 99))
def test_top_k_figures_do_not_depend_on_the_order_of_tied_models(
    pairs: list[tuple[float, float]], k: int, seed: int
) -> None:
    score, truth = map(np.array, zip(*pairs, strict=True))
    shuffled = np.random.default_rng(seed).permutation(len(score))
    for function in (figures.top_k_hit, figures.relative_at_k, figures.regret_at_k):
        assert function(score, truth, k) == pytest.approx(function(score[shuffled], truth[shuffled], k), nan_ok=True)


@pytest.mark.parametrize("name", CORRELATIONS)
def test_models_without_a_value_are_left_out(name: str) -> None:
    score, truth = np.random.default_rng(1).normal(size=(2, 9))
    function = getattr(figures, name)
    expected = function(score[2:], truth[2:])
    score[0], truth[1] = np.nan, np.nan
    assert function(score, truth) == expected


@pytest.mark.parametrize("name", CORRELATIONS)
@pytest.mark.parametrize(("score", "truth"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [2, 2, 2]), ([1], [1]), ([], [])])
def test_a_constant_or_single_entry_has_no_correlation(name: str, score: list[float], truth: list[float]) -> None:
    assert math.isnan(getattr(figures, name)(score, truth))


def test_an_infinite_score_keeps_its_place_but_has_no_linear_correlation() -> None:
    score, finite, truth = [-np.inf, 1, 2, 3], [-9, 1, 2, 3], [0.5, 0.1, 0.6, 0.7]
    for name in CORRELATIONS[:-1]:
        assert getattr(figures, name)(score, truth) == getattr(figures, name)(finite, truth)
    assert math.isnan(figures.pearson(score, truth))


def test_pearson_survives_extreme_scales() -> None:
    score, truth = np.random.default_rng(2).normal(size=(2, 8))
    expected = figures.pearson(score, truth)
    assert figures.pearson(score * 1e200, truth * 1e-200) == pytest.approx(expected, abs=1e-12)


def test_ties_in_the_score_are_broken_against_it() -> None:
    score, truth = [1.0, 1.0, 0.0], [0.9, 0.5, 0.7]
    assert figures.top_k_hit(score, truth, 1) == 0.0
    assert figures.regret_at_k(score, truth, 1) == pytest.approx(0.4)
    assert figures.relative_at_k(score, truth, 2) == 1.0


def test_rel_at_k_needs_a_positive_best_truth() -> None:
    assert math.isnan(figures.relative_at_k([1, 2], [-1, -2], 1))
    assert figures.regret_at_k([1, 2], [-1, -2], 1) == 1.0


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        figures.top_k_hit([1, 2], [1, 2], 0)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        figures.kendall_tau([1, 2], [1, 2, 3])
