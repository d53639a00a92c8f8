"""Which tensors beside a network's own show that the file is of another network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from acrank.zoo.leftovers import unused_layers


def network() -> nn.Module:
    blocks = nn.ModuleDict({"0": nn.Conv2d(3, 4, 3), "1": nn.Linear(4, 4)})
    return nn.ModuleDict({"layer1": blocks, "layer2": nn.Linear(4, 4), "fc": nn.Linear(4, 2)})


def unused(extra: dict[str, Tensor], heads: tuple[str, ...] = ("fc",)) -> list[str]:
    model = network()
    own = {name: torch.rand_like(value) for name, value in model.state_dict().items()}
    return unused_layers(model, {**extra, **own}, matched=list(own), heads=heads)


def drawn(*names: str, shape: tuple[int, ...] = (4, 4, 3, 3)) -> dict[str, Tensor]:
    return {name: torch.rand(shape) for name in names}


@pytest.mark.parametrize(
    "name",
    [
        "layer1.2.weight",  # a further block
        "layer1.0.se.fc1.weight",  # squeeze and excitation, which the network lacks
        "layer2.gamma",
        "layer3.0.weight",  # a further stage
        "pos_embed",
        "dist_token",
    ],
)
def test_layers_of_the_body(name: str) -> None:
    assert unused(drawn(name)) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "queue",
        "mask_token",
        "decoder.blocks.0.conv1.weight",
        "decoder_blocks.0.mlp.fc1.weight",
        "segmentation_head.0.weight",
        "AuxLogits.conv0.conv.weight",
        "aux1.conv.conv.weight",
        "classifier.weight",
        "fc.0.weight",
        "projection_head.0.weight",
        "module.encoder_k.layer1.0.weight",
        "criterion.weight",
        "rpn.head.conv.weight",
        "layer1.0.num_batches_tracked",
        "layer1.0.total_ops",
        "layer1.1.attn.relative_position_index",
    ],
)
def test_what_lies_beside_the_body(name: str) -> None:
    assert unused(drawn(name)) == []


def test_indices_are_harmless_wherever_they_are() -> None:
    assert unused({"layer1.0.index": torch.arange(3)}) == []


def test_what_is_stored_twice_is_used() -> None:
    model = network()
    own = dict(model.state_dict())
    alias, copy = own["layer1.0.weight"], own["layer1.0.weight"].clone()
    constant = {"layer1.7.weight": torch.ones(4), "layer1.7.bias": torch.zeros(4)}
    tensors: dict[str, Any] = {**own, "layer1.5.weight": alias, "layer1.6.weight": copy, **constant}
    found = unused_layers(model, tensors, matched=list(own), heads=("fc",))
    assert found == ["layer1.7.weight", "layer1.7.bias"]  # an untrained norm equals others, and is a layer


def test_a_files_own_classifier_may_end_a_sequence() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    whole = nn.Sequential(*model, nn.Flatten(), nn.Linear(4, 2)).state_dict()
    own = list(model.state_dict())
    assert unused_layers(model, whole, matched=own, heads=()) == []
    deeper = nn.Sequential(*model, nn.Conv2d(4, 4, 3)).state_dict()
    assert unused_layers(model, deeper, matched=own, heads=()) == ["2.weight", "2.bias"]
