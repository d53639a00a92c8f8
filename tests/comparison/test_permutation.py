"""The permutation distribution against SciPy, exact p-values, and the figures of random rankings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from acrank.comparison import statistics
from acrank.comparison.permutation import Permutations, taus_of_orders
from acrank.comparison.resampling import TAUS


@pytest.mark.parametrize("levels", [3, 100])
def test_every_order_has_the_tau_of_its_columns(levels: int) -> None:
    rng = np.random.default_rng(levels)
    score, truth = (np.unique(rng.integers(levels, size=12), return_inverse=True)[1] for _ in range(2))
    orders = Permutations(0, 100).orders(12)
    found = taus_of_orders(score, truth, orders)
    for name in TAUS:
        expected = [getattr(statistics, name)(score, truth[order]) for order in orders]
        np.testing.assert_allclose(found[name], expected, atol=1e-12)


def test_few_models_are_permuted_exhaustively() -> None:
    score, truth = np.array([1.0, 2, 3, 4]), np.array([0.1, 0.3, 0.2, 0.4])
    tau = statistics.kendall_tau(score, truth)
    taus = [statistics.kendall_tau(score, truth[list(order)]) for order in itertools.permutations(range(4))]
    expected = 2 * np.mean([value >= tau - 1e-12 for value in taus])
    values = {name: getattr(statistics, name)(score, truth) for name in TAUS}
    assert Permutations(0, 100).p_values(score, truth, values)["kendall_tau"] == pytest.approx(expected)


def test_p_values_of_unrelated_rankings_are_uniform() -> None:
    rng = np.random.default_rng(5)
    known = Permutations(0, 999)
    found = []
    for _ in range(400):
        score, truth = rng.normal(size=(2, 15))
        values = {name: getattr(statistics, name)(score, truth) for name in TAUS}
        found.append(known.p_values(score, truth, values)["weighted_tau"])
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_a_perfect_order_has_the_smallest_p_value() -> None:
    column = np.arange(20.0)
    p = Permutations(0, 999).p_values(column, column, dict.fromkeys(TAUS, 1.0))
    assert p["weighted_tau"] == pytest.approx(2 / 1000)


def test_a_random_ranking_hits_the_best_once_in_n() -> None:
    found = Permutations(0, 5040).random_ranking(np.arange(1.0, 8.0), (1, 3))
    assert found["top_1_hit"].mean() == pytest.approx(1 / 7)
    assert found["top_3_hit"].mean() == pytest.approx(3 / 7)
    assert found["rel_at_1"].mean() == pytest.approx(4 / 7)
    for name in ("spearman", "pearson", "kendall_tau"):
        assert found[name].mean() == pytest.approx(0, abs=1e-12)
