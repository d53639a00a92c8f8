"""Kernel-target alignment and the accuracy of kernel ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.score_samples import features, labels

from acrank.errors import UsageError
from acrank.scores import UndefinedScoreError
from acrank.scores.kernels import kernel_ridge_accuracy, kernel_target_alignment


def gram_of(sample: str) -> np.ndarray:
    x = features(sample).astype(float)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-6)
    return x @ x.T / x.shape[1]


def slow_alignment(gram: np.ndarray, classes: np.ndarray) -> float:
    """Definition 4 of Cortes et al. with centring by matrices, on a label kernel in which classes weigh the same."""
    n = len(classes)
    h = np.eye(n) - np.ones((n, n)) / n
    label = np.array([[(a == b) / (classes == a).sum() for b in classes] for a in classes])
    one, other = h @ gram @ h, h @ label @ h
    return float(np.trace(one @ other) / np.sqrt(np.trace(one @ one) * np.trace(other @ other)))


def slow_accuracy(x: np.ndarray, classes: np.ndarray, half: np.ndarray, penalty: float) -> float:
    """Ridge regression on features, of which the kernel is x x': the primal form, with a free intercept."""
    names = np.unique(classes)
    hot = (classes[:, None] == names).astype(float)
    guess = np.empty(len(classes), dtype=int)
    for fit in (half, ~half):
        mean, base = x[fit].mean(0), hot[fit].mean(0)
        inner = (x[fit] - mean).T @ (x[fit] - mean) + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(inner, (x[fit] - mean).T @ (hot[fit] - base))
        guess[~fit] = ((x[~fit] - mean) @ weights + base).argmax(1)
    return float(np.mean([(guess[classes == name] == place).mean() for place, name in enumerate(names)]))


@pytest.mark.parametrize("sample", "ABC")
def test_alignment_equals_the_definition(sample):
    gram, classes = gram_of(sample), labels(sample)
    assert kernel_target_alignment(gram, classes) == pytest.approx(slow_alignment(gram, np.asarray(classes)), abs=1e-10)


@pytest.mark.parametrize("sample", "ABC")
def test_kernel_ridge_equals_ridge_on_the_features(sample):
    gram, classes = gram_of(sample), np.asarray(labels(sample))
    x = features(sample).astype(float)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-6) / np.sqrt(x.shape[1])
    half = np.random.default_rng(0).permutation(len(classes)) % 2 == 0
    expected = slow_accuracy(x, classes, half, 0.1 * np.trace(gram) / len(gram))
    assert kernel_ridge_accuracy(gram, classes, half) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("score", [kernel_target_alignment, kernel_ridge_accuracy])
@pytest.mark.parametrize("sample", "AB")
def test_neither_minds_order_names_scale_and_shifts(sample, score):
    gram, classes = gram_of(sample), np.asarray(labels(sample))
    halves = (np.arange(len(classes)) % 3 == 0,) if score is kernel_ridge_accuracy else ()
    known = score(gram, classes, *halves)
    order = np.random.default_rng(0).permutation(len(classes))
    assert score(gram[np.ix_(order, order)], classes[order], *(f[order] for f in halves)) == pytest.approx(
        known, abs=1e-12
    )
    assert score(gram, [f"class {one}" for one in classes], *halves) == pytest.approx(known, abs=1e-12)
    assert score(7 * gram, classes, *halves) == pytest.approx(known, abs=1e-10)
    if not halves:
        assert score(gram + 3, classes) == pytest.approx(known, abs=1e-10)
        assert score(np.tile(gram, (2, 2)), np.tile(classes, 2)) == pytest.approx(known, abs=1e-10)


def test_alignment_of_the_labels_themselves_is_one_and_of_nothing_near_zero():
    classes = np.repeat([0, 1, 2], [3, 9, 4])
    ideal = np.array([[(a == b) / (classes == a).sum() for b in classes] for a in classes])
    assert kernel_target_alignment(ideal, classes) == pytest.approx(1)
    x = np.random.default_rng(0).normal(size=(400, 300))
    assert kernel_target_alignment(x @ x.T, np.arange(400) % 2) < 0.1


def test_accuracy_of_nothing_is_chance():
    x = np.random.default_rng(0).normal(size=(600, 50))
    assert kernel_ridge_accuracy(x @ x.T, np.arange(600) % 3, np.arange(600) % 2 == 0) == pytest.approx(1 / 3, abs=0.08)


def test_a_large_class_does_not_hide_the_others():
    classes = np.repeat([0, 1, 2], [90, 5, 5])
    apart = np.stack([classes == 0, (classes == 1) - 1.0 * (classes == 2)], 1).astype(float)
    apart /= apart.std(0)
    only_large = np.stack([classes == 0, np.arange(100) % 2], 1).astype(float)
    only_large = (only_large - only_large.mean(0)) / only_large.std(0)
    assert kernel_target_alignment(only_large @ only_large.T, classes) < 0.55  # 0.66 where classes weigh by their size
    assert kernel_target_alignment(apart @ apart.T, classes) > kernel_target_alignment(
        only_large @ only_large.T, classes
    )


def test_what_cannot_be_told_is_said():
    gram, classes, half = np.eye(4), [0, 0, 1, 1], [True, False, True, False]
    for score in (kernel_target_alignment, lambda *two: kernel_ridge_accuracy(*two, half)):
        with pytest.raises(UndefinedScoreError, match="look the same"):
            score(np.ones((4, 4)), classes)
        with pytest.raises(UndefinedScoreError, match="look the same"):
            score(np.arange(4.0)[:, None] + np.arange(4.0), classes)
        with pytest.raises(UndefinedScoreError):
            score(gram, [1, 1, 1, 1])
        with pytest.raises(UsageError):
            score(np.ones((4, 3)), classes)
        with pytest.raises(UsageError):
            score(gram, [0, 1])
    for bad in ([True] * 4, [False] * 4, [True, False]):
        with pytest.raises(UsageError, match="half"):
            kernel_ridge_accuracy(gram, classes, bad)
    with pytest.raises(UsageError, match="ridge"):
        kernel_ridge_accuracy(gram, classes, half, ridge=0)
