"""DELTA (Li et al., ICLR 2019): feature maps are kept near the source's in the channels that matter to the target.

    alpha * sum over layers and channels of  W_j |F_j(x; w) - F_j(x; w_source)|^2  +  beta / 2 |head|^2

The paper's weight of a channel is a softmax over how much the loss rises when its filter is zeroed, in the frozen
source network under a linear head fitted to the target. That takes a forward pass per channel; here the rise is
estimated to first order, -<F_j, dL/dF_j>, in one backward pass for all channels.
The maps are the outputs of the last convolution at every resolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method, SourceContext, Step
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.observation.layer_hooks import ForwardHooks

ALPHA, BETA = 0.01, 0.01
HEAD_STEPS, HEAD_RATE = 100, 0.01
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Delta(Method):
    """Attention-weighted distance of feature maps to the frozen source network's; the head decays to zero."""

    def begin(self, network: Network, context: SourceContext) -> None:
        """Choose the layers, compute their channel weights, and hook them in both networks."""
        self.source, self.task = context.source, context.task
        names = last_convolutions(self.source, context.inputs[:2], self.task)
        self.weights = channel_weights(context, names)
        self.now, self.before = LatestOutputs(network.body, names), LatestOutputs(self.source, names)

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
    """The latest output of each of some modules, in `maps` by name."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        modules = dict(model.named_modules())
        super().__init__({name: modules[name] for name in names})
        self.maps: dict[str, Tensor] = {}

    def on_output(self, name: str, output: Tensor) -> None:
        """Replace the module's previous output."""
        self.maps[name] = output

    def close(self) -> None:
        """Remove the hooks and drop the outputs."""
        super().close()
        self.maps.clear()


def last_convolutions(model: nn.Module, inputs: Tensor, task: FinetuningTask) -> list[str]:
    """Name of the last convolution at every resolution above one position, among those that affect the features.

    Raises:
        CandidateError: the network has no such convolution.
    """
    watch = LatestOutputs(model, [name for name, module in model.named_modules() if isinstance(module, _CONVOLUTIONS)])
    with torch.enable_grad():
        features = task.read(model, inputs.detach().requires_grad_())
    maps = {name: output for name, output in watch.maps.items() if output.dim() > 2 and output.requires_grad}
    gradients = torch.autograd.grad(features.sum(), list(maps.values()), allow_unused=True) if maps else ()
    watch.close()
    areas = {name: output[0, 0].numel() for name, output in maps.items()}
    found = {
        areas[name]: name
        for name, gradient in zip(maps, gradients, strict=True)
        if gradient is not None and areas[name] > 1
    }
    if not found:
        raise CandidateError("delta needs a convolution with more than one position, this network has none")
    return list(found.values())


def channel_weights(context: SourceContext, names: list[str]) -> dict[str, Tensor]:
    """The attention weight of every channel of some convolutions of the source, by name [C], positive, with mean 1.

    A softmax over the channels of `estimated_rises`, times C, so that the penalty does not shrink with the width.
    """
    rises = estimated_rises(context, names)
    return {name: len(rise) * torch.softmax(rise, 0) for name, rise in rises.items()}


def estimated_rises(context: SourceContext, names: list[str]) -> dict[str, Tensor]:
    """First-order rise of the mean loss when a channel's map is zeroed, by name [C].

    The loss is that of a linear head fitted to the context's sample.
    """
    source, task = context.source, context.task
    head = _fitted_head(context)
    watch = LatestOutputs(source, names)
    rises: dict[str, list[Tensor]] = {name: [] for name in names}
    for inputs, labels in context.parts():
        with torch.enable_grad():
            inputs = inputs.detach().requires_grad_()  # without it the maps of a frozen network have no gradient
            features = task.read(source, inputs)
            maps = [watch.maps[name] for name in names]
            loss = task.loss(task.outputs(head, features, inputs), labels) * (len(inputs) / len(context.inputs))
            gradients = torch.autograd.grad(loss, maps)
        # The loss is a mean over images, so a channel's products are summed over images and positions.
        for name, each, gradient in zip(names, maps, gradients, strict=True):
            rises[name].append(-(each * gradient).transpose(0, 1).flatten(1).sum(1).detach())
    watch.close()
    return {name: torch.stack(found).sum(0) for name, found in rises.items()}


def _fitted_head(context: SourceContext) -> nn.Module:
    task = context.task
    with torch.no_grad():
        features = torch.cat([task.read(context.source, inputs) for inputs, _ in context.parts()])
    head = task.head(features.shape[1]).to(features.device)
    optimiser = torch.optim.Adam(head.parameters(), HEAD_RATE)
    for _ in range(HEAD_STEPS):
        optimiser.zero_grad()
        torch.autograd.backward(task.loss(task.outputs(head, features, context.inputs), context.labels))
        optimiser.step()
    return head
