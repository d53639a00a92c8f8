"""GBC and TransRate: published values, dense formulas, limits."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import GOLDEN, clusters, features, labels
from scipy.stats import multivariate_normal

from acrank.errors import UsageError
from acrank.scores.gbc import gbc
from acrank.scores.transrate import transrate


def floor_of(x):
    """The floor that is 1e-4 in absolute terms, as in the code that made the published values."""
    return 1e-4 / x.var(axis=0).mean()


@pytest.mark.parametrize(("sample", "tolerance"), [("A", 1e-10), ("C", 1e-10), ("D", 1e-6)])
def test_diagonal_gbc_agrees_with_published_values(sample, tolerance):
    x = features(sample)
    found = gbc(x, labels(sample), covariance="diagonal", components=None, floor=floor_of(x))
    assert found == pytest.approx(GOLDEN["gbc_diagonal"][sample], abs=tolerance)


def overlap(x, y, spherical, power):
    """The Bhattacharyya formula with full matrices; `power` counts the spherical determinant."""
    total = 0.0
    for i in np.unique(y):
        for j in np.unique(y):
            if i == j:
                continue
            a, b = x[y == i], x[y == j]
            va, vb = np.maximum(a.var(axis=0), 1e-4), np.maximum(b.var(axis=0), 1e-4)
            sa, sb = (np.diag(np.full(x.shape[1], v.mean()) if spherical else v) for v in (va, vb))
            middle, gap = (sa + sb) / 2, a.mean(axis=0) - b.mean(axis=0)
            logs = np.linalg.slogdet(middle)[1] - (np.linalg.slogdet(sa)[1] + np.linalg.slogdet(sb)[1]) / 2
            total -= np.exp(-gap @ np.linalg.solve(middle, gap) / 8 - power * logs / 2)
    return total


@pytest.mark.parametrize(("sample", "tolerance"), [("A", 1e-10), ("C", 1e-10), ("D", 1e-6)])
def test_spherical_gbc_counts_every_dimension(sample, tolerance):
    x, y = features(sample), labels(sample)
    published = GOLDEN["gbc_spherical_without_d"][sample]  # counts the determinant once, not d times
    assert overlap(x, y, True, 1 / x.shape[1]) == pytest.approx(published, abs=tolerance)
    found = gbc(x, y, covariance="spherical", components=None, floor=floor_of(x))
    assert found == pytest.approx(overlap(x, y, True, 1), abs=1e-10)
    assert abs(found - published) > 5e-4


@pytest.mark.parametrize("covariance", ["spherical", "diagonal"])
def test_gbc_is_the_integral_of_root_densities(covariance):
    x, y = clusters(40, 1, 2, apart=0.8)
    grid = np.linspace(-15, 15, 20001)[:, None]
    one, two = (multivariate_normal(x[y == c].mean(), x[y == c].var()).pdf(grid) for c in (0, 1))
    integral = np.sqrt(one * two).sum() * (grid[1, 0] - grid[0, 0])
    assert gbc(x, y, covariance=covariance) == pytest.approx(-2 * integral, abs=1e-9)


def test_gbc_on_all_components_is_gbc_on_the_features():
    x, y = clusters(50, 12)
    assert gbc(x, y, components=64) == pytest.approx(gbc(x, y, components=None), abs=1e-12)


def test_gbc_survives_classes_of_one_image():
    x, y = clusters(12, 4, 2)
    assert -6 <= gbc(np.vstack([x, x[:1] + 3]), [*y, 2]) <= 0


def test_gbc_refuses_unknown_covariances():
    with pytest.raises(UsageError, match="full"):
        gbc(np.eye(4), [0, 0, 1, 1], covariance="full")


@pytest.mark.parametrize(("sample", "tolerance"), [("A", 1e-9), ("B", 1e-9), ("C", 1e-9), ("D", 1e-6)])
def test_raw_transrate_agrees_with_published_values(sample, tolerance):
    found = transrate(features(sample), labels(sample), dialect="raw")
    assert found == pytest.approx(GOLDEN["transrate_raw"][sample], rel=tolerance)


def dense_rate(rows, epsilon=1e-4):
    return 0.5 * np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * epsilon))[1]


@pytest.mark.parametrize(("n", "d"), [(60, 5), (30, 90)])
def test_scaled_transrate_equals_the_dense_formula(n, d):
    x, y = clusters(n, d)
    z = x - x.mean(axis=0)
    z /= np.sqrt(np.trace(z @ z.T))
    expected = dense_rate(z) - np.mean([dense_rate(z[y == c]) for c in range(3)])
    assert transrate(x, y) == pytest.approx(expected, abs=1e-9)


def test_transrate_of_two_classes_needs_centring_by_class():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(100, 4)) + 20 * np.eye(4)[0]
    x, y = np.vstack([half, -half]), np.repeat([0, 1], 100)
    assert transrate(x, y) == pytest.approx(0, abs=1e-9)  # as published: blind, however far apart
    assert transrate(x, y, centring="class") > 1.5


@pytest.mark.parametrize("options", [{"dialect": "tuned"}, {"centring": "none"}, {"epsilon": 0.0}])
def test_transrate_refuses_unknown_options(options):
    with pytest.raises(UsageError):
        transrate(np.eye(4), [0, 0, 1, 1], **options)
