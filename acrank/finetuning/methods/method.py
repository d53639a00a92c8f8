"""What a method may do, at which moment; the base class does nothing, which is vanilla finetuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from acrank.finetuning.network import Network
    from acrank.finetuning.tasks.task import FinetuningTask


@dataclass(frozen=True)
class Start:
    """What a method may look at before training.

    Attributes:
        source: the candidate's network, untouched, in eval mode and frozen.
        inputs, labels: a sample of the training part, without augmentation, on the network's device.
        task: the task.
    """

    source: nn.Module
    inputs: Tensor
    labels: Tensor
    task: FinetuningTask


@dataclass(frozen=True)
class Step:
    """What a penalty may look at: one batch.

    Attributes:
        inputs: [n, c, ...]; features: [n, d] or maps [n, d, ...], with gradients.
    """

    inputs: Tensor
    features: Tensor


class Method:
    """Vanilla finetuning: every parameter trains on the task's loss. Other methods override what they change."""

    #: Whether the method's penalty stands in place of weight decay.
    replaces_decay = False

    def convert(self, body: nn.Module) -> nn.Module:
        """The body to train, made from the candidate's (in place where that is simpler)."""
        return body

    def begin(self, network: Network, start: Start) -> None:
        """Choose what trains, and remember what penalties need; called once, before the first step."""

    def set_mode(self, network: Network) -> None:
        """Change what `network.train()` has set; called before every epoch."""

    def penalty(self, network: Network, step: Step) -> Tensor | None:
        """What is added to the task's loss for one batch, after the forward pass; None adds nothing."""
        return None

    def revert(self, body: nn.Module) -> nn.Module:
        """The body with plain layers that compute the same in eval mode."""
        return body

    def close(self) -> None:
        """Remove hooks and forget the source."""
