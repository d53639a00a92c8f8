"""The protocol of a finetuning task: the features it reads, its head, its loss and its quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Quality:
    """The quality of a network on one part of a target.

    Attributes:
        value: the task's metric, higher is better; NaN if an output was not finite.
        loss: the mean loss.
        measures: every measure of the task by name: a number, or a list with one for each class (None if undefined).
        by_image: what each image adds for each class, float64 [n, classes], NaN where it adds nothing: whether it is
            told rightly, in the column of its class; its overlap with each class of the foreground. The mean over
            images, then over classes, is the task's first metric. None if an output was not finite.
    """

    value: float
    loss: float
    measures: dict[str, Any] = field(default_factory=dict)
    by_image: npt.NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


class FinetuningTask(Protocol):
    """A task to finetune a network for. A new task is one class with these members.

    Attributes:
        metric: name of the quality measure, as in the truth table.
    """

    metric: str

    def read(self, body: nn.Module, inputs: Tensor) -> Tensor:
        """The input of the head, from one forward pass: features [n, d] or maps [n, d, ...]."""
        ...

    def head(self, width: int) -> nn.Module:
        """An untrained head for features of `width` channels; draws from torch's generator."""
        ...

    def outputs(self, head: nn.Module, features: Tensor, inputs: Tensor) -> Tensor:
        """The head's outputs for the inputs, in the shape that the loss takes."""
        ...

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        ...
