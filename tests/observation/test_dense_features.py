"""Rows of features at positions of patches, and where in a network they are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from acrank.errors import CandidateError
from acrank.norm import ac_norm_layers
from acrank.observation.features import DenseReader, feature_map
from acrank.observation.layer_hooks import LayerTrace, rows_of_positions, select_layers
from acrank.observation.one_step import take_one_step, wrap_in_ac_norm
from acrank.zoo.architectures.genesis import UNet3D
from acrank.zoo.architectures.timm_import import import_timm


def head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, outputs, 1)
    )


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_rows_are_the_map_at_the_positions(stride: int) -> None:
    """Against plain indexing; a coarser map gives the cell that a position lies in."""
    model = nn.Sequential(nn.Conv2d(3, 5, 3, stride=stride, padding=1), nn.ReLU(), nn.Conv2d(5, 2, 1))
    inputs, size = torch.rand(3, 3, 8, 12), (8, 12)
    positions = torch.from_numpy(np.random.default_rng(0).integers(0, 96, (3, 7)))
    rows, outputs = DenseReader(positions, size)(model, inputs)
    maps = model[1](model[0](inputs))
    for i in range(3):
        for j in range(7):
            y, x = divmod(int(positions[i, j]), 12)
            assert torch.equal(rows[7 * i + j], maps[i, :, y // stride, x // stride])
    assert outputs is not None
    assert outputs.shape == (21, 2)


def test_rows_of_volumes_and_of_some_patches() -> None:
    model = nn.Sequential(nn.Conv3d(1, 4, 1), nn.Conv3d(4, 1, 1))
    inputs = torch.rand(4, 1, 2, 3, 4)
    positions = torch.arange(24).repeat(4, 1)
    reader = DenseReader(positions, (2, 3, 4))
    rows, outputs = reader(model, inputs)
    assert torch.equal(rows, model[0](inputs).flatten(2).transpose(1, 2).reshape(-1, 4))
    assert outputs is None  # one channel says nothing about classes
    some = torch.tensor([3, 1])
    assert torch.equal(reader(model, inputs[some], some)[0], rows.view(4, 24, 4)[some].view(-1, 4))


def test_a_residual_unit_behind_the_last_upsampling_is_part_of_the_head() -> None:
    nets = pytest.importorskip("monai.networks.nets")
    model = nets.UNet(2, 1, 2, channels=(8, 16), strides=(2,), num_res_units=2, norm="batch").eval()
    assert feature_map(model, torch.rand(2, 1, 8, 8))[0].shape[1] == 24  # what is joined: 8 channels and 16


def test_a_classifier_is_read_at_its_last_map() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    )
    features, _ = feature_map(model, torch.rand(2, 3, 9, 9))
    assert features.shape == (2, 6, 4, 4)
    with pytest.raises(CandidateError, match="no feature map"):
        feature_map(nn.Sequential(nn.Flatten(), nn.Linear(243, 2)), torch.rand(2, 3, 9, 9))


def test_encoder_layers_are_those_up_to_the_deepest() -> None:
    order, areas = ["a", "b", "c", "d"], {"a": 64, "b": 16, "c": 16, "d": 64}
    assert select_layers(order, areas, "encoder") == ["a", "b", "c"]


def test_layers_behind_the_features_are_left_out() -> None:
    model, _ = wrap_in_ac_norm(nn.Sequential(*head(6, 2), nn.BatchNorm2d(2)))
    positions = torch.arange(64).repeat(4, 1)
    labels = torch.arange(256) % 2
    seen = take_one_step(
        model,
        torch.rand(4, 3, 8, 8),
        labels,
        classes=2,
        half=torch.arange(256) < 128,
        permutation=torch.randperm(256),
        step_size=0.1,
        read=DenseReader(positions, (8, 8)),
    )
    assert [layer.name for layer in seen.shifts] == ["1"]
    assert seen.features is not None
    assert seen.features.shape == (256, 6)


def test_the_gradient_is_that_of_the_loss_at_the_positions() -> None:
    """The step on the affines against the same loss written out, through the map."""
    from acrank.observation.heads import ridge_logits

    torch.manual_seed(0)
    model, _ = wrap_in_ac_norm(head(6, 2))
    inputs, positions = torch.rand(4, 3, 8, 8), torch.arange(0, 64, 4).repeat(4, 1)
    labels, half = (torch.rand(64) > 0.5).long(), torch.arange(64) < 32
    options = {"classes": 2, "half": half, "permutation": torch.arange(64), "step_size": 0.5}
    seen = take_one_step(model, inputs, labels, **options, read=DenseReader(positions, (8, 8)))  # type: ignore[arg-type]
    maps = model[2](model[1](model[0](inputs))).flatten(2)[:, :, ::4]
    loss = nn.functional.cross_entropy(
        ridge_logits(maps.transpose(1, 2).reshape(64, 6), labels, half, classes=2), labels
    )
    (gradient,) = torch.autograd.grad(loss, model[1].weight_target)
    moved = model[1].weight_target.detach() - 0.5 * gradient
    assert np.allclose(seen.shifts[0].target_weight, moved.numpy(), atol=1e-6)


def test_the_deepest_layer_of_a_genesis_network_is_the_one_that_its_authors_read() -> None:
    model, _ = wrap_in_ac_norm(UNet3D(width=4))
    with LayerTrace(dict(ac_norm_layers(model))) as trace, torch.no_grad():
        model(torch.rand(2, 1, 16, 16, 16))
    assert select_layers(trace.order, trace.areas, "last") == ["down_tr512.ops.1.bn1"]
    assert select_layers(trace.order, trace.areas, "encoder")[-1] == "down_tr512.ops.1.bn1"
    assert len(select_layers(trace.order, trace.areas, "encoder")) == 8


@pytest.mark.parametrize(
    ("name", "options", "cells"),
    [
        ("vit_tiny_patch16_224", {}, (4, 4)),
        ("vit_tiny_patch16_224", {"global_pool": "avg"}, (4, 4)),
        ("vit_tiny_patch16_224", {"reg_tokens": 4}, (4, 4)),
        ("vit_tiny_patch16_224", {"img_size": (32, 64)}, (2, 4)),
        ("swin_tiny_patch4_window7_224", {"window_size": 2}, (2, 2)),
    ],
)
def test_the_tokens_of_a_transformer_are_a_map(name: str, options: dict[str, object], cells: tuple[int, int]) -> None:
    """Those that its own `forward_features` gives, as timm says where their grid is."""
    timm = import_timm()
    torch.manual_seed(0)
    options = {"img_size": (64, 64), "depth": 2, **options} if name.startswith("vit") else {"img_size": 64, **options}
    options |= {} if name.startswith("vit") else {"depths": (1, 1, 1, 1)}
    model = timm.create_model(name, **options).eval()
    inputs = torch.rand(3, 3, *(options["img_size"] if isinstance(options["img_size"], tuple) else (64, 64)))
    with torch.no_grad():
        tokens = model.forward_features(inputs)
        features, _ = feature_map(model, inputs)
        assert feature_map(wrap_in_ac_norm(model)[0], inputs)[0].shape == features.shape
    if tokens.dim() == 3:
        tokens = tokens[:, model.num_prefix_tokens :].unflatten(1, cells)
    assert tuple(features.shape[2:]) == cells
    torch.testing.assert_close(features, tokens.movedim(-1, 1))


def test_a_transformer_has_a_gram_matrix_at_positions() -> None:
    """Of its last layer's tokens, by plain indexing; the step moves that layer's affines."""
    torch.manual_seed(0)
    model, _ = wrap_in_ac_norm(import_timm().create_model("vit_tiny_patch16_224", img_size=32, depth=2).eval())
    inputs = torch.rand(6, 3, 32, 32)
    with torch.no_grad():
        tokens = model.forward_features(inputs)
    positions = torch.from_numpy(np.random.default_rng(0).integers(0, 32 * 32, (6, 5)))
    seen = take_one_step(
        model,
        inputs,
        torch.arange(30) % 2,
        classes=2,
        half=torch.arange(30) % 4 < 2,
        permutation=torch.randperm(30),
        step_size=0.1,
        layers="norm",
        read=DenseReader(positions, (32, 32)),
        rows=rows_of_positions(positions, (32, 32)),
    )
    places = [(i, *divmod(int(positions[i, j]), 32)) for i in range(6) for j in range(5)]
    rows = torch.stack([tokens[i, 1 + y // 16 * 2 + x // 16] for i, y, x in places])
    np.testing.assert_allclose(seen.features, rows, rtol=1e-4, atol=1e-5)
    kept = rows.relu().numpy()
    kept = (kept - kept.mean(0)) / np.where(kept.std(0) > 1e-6, kept.std(0), 1)
    np.testing.assert_allclose(seen.later_gram, kept @ kept.T / kept.shape[1], rtol=1e-3, atol=1e-4)
    assert [one.name for one in seen.shifts] == ["norm"]
    assert np.abs(seen.shifts[0].target_bias - seen.shifts[0].source_bias).max() > 0
