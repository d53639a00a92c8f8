"""SFDA, ETran and NCTI: published values and scikit-learn's discriminant analysis as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import GOLDEN, clusters, features, labels
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from acrank.scores import UndefinedScoreError
from acrank.scores.discriminant import adaptive_shrinkage, posterior
from acrank.scores.energy import energy
from acrank.scores.etran import etran, etran_pool
from acrank.scores.linear import compact
from acrank.scores.ncti import ncti, ncti_pool
from acrank.scores.sfda import sfda


def own(probabilities, y):
    return probabilities[np.arange(len(y)), y].mean()


def reference(x, y, shrinkage):
    """scikit-learn's solver with the same shrunk covariance; two classes get a softmax of two scores there too."""
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, y).predict_proba(x)


def slow_sfda(x, y, shrinkage):
    confidence = softmax(reference(x, y, shrinkage), axis=1)[np.arange(len(y)), y]
    means = np.stack([x[y == c].mean(axis=0) for c in range(y.max() + 1)])
    mixed = np.empty_like(x)
    for i, c in enumerate(y):
        others = np.delete(means, c, axis=0).mean(axis=0)
        mixed[i] = confidence[i] * x[i] + (1 - confidence[i]) * others
    return own(reference(mixed, y, shrinkage), y)


def within(x, y):
    return sum(np.cov(x[y == c].T, bias=True) * np.mean(y == c) for c in np.unique(y))


def three_power_steps(matrix):
    """The largest eigenvalue as the authors of SFDA estimate it."""
    left = matrix.sum(axis=1)
    for _ in range(3):
        right = matrix @ left / np.linalg.norm(matrix @ left)
        left = matrix @ right / np.linalg.norm(matrix @ right)
    return left @ matrix @ right


@pytest.mark.parametrize(("sample", "tolerance"), [("A", 1e-9), ("C", 1e-9), ("D", 1e-5)])
def test_sfda_agrees_with_published_values(sample, tolerance):
    x, y = features(sample), labels(sample)
    theirs = max(np.exp(-5 * three_power_steps(within(x, y))), 1e-10)
    assert sfda(x, y, shrinkage=theirs) == pytest.approx(GOLDEN["sfda"][sample], abs=tolerance)
    assert sfda(x, y) == pytest.approx(GOLDEN["sfda"][sample], abs=2e-4)  # with the exact eigenvalue


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 8, 3), (50, 6, 2), (30, 70, 4)])
@pytest.mark.parametrize("shrinkage", [1e-3, 0.1, 0.7])
def test_sfda_equals_a_slow_one_on_scikit_learn(n, d, classes, shrinkage):
    x, y = clusters(n, d, classes, apart=0.5)
    assert sfda(x, y, shrinkage=shrinkage) == pytest.approx(slow_sfda(x, y, shrinkage), abs=1e-6)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (25, 60)])
def test_discriminant_equals_scikit_learn(n, d):
    x, y = clusters(n, d, apart=0.5)
    np.testing.assert_allclose(posterior(compact(x), y, 0.2, d), reference(x, y, 0.2), atol=1e-8)


def test_shrinkage_follows_the_largest_eigenvalue():
    x, y = clusters(80, 5)
    assert adaptive_shrinkage(0.3 * x, y) == pytest.approx(np.exp(-5 * np.linalg.norm(within(0.3 * x, y), 2)))
    assert adaptive_shrinkage(30 * x, y) == 1e-10


def test_images_at_their_class_means_are_undefined():
    with pytest.raises(UndefinedScoreError, match="class mean"):
        sfda(np.eye(3)[[0, 0, 1, 1, 2]], [0, 0, 1, 1, 2])


@pytest.mark.parametrize(("sample", "tolerance"), [("A", 1e-9), ("C", 1e-9), ("D", 1e-5)])
def test_published_etran_classifies_by_the_nearest_mean(sample, tolerance):
    """Why `etran` differs from the published code: there an orthonormal basis cancels, and no whitening is left."""
    x, y = features(sample), labels(sample)
    means = np.stack([x[y == c].mean(axis=0) for c in range(y.max() + 1)])
    nearest = softmax(x @ means.T - (means**2).sum(axis=1) / 2 + np.log(np.bincount(y) / len(y)), axis=1)
    assert own(nearest, y) == pytest.approx(GOLDEN["lda_orthonormal"][sample], abs=tolerance)
    assert etran(x, y)[1] > GOLDEN["lda_orthonormal"][sample] + 0.01


def test_etran_is_energy_and_discriminant():
    x, y = clusters(60, 8, apart=0.5)
    response, separation = etran(x, y, shrinkage=0.1)
    assert response == energy(x)
    assert separation == pytest.approx(own(reference(x, y, 0.1), y), abs=1e-9)


def test_ncti_agrees_with_the_published_terms():
    found = ncti(features("D"), labels("D"))  # 64 of 80 components; the others samples crash there
    assert found == pytest.approx(GOLDEN["ncti"]["D"], rel=1e-5)


def test_ncti_terms_written_out():
    x, y = clusters(70, 5, apart=0.4)
    model = LinearDiscriminantAnalysis(solver="svd")
    z = model.fit_transform(10 * x, y)
    p = model.predict_proba(10 * x)
    singular = np.linalg.svd(z - z.mean(axis=0), compute_uv=False).sum()
    collapse = np.log(sum(np.linalg.svd(p[y == c], compute_uv=False).sum() for c in range(3)))
    assert ncti(10 * x, y) == pytest.approx((singular, own(p, y), collapse), rel=1e-8)


def test_ncti_needs_a_class_with_two_images():
    with pytest.raises(UndefinedScoreError, match="one image"):
        ncti(np.random.default_rng(0).normal(size=(4, 3)), [0, 1, 2, 3])


@pytest.mark.parametrize(("pool", "width", "best"), [(etran_pool, 2, 2.0), (ncti_pool, 3, 1.0)])
def test_pools(pool, width, best):
    parts = [tuple(map(float, row)) for row in np.random.default_rng(0).normal(size=(5, width))]
    values = pool(parts)
    assert pool(parts[::-1]) == values[::-1]  # order of the candidates
    assert pool([tuple(3 * v + 1 for v in part) for part in parts]) == pytest.approx(values)  # units
    assert pool([*parts, (9.0,) * width])[:5] != pytest.approx(values)  # relative to the pool indeed
    assert pool([(0.0,) * width, (1.0,) * width]) == [0.0, best]
    assert pool([(1.0,) * width] * 3) == [0.0] * 3  # equal terms tell nothing
    assert np.isnan(pool([(1.0,) * width])).all()
    assert pool([]) == []
