"""Affines that live on another device: a real one where there is one, and a stand-in for one without float64."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from acrank.norm import AffineCoNorm1d, affine_correlation, affine_overlap, layer_ac_corr, normalised_bias
from acrank.norm.correlation import correlation_of

DEVICES = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
REAL = [pytest.param(n, marks=pytest.mark.skipif(not there, reason=f"no {n}")) for n, there in DEVICES.items()]
NAMES = ("weight", "bias", "weight_target", "bias_target")


def affines(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    noise = torch.Generator().manual_seed(0)
    return list(torch.randn(4, 33, generator=noise).to(dtype))


def drifted() -> AffineCoNorm1d:
    layer = AffineCoNorm1d(33)
    layer.load_state_dict(dict(zip(NAMES, affines(), strict=True)), strict=False)
    return layer


@pytest.mark.parametrize("device", REAL)
def test_on_a_real_device_all_is_as_on_the_cpu(device: str) -> None:
    here, there = drifted(), drifted().to(device)
    input = torch.randn(8, 33, generator=torch.Generator().manual_seed(1))
    for layer, batch in ((here, input), (there, input.to(device))):
        layer(batch).square().sum().backward()
    for name, value in here.named_parameters():
        ours = there.get_parameter(name).grad
        assert ours is not None
        assert ours.device.type == device
        torch.testing.assert_close(ours.cpu(), value.grad, rtol=1e-4, atol=1e-4)
    moved = [part.to(device) for part in affines()]
    assert affine_overlap(*moved) == pytest.approx(affine_overlap(*affines()), abs=1e-12)
    torch.testing.assert_close(affine_correlation(*moved).cpu(), affine_correlation(*affines()), rtol=0, atol=1e-12)


class Far(Tensor):
    """A tensor that says it is on another device; the `held` one is where it can be computed with."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor, device: str) -> Far:
        far: Far = torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, device=device)
        assert held.dtype != torch.float64
        far.held = held
        return far

    @classmethod
    def __torch_dispatch__(cls, *_: Any) -> Any:
        raise AssertionError("only within `FarAway`")


class FarAway(TorchDispatchMode):
    """Computing by the rules of MPS: no float64, no change of dtype on the way; `moves` are where tensors went."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.moves: list[str] = []

    def far(self, tensor: Tensor) -> Far:
        return Far(tensor.detach(), self.device)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        goes = func is torch.ops.aten._to_copy.default and "device" in kwargs
        is_far = isinstance(args[0][0] if isinstance(args[0], list) else args[0], Far) != goes
        if goes:
            self.moves.append(str(kwargs.pop("device")))
            assert kwargs.pop("dtype", args[0].dtype) == args[0].dtype
        out = func(*tree_map_only(Far, lambda far: far.held, args), **kwargs)
        return tree_map_only(Tensor, self.far, out) if is_far else out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_there_is_no_float64_the_correlation_is_the_cpus(dtype: torch.dtype) -> None:
    near = affines(dtype)
    with FarAway("mps") as mode:
        away = [mode.far(part) for part in near]
        found = [layer_ac_corr(*away), affine_overlap(*away), correlation_of(*away).row_sums()]
        matrix, y = affine_correlation(*away), normalised_bias(*away[:2], 1e-5)
    expected = [layer_ac_corr(*near), affine_overlap(*near), correlation_of(*near).row_sums()]
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, other)
    assert torch.equal(matrix, affine_correlation(*near))
    assert torch.equal(y.held, normalised_bias(*near[:2], 1e-5))


def test_a_layer_moves_its_affines_once_each_way_and_its_gradients_too() -> None:
    layer, upstream = drifted(), torch.randn(2, 33).unbind()
    with FarAway("meta") as mode:  # a move to MPS itself is refused before the mode sees it
        parts = {name: mode.far(part) for name, part in zip(NAMES, affines(), strict=True)}
        wanted = [parts[name].requires_grad_() for name in NAMES[2:]]
        away = SimpleNamespace(eps=layer.eps, temperature=layer.temperature, held=None, **parts)
        found = AffineCoNorm1d.recalibrated(away)
        assert mode.moves == ["cpu", "meta"]
        grads = torch.autograd.grad(found, wanted, [mode.far(part) for part in upstream])
        assert mode.moves == ["cpu", "meta"] * 2
    expected = layer.recalibrated()
    expected += torch.autograd.grad(expected, list(layer.parameters()), upstream)
    for ours, other in zip((*found, *grads), expected, strict=True):
        assert isinstance(ours, Far)
        assert torch.equal(ours.held, other)
