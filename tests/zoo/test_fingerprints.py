"""Fingerprints of networks that are built without memory."""

from __future__ import annotations

import torch
from torch import nn

from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.fingerprints import (
    built_without_memory,
    entry_hash,
    fingerprint_of,
    form_hash,
    smp_encoders,
    smp_fingerprints,
    timm_fingerprints,
    torchvision_fingerprints,
)


def test_hashes_are_the_same_everywhere() -> None:
    assert entry_hash("conv1.weight", (64, 3, 7, 7)) == 0xA4DC9A00961B
    assert entry_hash("a", (1, 23)) != entry_hash("a", (12, 3))
    assert form_hash([(1,), (2, 3), (1,)]) == form_hash([(2, 3), (1,), (1,)]) != form_hash([(1,), (2, 3)])


def test_a_fingerprint_leaves_out_head_first_layer_and_counters() -> None:
    [(name, one)] = timm_fingerprints(["resnet10t"])
    model = import_timm().create_model("resnet10t")
    kept = [key for key in model.state_dict() if not key.endswith("num_batches_tracked") and not key.startswith("fc.")]
    assert name == one.name == "resnet10t"
    assert one.stems == {"conv1.0.weight": (24, 3, 3, 3)}
    assert one.heads == {"fc": 512}
    assert one.size == len(kept)
    assert set(one.entries) == {entry_hash(key, model.state_dict()[key].shape) for key in kept if key not in one.stems}


def test_networks_that_work_out_numbers_are_built_too() -> None:
    [(name, one)] = torchvision_fingerprints(["regnet_y_400mf"])
    assert name == "torchvision:regnet_y_400mf"
    assert one is not None
    assert one.heads == {"fc": 440}


def test_encoders_of_segmentation_models() -> None:
    assert "resnet18" in smp_encoders()
    found = dict(smp_fingerprints(["resnet18", "mit_b0"]))
    assert all(one is not None for one in found.values())
    assert found["resnet18"].size == 100


def test_what_cannot_be_built_has_no_fingerprint() -> None:
    def broken() -> nn.Module:
        raise ValueError("no")

    assert built_without_memory(broken) is None
    assert fingerprint_of("x", None, heads=(), stems=(), channels=3) is None
    assert fingerprint_of("x", nn.Linear(2, 2), heads=(), stems=(), channels=3) is None


def test_the_random_state_stays() -> None:
    before = torch.random.get_rng_state()
    list(timm_fingerprints(["resnet10t"]))
    assert torch.equal(before, torch.random.get_rng_state())
