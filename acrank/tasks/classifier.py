"""Classification as a task to finetune for: a linear head, cross-entropy, and a measure of `quality.QUALITY`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acrank.tasks.quality import QUALITY


class Classification:
    """One class per image.

    Args:
        classes: number of classes.
        metric: name of a measure in `QUALITY`.
        weights: weight of each class in the loss, [classes]; None weighs all alike.

    Example:
        >>> task = Classification(3, metric="accuracy")
        >>> task.quality(torch.eye(3), torch.tensor([0, 1, 0]))
        0.6666666666666666
    """

    def __init__(self, classes: int, *, metric: str = "balanced_accuracy", weights: Tensor | None = None) -> None:
        self.classes, self.metric, self.weights = classes, metric, weights

    def head(self, width: int) -> nn.Module:
        """A linear layer [width] -> [classes], drawn as PyTorch draws it."""
        return nn.Linear(width, self.classes)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of logits [n, classes], weighted by class where weights were given."""
        weights = None if self.weights is None else self.weights.to(outputs)
        return nn.functional.cross_entropy(outputs, labels, weight=weights)

    def quality(self, outputs: Tensor, labels: Tensor) -> float:
        """The measure of logits [n, classes] for labels [n]."""
        return QUALITY[self.metric](outputs.detach().float().cpu().numpy(), labels.cpu().numpy())


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Weights inverse to the classes' sizes, with mean 1 over the samples; 0 for a class without any.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    sizes = torch.bincount(labels, minlength=classes).float()
    there = (sizes > 0).sum()
    return torch.where(sizes > 0, len(labels) / (there * sizes.clamp(min=1)), 0.0)
