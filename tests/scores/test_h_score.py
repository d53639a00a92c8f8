"""The shrunk H-score against published values, dense linear algebra and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import GOLDEN, clusters, features, iris, labels
from sklearn.covariance import LedoitWolf

from acrank.scores.h_score import h_score, ledoit_wolf


def dense(x, y):
    """The published formula, with scikit-learn's covariance and an explicit inverse."""
    model = LedoitWolf().fit(x)
    expected = np.stack([x[y == c].mean(axis=0) for c in np.unique(y)])[np.unique(y, return_inverse=True)[1]]
    return (1 - model.shrinkage_) * np.trace(np.linalg.inv(model.covariance_) @ np.cov(expected.T))


@pytest.mark.parametrize("sample", "ABC")
def test_agrees_with_published_values(sample):
    assert h_score(features(sample), labels(sample)) == pytest.approx(GOLDEN["h_score"][sample], abs=1e-10)


def test_agrees_with_a_published_value_in_float32():
    assert h_score(features("D"), labels("D")) == pytest.approx(GOLDEN["h_score"]["D"], abs=1e-5)


def test_iris_in_float32():
    assert h_score(*iris()) == pytest.approx(1.1778424804, abs=1e-6)


@pytest.mark.parametrize(("n", "d"), [(50, 7), (30, 100), (40, 40)])
def test_equals_the_dense_formula(n, d):
    x, y = clusters(n, d)
    assert h_score(x, y) == pytest.approx(dense(x, y), abs=1e-9)


def test_does_not_saturate_where_the_pseudo_inverse_does():
    rng = np.random.default_rng(0)
    noise, y = rng.normal(size=(40, 200)), np.arange(40) % 4
    good = noise + 3 * rng.normal(size=(4, 200))[y]
    for x in (noise, good):  # the first H-score calls pure noise perfect: C - 1
        centred = x - x.mean(axis=0)
        between = np.stack([centred[y == c].mean(axis=0) for c in range(4)])[y]
        assert np.trace(np.linalg.pinv(centred.T @ centred) @ between.T @ between) == pytest.approx(3)
    assert h_score(noise, y) < 0.5 < 2 < h_score(good, y)


@pytest.mark.parametrize(("n", "d"), [(50, 7), (30, 100), (200, 1)])
def test_shrinkage_equals_scikit_learn(n, d):
    x = clusters(n, d)[0] * np.linspace(1, 5, d)
    centred = x - x.mean(axis=0)
    assert ledoit_wolf(centred, d) == pytest.approx(LedoitWolf().fit(x).shrinkage_, abs=1e-12)
