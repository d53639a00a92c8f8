"""DELTA (Li et al., ICLR 2019): feature maps stay near the source's where a channel matters to the target.

    alpha * sum over layers and channels of  W_j |F_j(x; w) - F_j(x; w_source)|^2  +  beta / 2 |head|^2

The paper weighs a channel by how much the loss rises when its filter is zeroed in the frozen source network under a
linear head fitted to the target, through a softmax over the channels. A forward pass per channel is dear; here the
rise is its first-order estimate, -<F_j, dL/dF_j>, which one backward pass gives for all channels at once.
The maps are the outputs of the last convolution at every resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method, Start, Step
from acrank.observation.layer_hooks import ForwardHooks

if TYPE_CHECKING:
    from acrank.finetuning.network import Network
    from acrank.finetuning.tasks.task import FinetuningTask

ALPHA, BETA = 0.01, 0.01
HEAD_STEPS, HEAD_RATE = 100, 0.01
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Delta(Method):
    """Attention-weighted distance of feature maps to the frozen source network's; the head decays to zero."""

    def begin(self, network: Network, start: Start) -> None:
        """Choose the layers, weigh their channels, and watch them in both networks."""
        self.source, self.task = start.source, start.task
        names = last_convolutions(start.source, start.inputs[:2], start.task)
        self.weights = channel_weights(start.source, names, start.inputs, start.labels, start.task)
        self.now, self.before = LatestOutputs(network.body, names), LatestOutputs(start.source, names)

    def penalty(self, network: Network, step: Step) -> Tensor:
        with torch.no_grad():
            self.task.read(self.source, step.inputs)
        distance = torch.stack([self._distance(name) for name in self.weights]).sum()
        decay = torch.stack([part.square().sum() for part in network.head.parameters()]).sum()
        return ALPHA * distance + BETA / 2 * decay

    def close(self) -> None:
        self.now.close()
        self.before.close()

    def _distance(self, name: str) -> Tensor:
        """Mean over images and positions of the weighted squared differences."""
        difference = (self.now.maps[name] - self.before.maps[name]).flatten(2).square().mean(2)
        return (difference * self.weights[name]).sum(1).mean()


class LatestOutputs(ForwardHooks):
    """The latest outputs of some modules, by name."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        modules = dict(model.named_modules())
        super().__init__({name: modules[name] for name in names})
        self.maps: dict[str, Tensor] = {}

    def on_output(self, name: str, output: Tensor) -> None:
        """Replace the one before."""
        self.maps[name] = output

    def close(self) -> None:
        """See no more, and keep nothing."""
        super().close()
        self.maps.clear()


def last_convolutions(model: nn.Module, inputs: Tensor, task: FinetuningTask) -> list[str]:
    """Names of the last convolution at every number of positions above one, of those that the features depend on.

    Raises:
        CandidateError: the network has no such convolution.
    """
    watch = LatestOutputs(model, [name for name, module in model.named_modules() if isinstance(module, _CONVOLUTIONS)])
    with torch.enable_grad():
        features = task.read(model, inputs.detach().requires_grad_())
    maps = {name: output for name, output in watch.maps.items() if output.dim() > 2 and output.requires_grad}
    pulls = torch.autograd.grad(features.sum(), list(maps.values()), allow_unused=True) if maps else ()
    areas = {
        name: output[0, 0].numel() for (name, output), pull in zip(maps.items(), pulls, strict=True) if pull is not None
    }
    watch.close()
    found = {area: name for name, area in areas.items() if area > 1}
    if not found:
        raise CandidateError("delta needs a convolution with more than one position, this network has none")
    return list(found.values())


def channel_weights(
    source: nn.Module, names: list[str], inputs: Tensor, labels: Tensor, task: FinetuningTask
) -> dict[str, Tensor]:
    """The attention of every channel, per layer [C], positive, with mean 1.

    Softmax over the channels of the estimated rise of the mean loss when a channel's map is zeroed, times C, so that
    the penalty does not shrink with the width.

    Args:
        source: frozen, in eval mode; names: of its convolutions.
        inputs, labels: the sample on which the loss is taken; the head is fitted on it first.
        task: gives head and loss.
    """
    rises = estimated_rises(source, names, inputs, labels, task)
    return {name: len(rise) * torch.softmax(rise, 0) for name, rise in rises.items()}


def estimated_rises(
    source: nn.Module, names: list[str], inputs: Tensor, labels: Tensor, task: FinetuningTask
) -> dict[str, Tensor]:
    """First-order rise of the loss when a channel is zeroed, per layer [C]."""
    head = _fitted_head(source, inputs, labels, task)
    watch = LatestOutputs(source, names)
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()  # so that maps of a frozen body have a gradient
        features = task.read(source, inputs)
        maps = [watch.maps[name] for name in names]
        pulls = torch.autograd.grad(task.loss(task.outputs(head, features, inputs), labels), maps)
    watch.close()
    # The loss is a mean over images, so that a channel's products add up over images and positions.
    return {
        name: -(each * pull).transpose(0, 1).flatten(1).sum(1).detach()
        for name, each, pull in zip(names, maps, pulls, strict=True)
    }


def _fitted_head(source: nn.Module, inputs: Tensor, labels: Tensor, task: FinetuningTask) -> nn.Module:
    with torch.no_grad():
        features = task.read(source, inputs)
    head = task.head(features.shape[1]).to(features.device)
    optimiser = torch.optim.Adam(head.parameters(), HEAD_RATE)
    for _ in range(HEAD_STEPS):
        optimiser.zero_grad()
        task.loss(task.outputs(head, features, inputs), labels).backward()
        optimiser.step()
    return head
