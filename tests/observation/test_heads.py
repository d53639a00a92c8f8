"""The ridge head against scikit-learn's ridge; the random head against PyTorch's Linear."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from acrank.observation.heads import random_logits, ridge_logits


def sample(n: int, d: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    features = torch.randn(n, d, generator=generator, dtype=torch.float64)
    features[:, 0] += labels
    return features, labels, torch.rand(n, generator=generator) < 0.5


@pytest.mark.parametrize(("n", "d"), [(60, 7), (40, 130)])
def test_ridge_equals_scikit_learn_cross_fitted(n: int, d: int) -> None:
    features, labels, half = sample(n, d, 3)
    expected = np.empty((n, 3))
    onehot = np.eye(3)[labels]
    for rows in (half.numpy(), ~half.numpy()):
        scaler = StandardScaler().fit(features[~rows])
        model = Ridge(alpha=0.1 * (~rows).sum()).fit(scaler.transform(features[~rows]), onehot[~rows])
        expected[rows] = 5 * model.predict(scaler.transform(features[rows]))
    found = ridge_logits(features, labels, half, classes=3)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_ridge_reads_no_label_of_its_own_half() -> None:
    features, labels, half = sample(40, 5, 2)
    changed = torch.where(half, 1 - labels, labels)
    before = ridge_logits(features, labels, half, classes=2)
    after = ridge_logits(features, changed, half, classes=2)
    assert torch.equal(before[half], after[half])
    assert not torch.allclose(before[~half], after[~half])


def test_ridge_gradient_reaches_only_the_features_it_reads() -> None:
    features, labels, half = sample(30, 4, 2)
    leaf = features.clone().requires_grad_()
    ridge_logits(leaf, labels, half, classes=2)[half, 0].sum().backward()
    assert leaf.grad is not None
    assert torch.all(leaf.grad[~half] == 0)
    assert torch.any(leaf.grad[half] != 0)


def test_ridge_survives_constant_features() -> None:
    features, labels, half = sample(30, 4, 2)
    features[:, 2] = 1e6
    assert torch.isfinite(ridge_logits(features, labels, half, classes=2)).all()


def test_random_head_is_seeded_and_bounded_as_pytorchs() -> None:
    features = torch.eye(16, dtype=torch.float64)
    one, same, other = (random_logits(features, classes=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.abs().max() <= 2 / 16**0.5
