"""CC-FV against a computation of its own, and what changes it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from acrank.scores import UndefinedScoreError
from acrank.scores.cc_fv import cc_fv, wasserstein


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels, groups = rng.integers(0, 3, 240), np.repeat(np.arange(6), 40)
    features = rng.normal(size=(240, 4)) + labels[:, None] + 0.3 * rng.normal(size=(6, 4))[groups]
    return features, labels, groups


def by_definition(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Matrix square roots of the covariances and loops over pairs, as the formula is written."""
    classes = []
    for name in (1, 2):
        distances = []
        for i in range(6):
            for j in range(i):
                a, b = (features[(groups == k) & (labels == name)] for k in (i, j))
                s, t = np.cov(a.T), np.cov(b.T)
                root = sqrtm(s)
                mixed = np.trace(s + t - 2 * sqrtm(root @ t @ root)).real
                distances.append(np.sqrt(np.sum((a.mean(0) - b.mean(0)) ** 2) + mixed))
        classes.append(np.mean(distances))
    means = [features[groups == k].mean(0) for k in range(6)]
    sphere = [mean / np.sqrt(mean @ mean) for mean in means]
    energy = [1 / np.sqrt(np.sum((sphere[i] - sphere[j]) ** 2)) for i in range(6) for j in range(6) if i != j]
    return float(np.log((1 / np.mean(energy)) / np.mean(classes)))


def test_equals_the_formula_as_written(sample) -> None:
    assert cc_fv(*sample) == pytest.approx(by_definition(*sample), rel=1e-6)


def test_distance_of_gaussians_along_an_axis_is_known() -> None:
    """For one dimension it is sqrt((m - n)² + (s - t)²)."""
    first, second = np.array([[-1.0], [0.0], [1.0]]), np.array([[1.0], [4.0], [7.0]])
    assert wasserstein(first, second) == pytest.approx(np.sqrt(16 + 4))


def test_wide_features_go_the_other_way_round(sample) -> None:
    """More features than positions: the roots are the samples themselves."""
    features, labels, groups = sample
    wide = np.hstack([features, np.zeros((240, 60))])
    assert cc_fv(wide, labels, groups) == pytest.approx(cc_fv(*sample), rel=1e-9)


def test_background_does_not_count(sample) -> None:
    """Beyond its share of the images' mean features, which is held here."""
    features, labels, groups = sample
    noisy = features.copy()
    for k in range(6):
        rows = np.flatnonzero((groups == k) & (labels == 0))
        noisy[rows[:-1:2]] += 5
        noisy[rows[1::2][: len(rows[:-1:2])]] -= 5
    assert cc_fv(noisy, labels, groups) == pytest.approx(cc_fv(*sample), rel=1e-9)


def test_consistent_classes_score_higher(sample) -> None:
    features, labels, groups = sample
    scattered = (
        features + np.where(labels == 1, 1.0, -1.0)[:, None] * np.random.default_rng(0).normal(size=(6, 4))[groups]
    )
    assert cc_fv(*sample) > cc_fv(scattered, labels, groups)


def test_order_and_rotation_do_not_matter(sample) -> None:
    features, labels, groups = sample
    order = np.random.default_rng(1).permutation(240)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    assert cc_fv(features[order] @ turn, labels[order], groups[order]) == pytest.approx(cc_fv(*sample), rel=1e-9)


@pytest.mark.parametrize("change", ["one image", "no foreground twice", "equal images"])
def test_undefined(sample, change: str) -> None:
    features, labels, groups = sample
    if change == "one image":
        groups = np.zeros_like(groups)
    elif change == "no foreground twice":
        labels = np.zeros_like(labels)
        labels[0] = 1
    else:
        features, labels = np.tile(features[:40], (6, 1)), np.tile(labels[:40], 6)
    with pytest.raises(UndefinedScoreError):
        cc_fv(features, labels, groups)
