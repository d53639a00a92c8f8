"""Classification: the heads that give the step its loss, and their quality."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 0.1
SCALE = 5.0


def ridge_logits(features: Tensor, labels: Tensor, half: Tensor, *, classes: int) -> Tensor:
    """Logits of a cross-fitted ridge head: each sample is read by the head that was solved on the other half.

    A half's features are standardised by its own mean and deviation; the one-hot labels are regressed on them with the
    closed form (dual where n < d), ridge 0.1 n, free intercept; predictions times 5 serve as logits. The head is a
    constant: gradients reach only the features that it reads.

    Args:
        features: [n, d], floating; computed in float64.
        labels: [n], int64 in [0, classes).
        half: [n], bool: which half a sample belongs to; both must occur.
        classes: number of classes.

    Returns:
        Logits, float64 [n, classes].
    """
    wide = features.double()
    targets = torch.nn.functional.one_hot(labels, classes).double()
    logits = torch.empty_like(targets)
    parts = []
    for rows in (half, ~half):
        head = _RidgeHead(wide[~rows].detach(), targets[~rows])
        parts.append((rows.nonzero()[:, 0], head(wide[rows])))
    index = torch.cat([where for where, _ in parts])
    scaled: Tensor = logits.index_copy(0, index, torch.cat([part for _, part in parts])) * SCALE
    return scaled


def random_logits(features: Tensor, *, classes: int, seed: int) -> Tensor:
    """Logits of an untrained linear head, drawn as PyTorch's Linear draws its own: U(-1/sqrt(d), 1/sqrt(d)).

    Args:
        features: [n, d], floating.
        classes: number of classes.
        seed: of the head; the same on every device.

    Returns:
        Logits, float64 [n, classes].
    """
    width = features.shape[1]
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(classes, width + 1, generator=generator, dtype=torch.float64).to(features.device)
    weight = (2 * draws - 1) / width**0.5
    logits: Tensor = features.double() @ weight[:, :-1].T + weight[:, -1]
    return logits


class _RidgeHead:
    """One-hot ridge regression on standardised features, solved once."""

    def __init__(self, features: Tensor, targets: Tensor) -> None:
        n, d = features.shape
        self.mean = features.mean(0)
        spread = features.std(0, correction=0)
        self.spread = torch.where(spread > 1e-12 * self.mean.abs().clamp(min=1.0), spread, 1.0)
        self.intercept = targets.mean(0)
        x, y = (features - self.mean) / self.spread, targets - self.intercept
        penalty = RIDGE * n * torch.eye(min(n, d), dtype=x.dtype, device=x.device)
        if n < d:
            self.weight = x.T @ torch.linalg.solve(x @ x.T + penalty, y)
        else:
            self.weight = torch.linalg.solve(x.T @ x + penalty, x.T @ y)

    def __call__(self, features: Tensor) -> Tensor:
        logits: Tensor = (features - self.mean) / self.spread @ self.weight + self.intercept
        return logits
