"""What finetuning asks of a task: a head, a loss and a measure of quality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


class FinetuningTask(Protocol):
    """A task that a network can be finetuned for. A new task is one class with these members.

    Attributes:
        metric: name of the quality measure, as it stands in the truth table.
    """

    metric: str

    def head(self, width: int) -> nn.Module:
        """An untrained head from features of `width` channels to the task's outputs; draws from torch's generator."""
        ...

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        ...

    def quality(self, outputs: Tensor, labels: Tensor) -> float:
        """How good the outputs for a whole split are; higher is better."""
        ...
