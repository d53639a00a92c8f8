"""The network of a run before its first step: the candidate's body, changed by the methods, and an untrained head."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from acrank.finetuning.methods.method import Method, SourceContext
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.system.machine import channels_last
from acrank.zoo.loading import LoadedModel


def build_network(
    loaded: LoadedModel, methods: Sequence[Method], task: FinetuningTask, *, sample: tuple[Tensor, Tensor]
) -> Network:
    """The network before the first step, on the sample's device; draws from torch's generator.

    The candidate's own head is frozen.

    Args:
        loaded: the candidate; it is not changed.
        methods: each may change the body and what trains.
        task: makes the head.
        sample: inputs [n, c, ...] and labels of training images, on which methods may evaluate the source network.

    Raises:
        CandidateError: a method does not apply to this network.
    """
    inputs, labels = sample
    source = copy.deepcopy(loaded.model).to(inputs.device).eval().requires_grad_(False)
    with torch.no_grad():
        features = task.read(source, inputs[:2])
    head = task.head(features.shape[1])  # before the methods draw random numbers, so that all start with the same head
    body = copy.deepcopy(loaded.model).requires_grad_(True)
    if loaded.head:
        body.get_submodule(loaded.head).requires_grad_(False)
    for method in methods:
        body = method.convert(body)
    network = Network(body, head, task).to(inputs.device)
    if inputs.dim() == 4:
        channels_last(network)
    for method in methods:
        method.begin(network, SourceContext(source=source, inputs=inputs, labels=labels, task=task))
    return network
