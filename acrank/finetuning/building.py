"""The network of a run before its first step: the candidate's body, changed by the methods, and an untrained head."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from acrank.finetuning.methods.method import Method, SourceContext
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.observation.part_size import bytes_of_parameters, inputs_of_a_step
from acrank.system.machine import channels_last, seeded
from acrank.system.memory import free_memory
from acrank.zoo.loading import LoadedModel

#: Besides a step's graph: gradients, momentum, the network of the best epoch, and a state on its way to the disk.
_COPIES = 5


def inputs_at_once(network: Network, inputs: Tensor, labels: Tensor, *, count: int, memory: str | None) -> int:
    """How many of the `count` inputs of a step go through a network together; measured on two.

    Args:
        network: before its first step; it is left as it was.
        inputs, labels: of training images, on the network's device.
        count: of a step.
        memory: the most that the process may use, as `bytes_of` reads it; None for what is free.

    Raises:
        CandidateError: not even one input fits.
    """
    was_training = {module: module.training for module in network.modules()}
    buffers = [(part, part.clone()) for part in network.buffers()]
    free = max(0, free_memory(inputs.device, memory) - _COPIES * bytes_of_parameters(network))

    def run(some: Tensor) -> Tensor:
        return network.task.loss(network(some)[1].float(), labels[: len(some)])

    try:
        with seeded(0, inputs.device):
            return inputs_of_a_step(network.train(), inputs[:2], run, count=count, free=free)
    finally:
        for module, mode in was_training.items():
            module.training = mode
        for part, value in buffers:
            part.copy_(value)


def build_network(
    loaded: LoadedModel,
    methods: Sequence[Method],
    task: FinetuningTask,
    *,
    sample: tuple[Tensor, Tensor],
    at_once: Callable[[Network], int | None] = lambda _: None,
) -> Network:
    """The network before the first step, on the sample's device; draws from torch's generator.

    The candidate's own head is frozen.

    Args:
        loaded: the candidate; it is not changed.
        methods: each may change the body and what trains.
        task: makes the head.
        sample: inputs [n, c, ...] and labels of training images, on which methods may evaluate the source network.
        at_once: tells how many inputs may go through the network together, those of the sample too; None for all.

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
    network.at_once = at_once(network)
    context = SourceContext(source=source, inputs=inputs, labels=labels, task=task, at_once=network.at_once)
    for method in methods:
        method.begin(network, context)
    return network
