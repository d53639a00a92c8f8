"""Finetuning for classification: a linear head, cross-entropy, and the measures of `quality.QUALITY`."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from acrank.finetuning.tasks.quality import QUALITY
from acrank.finetuning.tasks.task import Quality
from acrank.observation.features import read_features


class Classification:
    """One class per image.

    Args:
        classes: number of classes.
        metric: name of a measure in `QUALITY`.
        weights: weight of each class in the loss, [classes]; None weighs all classes equally.

    Example:
        >>> task = Classification(3, metric="accuracy")
        >>> task.evaluate(torch.eye(3), torch.tensor([0, 1, 0])).value
        0.6666666666666666
    """

    def __init__(self, classes: int, *, metric: str = "balanced_accuracy", weights: Tensor | None = None) -> None:
        self.classes, self.metric, self.weights = classes, metric, weights

    def read(self, body: nn.Module, inputs: Tensor) -> Tensor:
        """Features [n, d] at the input of the body's own classifier."""
        return read_features(body, inputs)[0]

    def head(self, width: int) -> nn.Module:
        """A linear layer [width] -> [classes] with PyTorch's initialisation."""
        return nn.Linear(width, self.classes)

    def outputs(self, head: nn.Module, features: Tensor, inputs: Tensor) -> Tensor:
        """Logits [n, classes]."""
        logits: Tensor = head(features)
        return logits

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of logits [n, classes], weighted by class if the task has weights."""
        weights = None if self.weights is None else self.weights.to(outputs)
        return nn.functional.cross_entropy(outputs, labels, weight=weights)

    def evaluate(self, outputs: Tensor, labels: Tensor) -> Quality:
        """Every measure of the logits [n, classes] of a whole part, for its labels [n].

        If the labels are all of one class, the area under the ROC curve is None, or a ValueError if it is the metric.
        """
        if not bool(torch.isfinite(outputs).all()):
            return Quality(math.nan, math.nan)
        logits, truth = outputs.detach().float().cpu().numpy(), labels.cpu().numpy()
        undefined = {"auc"} - {self.metric} if len(torch.unique(labels)) < 2 else set()
        measures = {name: None if name in undefined else measure(logits, truth) for name, measure in QUALITY.items()}
        value = measures[self.metric]
        assert value is not None  # noqa: S101 - for the type checker
        by_image = np.full((len(truth), self.classes), np.nan)
        by_image[np.arange(len(truth)), truth] = logits.argmax(1) == truth
        return Quality(value, float(self.loss(outputs, labels)), measures, by_image=by_image)


def class_weights(sizes: Tensor) -> Tensor:
    """Weights inverse to the classes' sizes [classes], with mean 1 over the samples; 0 for an empty class.

    >>> class_weights(torch.tensor([3, 1]))
    tensor([0.6667, 2.0000])
    """
    sizes = sizes.float()
    occurring = (sizes > 0).sum()
    return torch.where(sizes > 0, sizes.sum() / (occurring * sizes.clamp(min=1)), 0.0)
