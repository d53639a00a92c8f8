"""What is trained: a candidate's body and a new head."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acrank.finetuning.methods.method import Method, Start
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.system.machine import channels_last
from acrank.zoo.loading import LoadedModel


class Network(nn.Module):
    """A body, read as the task says, and a head for the target. The source's head is frozen."""

    def __init__(self, body: nn.Module, head: nn.Module, task: FinetuningTask) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.task = task

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features, [n, d] or maps [n, d, ...], and the head's outputs for inputs [n, c, ...]."""
        features = self.task.read(self.body, inputs)
        return features, self.task.outputs(self.head, features, inputs)


def build_network(
    loaded: LoadedModel, methods: Sequence[Method], task: FinetuningTask, *, sample: tuple[Tensor, Tensor]
) -> Network:
    """The network as it is before the first step, on the sample's device; draws from torch's generator.

    Args:
        loaded: the candidate; it is left as it was.
        methods: each may change the body and what trains.
        task: gives the head.
        sample: inputs [n, c, ...] and labels from the training part, for methods that look at the source on them.

    Raises:
        CandidateError: a method does not apply to this network.
    """
    inputs, labels = sample
    source = copy.deepcopy(loaded.model).to(inputs.device).eval().requires_grad_(False)
    with torch.no_grad():
        features = task.read(source, inputs[:2])
    head = task.head(features.shape[1])  # drawn first, so that all methods begin with the same head
    body = copy.deepcopy(loaded.model).requires_grad_(True)
    if loaded.head:
        body.get_submodule(loaded.head).requires_grad_(False)
    for method in methods:
        body = method.convert(body)
    network = Network(body, head, task).to(inputs.device)
    if inputs.dim() == 4:
        channels_last(network)
    for method in methods:
        method.begin(network, Start(source, inputs, labels, task))
    return network
