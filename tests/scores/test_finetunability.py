"""The combination of what the later layers tell apart with how far the affines move."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.scores import UndefinedScoreError
from acrank.scores.affine import affine_drift
from acrank.scores.finetunability import TYPICAL_DRIFT, drift_at_unit_step, finetunability, voters
from acrank.scores.inputs import LayerShift
from acrank.scores.kernels import kernel_ridge_accuracy, kernel_target_alignment
from acrank.scores.knn import knn
from acrank.scores.linear_probe import linear_probe

EPS = 1e-5
CLASSES = np.arange(30) % 3


def images(seed: int = 0) -> dict[str, np.ndarray]:
    """Thirty images of three classes that lie apart, in the features and to the later layers."""
    rng = np.random.default_rng(seed)
    features, x = (rng.normal(size=(30, 8)) + CLASSES[:, None] / 2 for _ in range(2))
    return seen(features, x, CLASSES, np.arange(30) // 3 % 2 == 0)


def seen(features: np.ndarray, later: np.ndarray, labels: np.ndarray, half: np.ndarray) -> dict[str, np.ndarray]:
    """What the score reads of images."""
    rows = {"later_gram_labels": labels, "later_gram_half": half, "later_gram_features": features}
    return {"later_gram": later @ later.T, **rows}


def separated() -> float:
    """Of `images`."""
    one = images()
    ridge = kernel_ridge_accuracy(one["later_gram"], CLASSES, one["later_gram_half"])
    together = knn(one["later_gram_features"], CLASSES) * linear_probe(one["later_gram_features"], CLASSES)
    return kernel_target_alignment(one["later_gram"], CLASSES) * ridge * together


def shifts(seed: int, step_size: float, widths: tuple[int, ...] = (4, 9)) -> list[LayerShift]:
    """Layers moved by random gradients."""
    rng = np.random.default_rng(seed)
    found = []
    for place, width in enumerate(widths):
        weight, bias, *grads = (rng.normal(mean, 0.4, width) for mean in (1, 0, 0, 0))
        source = {"source_weight": weight, "source_bias": bias}
        target = {"target_weight": weight - step_size * grads[0], "target_bias": bias - step_size * grads[1]}
        found.append(LayerShift(name=str(place), eps=EPS, **source, **target, total=1.0, own=1.0))
    return found


def test_the_combination_is_the_product_of_its_parts():
    random = shifts(2, 1.0)
    drifts = [
        np.abs(
            one.target_bias / (np.abs(one.target_weight) + EPS) - one.source_bias / (np.abs(one.source_weight) + EPS)
        )
        for one in random
    ]
    drift = np.median(np.concatenate(drifts))
    expected = separated() * np.sqrt(drift / (drift + 0.02))
    assert finetunability(**images(), random_head_shifts=random, step_size=1.0) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 50), st.floats(1e-4, 10))
def test_the_step_size_does_not_matter(seed, step_size):
    known = finetunability(**images(), random_head_shifts=shifts(seed, 1.0), step_size=1.0)
    other = finetunability(**images(), random_head_shifts=shifts(seed, step_size), step_size=step_size)
    assert other == pytest.approx(known, rel=1e-6)


def test_the_drift_at_a_unit_step_is_that_of_layers_moved_further():
    layers = [dataclasses.replace(layer, eps=0.1 * place) for place, layer in enumerate(shifts(4, 0.01))]
    assert drift_at_unit_step(layers, step_size=1.0) == affine_drift(layers)
    further = [
        dataclasses.replace(
            layer,
            target_weight=layer.source_weight + 100 * (layer.target_weight - layer.source_weight),
            target_bias=layer.source_bias + 100 * (layer.target_bias - layer.source_bias),
        )
        for layer in layers
    ]
    assert drift_at_unit_step(layers, step_size=0.01) == pytest.approx(affine_drift(further))


def test_without_drift_there_is_no_finetunability():
    assert finetunability(**images(), random_head_shifts=shifts(5, 0.0), step_size=0.1) == 0


def test_what_cannot_be_told_is_said():
    moved = shifts(6, 1.0)
    with pytest.raises(UndefinedScoreError, match="look the same"):
        finetunability(**images() | {"later_gram": np.ones((30, 30))}, random_head_shifts=moved, step_size=1.0)
    with pytest.raises(UndefinedScoreError, match="all features are constant"):
        finetunability(**images() | {"later_gram_features": np.ones((30, 8))}, random_head_shifts=moved, step_size=1.0)


@pytest.mark.parametrize(("each", "classes"), [(2, 2), (2, 9), (3, 4), (4, 2), (9, 3)])
def test_images_that_lie_with_their_class_win_the_vote_however_few_they_are(each, classes):
    labels = np.repeat(np.arange(classes), each)
    far = 100.0 * np.eye(classes)[labels] + np.random.default_rng(0).normal(size=(len(labels), classes))
    few = seen(far, far, labels, np.arange(len(labels)) % each % 2 == 0)
    expected = kernel_target_alignment(far @ far.T, labels) * np.sqrt(TYPICAL_DRIFT / (TYPICAL_DRIFT + 0.02))
    assert finetunability(**few, random_head_shifts=[], step_size=1.0) == pytest.approx(expected)


def test_a_rare_class_does_not_change_the_vote_of_the_others():
    assert voters(np.array(["a"] * 40 + ["b"] * 40 + ["rare"] * 2)) == 5


def test_without_affine_parameters_the_drift_is_a_typical_one():
    found = finetunability(**images(), random_head_shifts=[], step_size=1.0)
    assert found == pytest.approx(separated() * np.sqrt(TYPICAL_DRIFT / (TYPICAL_DRIFT + 0.02)))
