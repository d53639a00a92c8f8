"""How many inputs go through a network together, so that a pass fits in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError

#: The graph of a part holds at most so many bytes, whatever the machine: results do not depend on its memory.
GRAPH_BYTES = 768 * 2**20
#: At most so many inputs of a part.
MOST = 16
#: What a backward pass needs, over what the forward pass saved for it.
OVERHEAD = 1.5


def graph_bytes(model: nn.Module, run: Callable[[], object], limit: int) -> int | None:
    """Bytes that a forward pass saves for the backward pass, but for the network's own tensors; None above a limit.

    Every block of memory counts once. A pass that reaches the limit is broken off, so it never takes much more.

    Args:
        model: whose parameters and buffers do not count.
        run: the forward pass, with gradients on.
        limit: in bytes.
    """
    own = {part.untyped_storage().data_ptr() for part in [*model.parameters(), *model.buffers()]}
    blocks: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            blocks[storage.data_ptr()] = storage.nbytes()
        if sum(blocks.values()) > limit:
            raise _OverLimitError
        return tensor.detach()  # an output that its own node held would never be freed

    try:
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            kept = run()  # what it returns holds the graph, and so the blocks: no address is used twice
    except _OverLimitError:
        return None
    del kept
    return sum(blocks.values())


def bytes_of_parameters(model: nn.Module) -> int:
    """Bytes of a network's parameters."""
    return sum(part.nbytes for part in model.parameters())


class _OverLimitError(Exception):
    """The pass saves more than the limit."""


class PartSize(NamedTuple):
    """How many inputs go through a network together: as its graph allows, and as the free memory does."""

    wanted: int
    fitting: int


def part_size(model: nn.Module, inputs: Tensor, run: Callable[[Tensor], object], *, free: int) -> PartSize:
    """The most inputs that go through the network together, powers of two.

    The wanted number depends on the network and its input alone: at most MOST, and a graph of at most GRAPH_BYTES.

    Args:
        model, inputs, run, free: as in `bytes_of_an_input`.

    Raises:
        CandidateError: not even one input fits.
    """
    each = bytes_of_an_input(model, inputs, run, free=free)
    wanted = _power_of_two(GRAPH_BYTES // each)
    return PartSize(min(MOST, wanted), min(MOST, wanted, _power_of_two(int(free / OVERHEAD) // each)))


def inputs_of_a_step(
    model: nn.Module, inputs: Tensor, run: Callable[[Tensor], object], *, count: int, free: int
) -> int:
    """How many of the `count` inputs of a training step go through the network together: all, or as many as fit.

    Args:
        count: of the step.
        model, inputs, run, free: as in `bytes_of_an_input`; `run` takes gradients of all that trains.

    Raises:
        CandidateError: not even one input fits.
    """
    fitting = int(free / OVERHEAD) // bytes_of_an_input(model, inputs, run, free=free)
    return count if fitting >= count else _power_of_two(fitting)


def bytes_of_an_input(model: nn.Module, inputs: Tensor, run: Callable[[Tensor], object], *, free: int) -> int:
    """Bytes that the network's graph holds for an input, measured on two, or on one where two are too many.

    Args:
        model: the network.
        inputs: [2, c, ...], or one.
        run: a forward pass of some of them that returns what holds its graph.
        free: bytes.

    Raises:
        CandidateError: not even one input fits.
    """
    room = int(free / OVERHEAD)
    for count in dict.fromkeys((len(inputs), 1)):
        some = inputs[:count]
        found = graph_bytes(model, partial(run, some), limit=min(GRAPH_BYTES, room) if count > 1 else room)
        if found is not None:
            break
    else:
        raise CandidateError(
            f"one input of this network needs more than the free memory ({free / 2**30:.1f} GB)",
            hint="give it a smaller input size in the manifest, or more memory",
        )
    each = max(1, found // count)
    if each > room:
        raise CandidateError(
            f"one input of this network needs {each * OVERHEAD / 2**30:.1f} GB, {free / 2**30:.1f} GB are free",
            hint="give it a smaller input size in the manifest, or more memory",
        )
    return each


def in_parts(batch: Tensor, at_once: int) -> Sequence[Tensor]:
    """A batch in as few parts of at most `at_once` rows as possible, all of nearly the same length.

    >>> [len(part) for part in in_parts(torch.arange(33), 16)]
    [11, 11, 11]
    """
    return batch.tensor_split(-(-len(batch) // at_once))


def _power_of_two(limit: int) -> int:
    return 1 << max(0, limit.bit_length() - 1)
