"""How many inputs go through a network together: counted bytes, limits, and what free memory changes."""

from __future__ import annotations

import re
import weakref

import pytest
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.observation import part_size as module
from acrank.observation.part_size import GRAPH_BYTES, MOST, OVERHEAD, graph_bytes, part_size

FLOAT = 4
GIB = 2**30


class Saving(nn.Module):
    """Saves `each` float32 of every input for the backward pass, in blocks of `block`; counts its blocks."""

    def __init__(self, each: int, block: int | None = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.each, self.block = each, block or each
        self.made = 0

    def forward(self, inputs: Tensor) -> Tensor:
        total = inputs.new_zeros(())
        for _ in range(self.each // self.block):
            self.made += 1
            total = total + (self.scale * torch.zeros(len(inputs), self.block)).sum()
        return total


def two(size: int = 1) -> Tensor:
    return torch.zeros(2, size)


def test_bytes_of_a_network_known_by_hand() -> None:
    """Two inputs of 8 x 8: a convolution saves its input, a ReLU its output, a linear layer what it is fed."""
    model = nn.Sequential(nn.Conv2d(3, 5, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(320, 7))
    inputs = torch.rand(2, 3, 8, 8)
    maps = 2 * 5 * 64 * FLOAT  # one block: the linear layer is fed the ReLU's output
    assert graph_bytes(model, lambda: model(inputs), limit=GIB) == inputs.numel() * FLOAT + maps
    with torch.no_grad():
        assert graph_bytes(model, lambda: model(inputs), limit=GIB) == 0
    model[0].requires_grad_(False)  # no gradient goes below the linear layer
    assert graph_bytes(model, lambda: model(inputs), limit=GIB) == maps


def test_the_networks_own_tensors_do_not_count() -> None:
    model = nn.Sequential(nn.Linear(50, 400), nn.Linear(400, 3))
    inputs = torch.rand(2, 50)
    assert graph_bytes(model, lambda: model(inputs), limit=GIB) == (2 * 50 + 2 * 400) * FLOAT


def test_a_block_counts_once_and_as_a_whole() -> None:
    block = torch.rand(10, 6)
    scale = torch.ones(6, requires_grad=True)
    assert graph_bytes(nn.Identity(), lambda: [scale * row for row in block], limit=GIB) == 60 * FLOAT


def test_over_the_limit_the_pass_is_broken_off() -> None:
    model = Saving(1000, block=10)
    assert graph_bytes(model, lambda: model(two()), limit=8000) == 8000
    model.made = 0
    assert graph_bytes(model, lambda: model(two()), limit=1000) is None
    assert model.made == 13  # 80 bytes each: the thirteenth is over the limit


def sizes(each: int, free: int, inputs: Tensor | None = None) -> tuple[int, int]:
    """For a network that saves so many bytes of each input."""
    model = Saving(each // FLOAT)
    return tuple(part_size(model, two() if inputs is None else inputs, model, free=free))  # type: ignore[return-value]


@pytest.fixture
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of kilobytes, so that nothing large is allocated."""
    monkeypatch.setattr(module, "GRAPH_BYTES", 64_000)


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize(
    ("each", "wanted"),
    [(400, 16), (4000, 16), (4004, 8), (8000, 8), (8004, 4), (16000, 4), (32000, 2), (32004, 1), (200_000, 1)],
)
def test_what_is_wanted_depends_on_the_network_alone(each: int, wanted: int) -> None:
    enough = int(OVERHEAD * max(64_000, each)) + 1
    assert {sizes(each, free) for free in (enough, 10 * enough, 1000 * enough)} == {(wanted, wanted)}
    assert sizes(each, enough, torch.zeros(1, 1)) == (wanted, wanted)  # measured on one input alone


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize(("room", "fitting"), [(4000, 1), (7999, 1), (8000, 2), (31_000, 4), (64_000, 16)])
def test_where_less_is_free_fewer_fit(room: int, fitting: int) -> None:
    assert sizes(4000, int(room * OVERHEAD) + 1) == (16, fitting)


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize("each", [4000, 40_000, 400_000])
def test_one_input_that_does_not_fit_is_refused(each: int) -> None:
    """Whether two inputs were measured (and each needs more than there is) or even one was broken off."""
    with pytest.raises(CandidateError, match="one input of this network needs") as caught:
        sizes(each, int((each - 4) * OVERHEAD))
    assert "smaller input size" in str(caught.value.hint)
    assert sizes(each, int(each * OVERHEAD) + 1)[1] == 1
    with pytest.raises(CandidateError, match=re.escape("0.0 GB")):
        sizes(each, 0)


def test_a_network_without_a_graph_takes_the_most() -> None:
    model = nn.Linear(4, 2).requires_grad_(False)
    assert part_size(model, two(4), model, free=GIB) == (MOST, MOST)


def test_the_limit_is_of_a_machine_with_little_memory() -> None:
    assert 2 * OVERHEAD * GRAPH_BYTES < 4 * GIB


@pytest.mark.parametrize("limit", [GIB, 100])
def test_nothing_of_the_pass_stays_in_memory(limit: int) -> None:
    """Also where an operation saves its own output, as a sigmoid does, and where the pass is broken off."""
    made: list[weakref.ref[Tensor]] = []

    class Watched(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            output = torch.sigmoid(inputs)
            made.append(weakref.ref(output))
            return torch.exp(output)

    model = nn.Sequential(nn.Linear(4, 4), Watched(), Watched())
    inputs = torch.rand(2, 4)
    assert (graph_bytes(model, lambda: model(inputs), limit=limit) is None) == (limit == 100)
    assert made
    assert all(one() is None for one in made)
