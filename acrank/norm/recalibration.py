"""The affine parameters of an AC-Norm layer, recalibrated by their correlation with the source's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from acrank.norm.bias import normalised_bias
from acrank.norm.correlation import Correlation
from acrank.norm.scan import Floats


class RecalibratedAffines(nn.Module):
    """Base of all AC-Norm layers: the affine parameters of the source, those of the target, and their recalibration.

    Attributes:
        num_features: C.
        eps: in y = b / (|g| + eps).
        temperature: T of the correlation.
        weight, bias: of the source, [C], constant.
        weight_target, bias_target: trained, [C]; they start as the source's.
        held: affines that act on the normalised input in place of `recalibrated()`; None but for `hold_recalibrated`.
        channel_axis: of the layer's output.

    Raises:
        ValueError: temperature is not positive.
    """

    weight: Tensor
    bias: Tensor
    held: tuple[Tensor, Tensor] | None = None
    channel_axis = 1

    def __init__(
        self,
        num_features: int,
        eps: float,
        *,
        temperature: float,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, not {temperature}")
        self.num_features = num_features
        self.eps = eps
        self.temperature = temperature
        self.register_buffer("weight", torch.ones(num_features, device=device, dtype=dtype))
        self.register_buffer("bias", torch.zeros(num_features, device=device, dtype=dtype))
        self.weight_target = nn.Parameter(torch.ones(num_features, device=device, dtype=dtype))
        self.bias_target = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype))

    def recalibrated(self) -> tuple[Tensor, Tensor]:
        """The affines that act on the normalised input: g_t + C g_t and b_t + C b_t, each [C]."""
        if self.held is not None:
            return self.held
        affines = (self.weight, self.bias, self.weight_target, self.bias_target)
        recalibrate: Any = _Recalibrate.apply
        if torch.compiler.is_dynamo_compiling():  # torch.compile would translate numpy's part: it runs as it is
            disable: Any = torch.compiler.disable
            recalibrate = disable(recalibrate)
        weight, bias = recalibrate(*affines, self.eps, self.temperature)
        return weight, bias

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """A plain normalisation has no target: it starts as the source."""
        if not any(f"{prefix}{name}_target" in state_dict for name in ("weight", "bias")):
            found = {name: state_dict[prefix + name] for name in ("weight", "bias") if prefix + name in state_dict}
            # Copies: under load_state_dict(assign=True), training the target would move the source too.
            state_dict.update({f"{prefix}{name}_target": value.clone() for name, value in found.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)


@contextmanager
def hold_recalibrated(layers: Sequence[RecalibratedAffines]) -> Iterator[HeldAffines]:
    """Inside this context each layer acts with the same recalibrated affines, computed once.

    Several passes under the same affines then pay for one correlation.
    """
    held = HeldAffines(layers)
    try:
        for layer, leaves in zip(layers, held.leaves, strict=True):
            layer.held = leaves
        yield held
    finally:
        for layer in layers:
            layer.held = None


class HeldAffines:
    """The recalibrated affines of some layers.

    Attributes:
        leaves: (weight, bias) of each layer, each [C], which take gradients.
    """

    def __init__(self, layers: Sequence[RecalibratedAffines]) -> None:
        self._layers = layers
        self._outputs = [layer.recalibrated() for layer in layers]
        self.leaves = [(w.detach().requires_grad_(), b.detach().requires_grad_()) for w, b in self._outputs]

    def at_targets(self, grads: Sequence[tuple[Tensor, Tensor] | None]) -> list[tuple[Tensor, Tensor] | None]:
        """Gradients at the target affines of each layer from those at its leaves; None where there are none."""
        found: list[tuple[Tensor, Tensor] | None] = []
        for layer, outputs, grad in zip(self._layers, self._outputs, grads, strict=True):
            if grad is None:
                found.append(None)
                continue
            weight, bias = torch.autograd.grad(
                outputs, (layer.weight_target, layer.bias_target), grad, retain_graph=True
            )
            found.append((weight, bias))
        return found


class _Recalibrate(torch.autograd.Function):
    """(g, b) -> (g + C g, b + C b), C taken as constant: gradients reach g directly and through C^T."""

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite spreads without a warning, as everywhere in torch
    def forward(
        ctx: Any,
        source_weight: Tensor,
        source_bias: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: float,
        temperature: float,
    ) -> tuple[Tensor, ...]:
        affines = _to_array(source_weight, weight, source_bias, bias)
        source, target = normalised_bias(affines[:2], affines[2:], eps)
        ctx.matrix = Correlation(source, target, temperature=temperature)
        return _to_tensors(affines[1::2] + ctx.matrix.apply(affines[1::2]), weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    @np.errstate(all="ignore")
    def backward(ctx: Any, weight_grad: Tensor, bias_grad: Tensor) -> tuple[Tensor | None, ...]:
        upstream = _to_array(weight_grad, bias_grad)
        grads = _to_tensors(upstream + ctx.matrix.transpose(upstream), weight_grad)
        return None, None, *grads, None, None


def _to_array(*vectors: Tensor) -> Floats:
    """Vectors [C] of one device as the rows of a float64 array: one move, and float64 after it, which MPS has not."""
    rows: Floats = torch.stack(vectors).cpu().double().numpy()
    return rows


def _to_tensors(rows: Floats, like: Tensor) -> tuple[Tensor, ...]:
    """The way back: the rows as tensors of the dtype and device of `like`, one move too."""
    return torch.from_numpy(rows).to(like.dtype).to(like.device).unbind()
