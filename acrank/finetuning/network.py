"""A candidate's body with a new head for the target."""

from __future__ import annotations

from torch import Tensor, nn

from acrank.finetuning.tasks.task import FinetuningTask


class Network(nn.Module):
    """A body, whose features the task reads, and a head for the target.

    Attributes:
        at_once: the most inputs that go through together; None for whatever comes.
    """

    at_once: int | None = None

    def __init__(self, body: nn.Module, head: nn.Module, task: FinetuningTask) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.task = task

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features, [n, d] or maps [n, d, ...], and the head's outputs, for inputs [n, c, ...]."""
        features = self.task.read(self.body, inputs)
        return features, self.task.outputs(self.head, features, inputs)
