"""AC-Norm over normalisations of each sample: LayerNorm, GroupNorm and InstanceNorm. An extension of the paper's."""

from __future__ import annotations

import re

from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from acrank.norm.recalibration import RecalibratedAffines

_KINDS = (nn.LayerNorm, nn.GroupNorm, _InstanceNorm)
_CHANNELS_SECOND = re.compile(r"[23]d$")


class PerSampleCoNorm(RecalibratedAffines):
    """AC-Norm in place of a normalisation that has an affine pair per channel and no batch statistics.

    The input is normalised as the layer `plain` does it, and scaled and shifted by g_t + C g_t and b_t + C b_t, as in
    `AffineCoNorm`. The paper (Zhang et al., arXiv 2307.15282) has batch normalisation only: this is the same
    recalibration for LayerNorm over one dimension, GroupNorm, InstanceNorm and timm's variants of them.

    Attributes:
        plain: the layer, without affine parameters of its own; with timm's dropout and activation where it has them.

    Args:
        plain: an affine layer; it gives up its affine parameters.
        temperature: T of the correlation, > 0.

    Shape:
        Input and output as the plain layer's; channels are the last dimension of a LayerNorm's input, else the second.

    Example:
        >>> import torch
        >>> PerSampleCoNorm(nn.GroupNorm(2, 8))(torch.randn(3, 8, 5)).shape
        torch.Size([3, 8, 5])
    """

    def __init__(self, plain: nn.Module, *, temperature: float = 1.0) -> None:
        weight, bias = plain.weight, plain.bias
        assert isinstance(weight, nn.Parameter)  # noqa: S101 - for the type checker
        assert isinstance(bias, nn.Parameter)  # noqa: S101 - for the type checker
        eps = float(getattr(plain, "eps", 1e-5))
        super().__init__(len(weight), eps, temperature=temperature, device=weight.device, dtype=weight.dtype)
        self.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
        self.weight_target.requires_grad_(weight.requires_grad)
        self.bias_target.requires_grad_(bias.requires_grad)
        plain.register_parameter("weight", None)
        plain.register_parameter("bias", None)
        self.plain = plain
        self.channel_axis = -1 if has_channels_last(plain) else 1
        self.train(plain.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input` with the recalibrated affines; same shape and dtype."""
        weight, bias = self.recalibrated()
        given = self.plain.__dict__  # not parameters: the plain layer's own code reads them as attributes
        given["weight"], given["bias"] = weight, bias
        try:
            output: Tensor = self.plain(input)
        finally:
            del given["weight"], given["bias"]
        return output

    def reverted(self) -> nn.Module:
        """The plain layer with the recalibrated affines as its own; it is taken out of this one."""
        for name, part, target in zip(
            ("weight", "bias"), self.recalibrated(), (self.weight_target, self.bias_target), strict=True
        ):
            self.plain.register_parameter(name, nn.Parameter(part.detach().clone(), requires_grad=target.requires_grad))
        return self.plain.train(self.training)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, temperature={self.temperature}"


def has_channels_last(layer: nn.Module) -> bool:
    """Whether a normalisation's channels are the last dimension of its output, as LayerNorm's are; AC-Norm's included.

    >>> has_channels_last(nn.LayerNorm(4)), has_channels_last(nn.GroupNorm(2, 4))
    (True, False)
    """
    if isinstance(layer, RecalibratedAffines):
        return layer.channel_axis == -1
    return isinstance(layer, nn.LayerNorm) and not _CHANNELS_SECOND.search(type(layer).__name__)


def reason_against(layer: nn.Module) -> str | None:
    """Why a normalisation of each sample stays as it is: empty where it does not, None where it is none.

    >>> reason_against(nn.LayerNorm((4, 4)))
    'normalises over several dimensions'
    """
    if not isinstance(layer, _KINDS):
        return None
    if isinstance(layer, nn.modules.lazy.LazyModuleMixin):
        return "not initialised yet (lazy)"
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    if weight is None and bias is None:
        return "no affine parameters"
    if not isinstance(weight, nn.Parameter) or not isinstance(bias, nn.Parameter):
        return "no bias" if bias is None else "affine parameters that are computed"
    if weight.dim() != 1:
        return "normalises over several dimensions"
    return "" if weight.requires_grad or bias.requires_grad else "frozen (requires_grad is off)"
