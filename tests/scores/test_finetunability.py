"""Kernel-target alignment, and the combination of it with drift and alignment of the affines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_samples import features, labels

from acrank.errors import UsageError
from acrank.norm import affine_correlation
from acrank.observed import LayerShift
from acrank.scores import UndefinedScoreError
from acrank.scores.finetunability import at_unit_step, finetunability, kernel_target_alignment, least_alignment

EPS = 1e-5


def dense_overlap(weight, bias, new_weight, new_bias):
    """Total and own correlation from the C x C form."""
    import torch

    matrix = affine_correlation(*(torch.from_numpy(part) for part in (weight, bias, new_weight, new_bias)), eps=EPS)
    return float(matrix.sum()), float(matrix.trace())


def shifts(seed: int, step_size: float, widths: tuple[int, ...] = (4, 9)) -> list[LayerShift]:
    """Layers moved by random gradients."""
    rng = np.random.default_rng(seed)
    found = []
    for place, width in enumerate(widths):
        weight, bias, *grads = (rng.normal(mean, 0.4, width) for mean in (1, 0, 0, 0))
        new = weight - step_size * grads[0], bias - step_size * grads[1]
        found.append(LayerShift(str(place), EPS, weight, bias, *new, *dense_overlap(weight, bias, *new)))
    return found


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


@pytest.mark.parametrize("sample", "ABC")
def test_alignment_equals_the_definition(sample):
    gram, classes = gram_of(sample), labels(sample)
    assert kernel_target_alignment(gram, classes) == pytest.approx(slow_alignment(gram, np.asarray(classes)), abs=1e-10)


@pytest.mark.parametrize("sample", "AB")
def test_alignment_does_not_mind_order_names_scale_and_shifts(sample):
    gram, classes = gram_of(sample), np.asarray(labels(sample))
    known = kernel_target_alignment(gram, classes)
    order = np.random.default_rng(0).permutation(len(classes))
    assert kernel_target_alignment(gram[np.ix_(order, order)], classes[order]) == pytest.approx(known, abs=1e-12)
    assert kernel_target_alignment(gram, [f"class {one}" for one in classes]) == pytest.approx(known, abs=1e-12)
    assert kernel_target_alignment(7 * gram + 3, classes) == pytest.approx(known, abs=1e-10)
    twice = np.tile(gram, (2, 2))
    assert kernel_target_alignment(twice, np.tile(classes, 2)) == pytest.approx(known, abs=1e-10)


def test_alignment_of_the_labels_themselves_is_one_and_of_nothing_near_zero():
    classes = np.repeat([0, 1, 2], [3, 9, 4])
    ideal = np.array([[(a == b) / (classes == a).sum() for b in classes] for a in classes])
    assert kernel_target_alignment(ideal, classes) == pytest.approx(1)
    x = np.random.default_rng(0).normal(size=(400, 300))
    assert kernel_target_alignment(x @ x.T, np.arange(400) % 2) < 0.1


def test_a_large_class_does_not_hide_the_others():
    classes = np.repeat([0, 1, 2], [90, 5, 5])
    apart = np.stack([classes == 0, (classes == 1) - 1.0 * (classes == 2)], 1).astype(float)
    apart /= apart.std(0)
    only_large = np.stack([classes == 0, np.arange(100) % 2], 1).astype(float)
    only_large = (only_large - only_large.mean(0)) / only_large.std(0)
    assert kernel_target_alignment(apart @ apart.T, classes) > kernel_target_alignment(
        only_large @ only_large.T, classes
    )


@pytest.mark.parametrize("sample", "AB")
def test_the_combination_is_the_product_of_its_parts(sample):
    gram, classes = gram_of(sample), labels(sample)
    moved, random = shifts(1, 1.0), shifts(2, 1.0)
    drifts = [
        np.abs(
            one.target_bias / (np.abs(one.target_weight) + EPS) - one.source_bias / (np.abs(one.source_weight) + EPS)
        )
        for one in random
    ]
    parts = np.median(np.concatenate(drifts)) * min(one.own / one.total for one in moved)
    expected = slow_alignment(gram, np.asarray(classes)) * parts ** (1 / 3)
    assert finetunability(gram, classes, moved, random, step_size=1.0) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 50), st.floats(1e-4, 10))
def test_the_step_size_does_not_matter(seed, step_size):
    gram, classes = gram_of("A"), labels("A")
    known = finetunability(gram, classes, shifts(seed, 1.0), shifts(seed + 100, 1.0), step_size=1.0)
    other = shifts(seed, step_size), shifts(seed + 100, step_size)
    assert finetunability(gram, classes, *other, step_size=step_size) == pytest.approx(known, rel=1e-6)


def test_the_worst_layer_decides_alignment():
    one, other = shifts(3, 1.0)
    found = {name: least_alignment([layer], 1.0) for name, layer in (("one", one), ("other", other))}
    assert found["one"] != found["other"]
    assert least_alignment([one, other], 1.0) == min(found.values())
    assert least_alignment([one], 1.0) == pytest.approx(one.own / one.total)


def test_the_unit_step_keeps_the_source():
    (layer,) = shifts(4, 0.01, (5,))
    moved = at_unit_step(layer, 0.01)
    np.testing.assert_array_equal(moved.source_weight, layer.source_weight)
    np.testing.assert_allclose(moved.target_bias - moved.source_bias, 100 * (layer.target_bias - layer.source_bias))


def test_without_drift_there_is_no_finetunability():
    still = [
        LayerShift(
            "bn", EPS, one.source_weight, one.source_bias, one.source_weight, one.source_bias, one.total, one.own
        )
        for one in shifts(5, 1.0)
    ]
    assert finetunability(gram_of("A"), labels("A"), still, still, step_size=0.1) == 0


def test_what_cannot_be_told_is_said():
    gram, moved = np.eye(4), shifts(6, 1.0)
    with pytest.raises(UndefinedScoreError, match="look the same"):
        kernel_target_alignment(np.ones((4, 4)), [0, 0, 1, 1])
    with pytest.raises(UndefinedScoreError):
        kernel_target_alignment(gram, [1, 1, 1, 1])
    with pytest.raises(UndefinedScoreError, match="no normalisation layer"):
        finetunability(gram, [0, 0, 1, 1], [], moved, step_size=1.0)
    with pytest.raises(UsageError):
        kernel_target_alignment(np.ones((4, 3)), [0, 0, 1, 1])
    with pytest.raises(UsageError):
        kernel_target_alignment(gram, [0, 1])
    wild = shifts(7, 1.0, (3,))[0]
    far = LayerShift("far", EPS, wild.source_weight, wild.source_bias, *([wild.source_bias + 1e300] * 2), 1, 1)
    with pytest.raises(UndefinedScoreError, match="far"):
        finetunability(gram, [0, 0, 1, 1], [far], moved, step_size=1e-300)
