"""Weights that a file replaces are not drawn; all others are what they always were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.zoo import Candidate, load_candidate
from acrank.zoo.architectures import timm_networks
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.skip_init import skip_init

timm = import_timm()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the weights were left undrawn, for each time that a network was built."""
    times: list[bool] = []
    build = timm_networks._build

    def counted(*args):
        times.append(bool(torch.overrides._get_current_function_mode_stack()))
        return build(*args)

    monkeypatch.setattr(timm_networks, "_build", counted)
    return times


def drawn(name: str, **options: int) -> nn.Module:
    """The network as timm draws it after seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(name, **options)


def stored(folder: Path, name: str, tensors: dict[str, Tensor], **fields: object) -> Candidate:
    torch.save(tensors, folder / "w.pth")
    return Candidate(id="it", folder=folder, architecture=name, weights="w.pth", **fields)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext2"])
def test_a_whole_file_is_all_that_the_network_has(tmp_path: Path, built: list[bool], name: str) -> None:
    torch.manual_seed(5)
    tensors = timm.create_model(name, num_classes=4).state_dict()
    found = load_candidate(stored(tmp_path, name, tensors)).model.state_dict()
    assert built == [True]
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[key], tensors[key]) for key in tensors)


def test_what_a_file_lacks_is_drawn_from_seed_0(tmp_path: Path, built: list[bool]) -> None:
    tensors = timm.create_model("test_resnet", num_classes=4).state_dict()
    lost = "layer1.0.conv1.weight"
    del tensors[lost]
    found = load_candidate(stored(tmp_path, "test_resnet", tensors, min_match=0.5)).model.state_dict()
    assert built == [True, False]
    assert torch.equal(found[lost], drawn("test_resnet", num_classes=4).state_dict()[lost])


def test_tensors_that_are_changed_on_the_way_are_no_reason_not_to_draw(tmp_path: Path, built: list[bool]) -> None:
    tensors = timm.create_model("test_resnet", num_classes=4).state_dict()
    load_candidate(stored(tmp_path, "test_resnet", tensors, in_chans=1))
    assert built == [True, False]


def test_an_error_is_that_of_the_network_with_its_draws(
    tmp_path: Path, built: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = timm.create_model("test_resnet").state_dict()
    candidate = stored(tmp_path, "test_resnet", tensors)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: 1 / 0)
    with pytest.raises(CandidateError, match=r"timm cannot build 'test_resnet' .* ZeroDivisionError"):
        load_candidate(candidate)
    assert built == [True, False]


def test_the_networks_draws_are_skipped_and_the_generator_stays() -> None:
    before = torch.get_rng_state()
    with skip_init():
        timm.create_model("test_resnet")
    assert torch.equal(torch.get_rng_state(), before)
    timm.create_model("test_resnet")
    assert not torch.equal(torch.get_rng_state(), before)


class Net(nn.Linear):
    """A layer, and something else that depends on a draw."""

    def __init__(self, also: Callable[[nn.Linear], None]) -> None:
        super().__init__(3, 2)
        also(self)


def buffer(layer: nn.Linear) -> None:
    layer.register_buffer("square", layer.weight.detach() ** 2, persistent=False)


def attribute(layer: nn.Linear) -> None:
    layer.code = nn.init.normal_(torch.empty(4))


def part(layer: nn.Linear) -> None:
    both = nn.init.normal_(torch.empty(4))
    layer.bias, layer.code = nn.Parameter(both[:2]), both[2:]


def dropped(layer: nn.Linear) -> None:
    nn.Linear(8, 8)


def index(layer: nn.Linear) -> None:
    layer.register_buffer("order", torch.arange(3), persistent=False)


@pytest.mark.parametrize(
    ("also", "filled"), [(buffer, False), (attribute, False), (part, False), (dropped, True), (index, True)]
)
def test_what_no_file_fills_is_seen(also: Callable[[nn.Linear], None], filled: bool) -> None:
    with skip_init() as skipped:
        network = Net(also)
    assert skipped.is_replaced_in(network) is filled


def test_drawing_until_all_values_lie_in_bounds_ends() -> None:
    """torch's truncated normal distribution draws again while a value is out of bounds, as memory in use may be."""
    for bounds in ({}, {"a": 3.0, "b": 4.0}):
        tensor = torch.full((100_000,), 1e9)
        with skip_init():
            torch.nn.init.trunc_normal_(tensor, **bounds)
        assert torch.isfinite(tensor).all()
