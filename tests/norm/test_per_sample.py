"""AC-Norm over LayerNorm, GroupNorm and InstanceNorm, held against the dense correlation and PyTorch's own layers."""

from __future__ import annotations

import copy
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from acrank.norm import (
    PerSampleCoNorm,
    affine_correlation,
    affine_overlap,
    convert_ac_norm,
    hold_recalibrated,
    revert_ac_norm,
)

LAYERS = {
    "layer": (lambda: nn.LayerNorm(6), (3, 5, 6)),
    "group": (lambda: nn.GroupNorm(2, 6), (3, 6, 4, 5)),
    "group of a vector": (lambda: nn.GroupNorm(3, 6), (4, 6)),
    "instance 1d": (lambda: nn.InstanceNorm1d(6, affine=True), (3, 6, 7)),
    "instance 2d": (lambda: nn.InstanceNorm2d(6, affine=True), (3, 6, 4, 5)),
    "instance 3d": (lambda: nn.InstanceNorm3d(6, affine=True, track_running_stats=True), (3, 6, 2, 3, 4)),
}


def drifted(plain: nn.Module, seed: int) -> tuple[nn.Module, PerSampleCoNorm]:
    """A plain layer with drawn affines, and its AC-Norm layer, whose targets have drifted."""
    noise = torch.Generator().manual_seed(seed)
    plain = plain.double()
    for part in plain.parameters():
        part.data = torch.randn(part.shape, generator=noise, dtype=torch.float64)
    layer = convert_ac_norm(plain)
    assert isinstance(layer, PerSampleCoNorm)
    for part in (layer.weight_target, layer.bias_target):
        part.data += 0.5 * torch.randn(part.shape, generator=noise, dtype=torch.float64)
    return plain, layer


def dense(layer: PerSampleCoNorm) -> Tensor:
    affines = (layer.weight, layer.bias, layer.weight_target, layer.bias_target)
    return affine_correlation(*affines, eps=layer.eps, temperature=layer.temperature)


@pytest.mark.parametrize("kind", LAYERS)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_output_and_gradients_are_those_of_the_dense_correlation(kind: str, seed: int) -> None:
    make, shape = LAYERS[kind]
    plain, layer = drifted(make(), seed)
    input = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    weight = layer.weight_target.detach().clone().requires_grad_()
    bias = layer.bias_target.detach().clone().requires_grad_()
    matrix = dense(layer)
    expected = torch.func.functional_call(
        plain, {"weight": weight + matrix @ weight, "bias": bias + matrix @ bias}, (input,)
    )
    output = layer(input)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-11)
    upstream = torch.randn_like(output)
    found = torch.autograd.grad(output, (layer.weight_target, layer.bias_target), upstream)
    torch.testing.assert_close(found, torch.autograd.grad(expected, (weight, bias), upstream), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["layer", "group"])
def test_ac_corr_is_the_sum_of_the_dense_correlation(kind: str) -> None:
    _, layer = drifted(LAYERS[kind][0](), seed=3)
    parts = (layer.weight, layer.bias, layer.weight_target.detach(), layer.bias_target.detach())
    overlap = affine_overlap(*parts, eps=layer.eps, temperature=layer.temperature)
    assert overlap.total == pytest.approx(float(dense(layer).sum()), abs=1e-12)
    assert overlap.own == pytest.approx(float(dense(layer).trace()), abs=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_reverting_gives_the_plain_layer_with_the_recalibrated_affines(kind: str) -> None:
    make, shape = LAYERS[kind]
    plain, layer = drifted(make(), seed=1)
    model = nn.Sequential(layer, nn.Identity()).eval()
    back = revert_ac_norm(model)
    assert type(back[0]) is type(plain)
    assert back.state_dict().keys() == nn.Sequential(plain).state_dict().keys()
    input = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(back(input), model(input), rtol=0, atol=1e-12)


def test_a_plain_state_dict_loads_and_targets_start_as_the_source() -> None:
    plain, _ = drifted(nn.LayerNorm(6), seed=2)
    layer = convert_ac_norm(nn.LayerNorm(6).double())
    layer.load_state_dict(plain.state_dict())
    assert torch.equal(layer.weight_target, plain.weight)
    assert torch.equal(layer.bias, plain.bias)


def test_timms_variants_keep_their_axes_and_activation(timm: ModuleType) -> None:
    layers = timm.layers
    for make, shape, axis in (
        (lambda: layers.LayerNorm(6), (2, 5, 6), -1),
        (lambda: layers.LayerNorm2d(6), (2, 6, 4, 3), 1),
        (lambda: layers.GroupNorm1(6), (2, 6, 4, 3), 1),
        (lambda: layers.GroupNormAct(6, 2, act_layer=nn.SiLU), (2, 6, 4, 3), 1),
        (lambda: layers.LayerNormAct(6, act_layer=nn.SiLU), (2, 5, 6), -1),
    ):
        plain, layer = drifted(make(), seed=4)
        assert layer.channel_axis == axis
        input = torch.randn(shape, dtype=torch.float64)
        layer.weight_target.data, layer.bias_target.data = layer.weight.clone(), layer.bias.clone()
        matrix = dense(layer)
        parts = {"weight": plain.weight + matrix @ plain.weight, "bias": plain.bias + matrix @ plain.bias}
        torch.testing.assert_close(layer(input), torch.func.functional_call(plain, parts, (input,)), rtol=0, atol=1e-11)


def test_held_affines_give_the_same_output_and_gradients() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(96, 6), nn.LayerNorm(6)
    ).double()
    for part in model.parameters():
        torch.nn.init.normal_(part)
    model = convert_ac_norm(model)
    layers = [model[1], model[2], model[5]]
    targets = [part for layer in layers for part in (layer.weight_target, layer.bias_target)]
    input = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    expected_output = copy.deepcopy(model)(input)
    expected = torch.autograd.grad(model(input).square().sum(), targets)
    with hold_recalibrated(layers) as held:
        output = model(input)
        flat = torch.autograd.grad(output.square().sum(), [part for leaves in held.leaves for part in leaves])
        found = held.at_targets(list(zip(flat[::2], flat[1::2], strict=True)))
    torch.testing.assert_close(output, expected_output, rtol=0, atol=0)
    torch.testing.assert_close([part for pair in found for part in pair], list(expected), rtol=0, atol=0)
    assert all(layer.held is None for layer in layers)
