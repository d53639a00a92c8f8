"""The base class of methods, with a hook for every step of finetuning; by itself it is vanilla finetuning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from acrank.finetuning.network import Network
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.observation.part_size import in_parts


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """The source network and a sample, from which a method may prepare before training.

    Attributes:
        source: the candidate's network, unchanged, in eval mode and frozen.
        inputs, labels: a sample of the training images, without augmentation, on the network's device.
        task: the finetuning task.
        at_once: the most inputs that go through a network together; None for the whole sample.
    """

    source: nn.Module
    inputs: Tensor
    labels: Tensor
    task: FinetuningTask
    at_once: int | None = None

    def parts(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The sample, as many inputs and labels at a time as go through a network together."""
        most = self.at_once or len(self.inputs)
        yield from zip(in_parts(self.inputs, most), in_parts(self.labels, most), strict=True)


@dataclass(frozen=True)
class Step:
    """One training batch, or a part of it where memory is short, from which a penalty is computed.

    Attributes:
        inputs: [n, c, ...]; features: [n, d] or maps [n, d, ...], with gradients.
    """

    inputs: Tensor
    features: Tensor


class Method:
    """Vanilla finetuning: every parameter trains on the task's loss. Other methods override some of the hooks."""

    #: The method's penalty replaces weight decay.
    replaces_decay = False

    def convert(self, body: nn.Module) -> nn.Module:
        """The body to train, made from the candidate's, possibly in place."""
        return body

    def begin(self, network: Network, context: SourceContext) -> None:
        """Freeze parameters and prepare penalties; called once, before the first step."""

    def set_mode(self, network: Network) -> None:
        """Correct the modes that `network.train()` has set; called before every epoch."""

    def penalty(self, network: Network, step: Step) -> Tensor | None:
        """A term to add to the task's loss of one batch, after its forward pass; None adds nothing."""
        return None

    def revert(self, body: nn.Module) -> nn.Module:
        """The body with ordinary layers that compute the same in eval mode."""
        return body

    def close(self) -> None:
        """Remove forward hooks and release the source network."""
