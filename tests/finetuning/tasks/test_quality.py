"""Quality measures against hand-made oracles, and the classification task."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acrank.finetuning.tasks.classification import Classification, class_weights
from acrank.finetuning.tasks.quality import QUALITY

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 40, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, n - classes)])
    return generator.normal(size=(n, classes)), labels


def pairwise_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Share of pairs in the right order (Mann-Whitney)."""
    gaps = scores[positive][:, None] - scores[~positive][None]
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


@given(SEEDS)
@settings(max_examples=30)
def test_measures_equal_their_definitions(seed: int) -> None:
    logits, labels = drawn(seed)
    predicted = logits.argmax(1)
    assert QUALITY["accuracy"](logits, labels) == pytest.approx((predicted == labels).mean())
    recalls = [(predicted[labels == one] == one).mean() for one in range(4)]
    assert QUALITY["balanced_accuracy"](logits, labels) == pytest.approx(np.mean(recalls))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = np.mean([pairwise_auc(shares[:, one], labels == one) for one in range(4)])
    assert QUALITY["auc"](logits, labels) == pytest.approx(expected)
    observed = ((predicted - labels) ** 2).mean()
    by_chance = ((predicted[:, None] - labels[None]) ** 2).mean()
    assert QUALITY["kappa"](logits, labels) == pytest.approx(1 - observed / by_chance)


@given(SEEDS)
@settings(max_examples=10)
def test_order_of_samples_does_not_matter_and_perfection_is_one(seed: int) -> None:
    logits, labels = drawn(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    for name, measure in QUALITY.items():
        assert measure(logits, labels) == pytest.approx(measure(logits[order], labels[order])), name
        assert measure(np.eye(4)[labels], labels) == pytest.approx(1.0), name


def test_the_corners() -> None:
    one_class = np.zeros(5, dtype=np.int64)
    with pytest.raises(ValueError, match="two classes"):
        QUALITY["auc"](np.zeros((5, 3)), one_class)
    assert QUALITY["kappa"](np.tile([1.0, 0.0, 0.0], (5, 1)), one_class) == 0.0
    absent = np.array([0, 0, 1])
    assert QUALITY["balanced_accuracy"](np.eye(3)[[0, 2, 1]], absent) == pytest.approx(0.75)
    assert QUALITY["auc"](np.eye(3)[[0, 0, 1]], absent) == 1.0


def test_class_weights_make_classes_count_alike() -> None:
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 2])
    weights = class_weights(torch.bincount(labels, minlength=4))
    sums = [float(weights[labels[labels == one]].sum()) for one in range(3)]
    assert sums == pytest.approx([3.0, 3.0, 3.0])
    assert float(weights[3]) == 0.0
    task = Classification(4, weights=weights)
    logits = torch.randn(9, 4)
    each = -torch.log_softmax(logits, 1)[torch.arange(9), labels]
    expected = float((each * weights[labels]).sum() / weights[labels].sum())
    assert float(task.loss(logits, labels)) == pytest.approx(expected, rel=1e-5)
    assert float(Classification(4).loss(logits, labels)) == pytest.approx(float(each.mean()), rel=1e-5)
