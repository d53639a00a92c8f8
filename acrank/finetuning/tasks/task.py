"""What finetuning asks of a task: what is read of a network, a head, a loss and a measure of quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Evaluation:
    """How good a network is on a part of a target.

    Attributes:
        quality: the task's metric, higher is better; NaN where an output was not finite.
        loss: the mean loss.
        measures: every measure of the task by name: one number, or one for each class (None where a class has none).
    """

    quality: float
    loss: float
    measures: dict[str, Any] = field(default_factory=dict)


class FinetuningTask(Protocol):
    """A task that a network can be finetuned for. A new task is one class with these members.

    Attributes:
        metric: name of the quality measure, as it stands in the truth table.
    """

    metric: str

    def read(self, body: nn.Module, inputs: Tensor) -> Tensor:
        """The features that the head takes, [n, d] or maps [n, d, ...], in one forward pass."""
        ...

    def head(self, width: int) -> nn.Module:
        """An untrained head from features of `width` channels to the task's outputs; draws from torch's generator."""
        ...

    def outputs(self, head: nn.Module, features: Tensor, inputs: Tensor) -> Tensor:
        """What the head says about the inputs, as the loss takes it."""
        ...

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        ...
