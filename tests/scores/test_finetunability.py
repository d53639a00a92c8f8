"""The combination of what the later layers tell apart with how far the affines move."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.scores import UndefinedScoreError
from acrank.scores.affine import affine_drift
from acrank.scores.finetunability import TYPICAL_DRIFT, drift_at_unit_step, finetunability
from acrank.scores.inputs import LayerShift
from acrank.scores.kernels import kernel_ridge_accuracy, kernel_target_alignment

EPS = 1e-5
CLASSES = np.arange(30) % 3
HALF = np.arange(30) // 3 % 2 == 0


def gram(seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(30, 8)) + CLASSES[:, None] / 2
    return x @ x.T


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
    separated = kernel_target_alignment(gram(), CLASSES) * kernel_ridge_accuracy(gram(), CLASSES, HALF)
    drift = np.median(np.concatenate(drifts))
    expected = separated * np.sqrt(drift / (drift + 0.02))
    assert finetunability(gram(), CLASSES, HALF, random, step_size=1.0) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 50), st.floats(1e-4, 10))
def test_the_step_size_does_not_matter(seed, step_size):
    known = finetunability(gram(), CLASSES, HALF, shifts(seed, 1.0), step_size=1.0)
    other = finetunability(gram(), CLASSES, HALF, shifts(seed, step_size), step_size=step_size)
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
    assert finetunability(gram(), CLASSES, HALF, shifts(5, 0.0), step_size=0.1) == 0


def test_what_cannot_be_told_is_said():
    with pytest.raises(UndefinedScoreError, match="look the same"):
        finetunability(np.ones((30, 30)), CLASSES, HALF, shifts(6, 1.0), step_size=1.0)


def test_without_affine_parameters_the_drift_is_a_typical_one():
    separated = kernel_target_alignment(gram(), CLASSES) * kernel_ridge_accuracy(gram(), CLASSES, HALF)
    found = finetunability(gram(), CLASSES, HALF, [], step_size=1.0)
    assert found == pytest.approx(separated * np.sqrt(TYPICAL_DRIFT / (TYPICAL_DRIFT + 0.02)))
