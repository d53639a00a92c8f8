"""How many inputs go through a network together, so that a pass fits in memory."""

from __future__ import annotations

from collections.abc import Callable
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
        return tensor

    try:
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            kept = run()  # what it returns holds the graph, and so the blocks: no address is used twice
    except _OverLimitError:
        return None
    del kept
    return sum(blocks.values())


class _OverLimitError(Exception):
    """The pass saves more than the limit."""


class PartSize(NamedTuple):
    """How many inputs go through a network together: as its graph allows, and as the free memory does."""

    wanted: int
    fitting: int


def part_size(model: nn.Module, inputs: Tensor, run: Callable[[Tensor], object], *, free: int) -> PartSize:
    """The most inputs that go through the network together, powers of two.

    Both are measured by the bytes that the network's graph holds for two inputs. The wanted number depends on the
    network and its input alone: at most MOST, and a graph of at most GRAPH_BYTES.

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
        found = graph_bytes(model, partial(run, some), limit=max(GRAPH_BYTES, room // 2) if count > 1 else room)
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
    return PartSize(
        min(MOST, _power_of_two(GRAPH_BYTES // each)), min(MOST, _power_of_two(min(GRAPH_BYTES, room) // each))
    )


def _power_of_two(limit: int) -> int:
    return 1 << max(0, limit.bit_length() - 1)
