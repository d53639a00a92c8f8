"""Swap a network's normalisation layers for AC-Norm, and back."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from acrank.norm.layers import AffineCoNorm, AffineCoNorm1d, AffineCoNorm2d, AffineCoNorm3d, AffineCoNormAct2d
from acrank.norm.per_sample import PerSampleCoNorm, reason_against
from acrank.norm.recalibration import RecalibratedAffines

_LAYERS: dict[type[nn.Module], type[AffineCoNorm]] = {
    nn.BatchNorm1d: AffineCoNorm1d,
    nn.BatchNorm2d: AffineCoNorm2d,
    nn.BatchNorm3d: AffineCoNorm3d,
    nn.SyncBatchNorm: AffineCoNorm,
}
_PLAIN: dict[type[AffineCoNorm], type[_BatchNorm]] = {
    AffineCoNorm1d: nn.BatchNorm1d,
    AffineCoNorm2d: nn.BatchNorm2d,
    AffineCoNorm3d: nn.BatchNorm3d,
    AffineCoNorm: nn.SyncBatchNorm,
}


class ConversionWarning(UserWarning):
    """Some normalisation layers were not converted; the text names them with reasons."""


def convert_ac_norm(model: nn.Module, *, temperature: float = 1.0, inplace: bool = False) -> nn.Module:
    """A copy of `model` with AC-Norm in place of every normalisation that has an affine pair per channel.

    BatchNorm1d/2d/3d, SyncBatchNorm and timm's BatchNormAct2d (with its activation and dropout) are swapped; as an
    extension of the paper LayerNorm, GroupNorm, InstanceNorm and timm's variants of them, too. The target affines start
    as the source's. Other layers stay as they are; a ConversionWarning names the normalisations among them (see
    `left_alone`). Statistics of a converted SyncBatchNorm are each process's own.

    Args:
        model: any module; a bare normalisation layer too.
        temperature: T of the correlation.
        inplace: swap within `model` itself and return it.

    Returns:
        The converted model, in the training or eval mode that `model` was in. Its `state_dict` has the authors' keys.

    Example:
        >>> convert_ac_norm(nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)))[1]
        AffineCoNorm2d(8, eps=1e-05, momentum=0.1, temperature=1.0)
    """
    model, left = swap_in_place(model if inplace else copy.deepcopy(model), temperature=temperature)
    if left:
        warnings.warn(left, ConversionWarning, stacklevel=2)
    return model


def swap_in_place(model: nn.Module, *, temperature: float = 1.0) -> tuple[nn.Module, str]:
    """`convert_ac_norm` in place; returns the text of the warning, empty where there is none, instead of issuing it."""
    reasons = left_alone(model)
    swaps = {id(layer): _converted(layer, temperature) for layer in model.modules() if _reason(layer) == ""}
    return _swapped(model, swaps), f"left without AC-Norm: {_listed(reasons)}" if reasons else ""


def _listed(reasons: Mapping[str, str]) -> str:
    """Reasons with the layers that each holds for: the first of them by name."""
    parts = []
    for reason in dict.fromkeys(reasons.values()):
        names = [name or "the model itself" for name, one in reasons.items() if one == reason]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        parts.append(f"{', '.join(names[:3])}{more}: {reason}")
    return "; ".join(parts)


def revert_ac_norm(model: nn.Module, *, inplace: bool = False) -> nn.Module:
    """A copy of `model` with plain normalisation layers that compute the same in eval mode.

    The recalibrated affines g_t + C g_t and b_t + C b_t become the weights. In training mode the two differ: the
    correlation no longer follows the affines, and the running statistics move by `momentum` again.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(4))
        >>> type(revert_ac_norm(convert_ac_norm(model))[0]).__name__
        'BatchNorm1d'
    """
    model = model if inplace else copy.deepcopy(model)
    swaps = {id(layer): _reverted(layer) for layer in model.modules() if isinstance(layer, RecalibratedAffines)}
    return _swapped(model, swaps)


def left_alone(model: nn.Module) -> dict[str, str]:
    """Normalisation layers that `convert_ac_norm` leaves as they are: module name -> reason.

    >>> left_alone(nn.Sequential(nn.BatchNorm2d(8, affine=False)))
    {'0': 'no affine parameters'}
    """
    inner = {id(layer.plain) for layer in model.modules() if isinstance(layer, PerSampleCoNorm)}
    found = {name: _reason(layer) for name, layer in model.named_modules() if id(layer) not in inner}
    return {name: reason for name, reason in found.items() if reason}


def ac_norm_layers(model: nn.Module) -> Iterator[tuple[str, RecalibratedAffines]]:
    """Names and AC-Norm layers of a converted model, each layer once, in the order of definition."""
    return ((name, layer) for name, layer in model.named_modules() if isinstance(layer, RecalibratedAffines))


def _reason(layer: nn.Module) -> str | None:
    """Why a layer is left alone: empty where it is not, None where it is no normalisation."""
    if isinstance(layer, RecalibratedAffines):
        return None
    if not isinstance(layer, _BatchNorm):
        reason = reason_against(layer)
        return _reason_of_name(layer) if reason is None else reason
    if isinstance(layer, nn.modules.lazy.LazyModuleMixin):
        return "not initialised yet (lazy)"
    if type(layer) not in _LAYERS and not _is_timm_act(layer):
        return f"unknown kind {type(layer).__name__}"
    if not layer.affine or layer.weight is None:
        return "no affine parameters"
    if layer.bias is None:
        return "no bias"
    return "" if layer.weight.requires_grad or layer.bias.requires_grad else "frozen (requires_grad is off)"


def _reason_of_name(layer: nn.Module) -> str | None:
    """The reason for a class that is a normalisation by its name, with a scale per channel of its own."""
    name = type(layer).__name__
    if "FrozenBatchNorm" in name:
        return "frozen batch normalisation"
    has_scale = any(part.dim() == 1 for part in layer.parameters(recurse=False))
    return f"unknown kind {name}" if "Norm" in name and has_scale else None


def _is_timm_act(layer: nn.Module) -> bool:
    # By name and shape: this package needs torch alone, and timm is slow to import.
    is_named = type(layer).__name__ == "BatchNormAct2d" and type(layer).__module__.startswith("timm.")
    return is_named and isinstance(layer, nn.BatchNorm2d) and hasattr(layer, "act") and hasattr(layer, "drop")


def _converted(layer: nn.Module, temperature: float) -> RecalibratedAffines:
    if not isinstance(layer, _BatchNorm):
        return PerSampleCoNorm(layer, temperature=temperature)
    assert isinstance(layer, _BatchNorm)  # noqa: S101 - for the type checker
    kind = AffineCoNormAct2d if _is_timm_act(layer) else _LAYERS[type(layer)]
    new = kind(
        layer.num_features,
        layer.eps,
        layer.momentum,
        layer.running_mean is not None,
        temperature=temperature,
        device=layer.weight.device,
        dtype=layer.weight.dtype,
    )
    new.load_state_dict({name: value for name, value in layer.state_dict().items() if name in new.state_dict()})
    new.track_running_stats = layer.track_running_stats  # a switch of its own: statistics may be there and stand still
    new.weight_target.requires_grad_(layer.weight.requires_grad)
    new.bias_target.requires_grad_(layer.bias.requires_grad)
    if isinstance(new, AffineCoNormAct2d):
        assert isinstance(layer, nn.BatchNorm2d)  # noqa: S101 - for the type checker
        new.drop, new.act, new.plain_type = _child(layer, "drop"), _child(layer, "act"), type(layer)
    return new.train(layer.training)


def _reverted(layer: RecalibratedAffines) -> nn.Module:
    if isinstance(layer, PerSampleCoNorm):
        return layer.reverted()
    assert isinstance(layer, AffineCoNorm)  # noqa: S101 - for the type checker
    kind = layer.plain_type if isinstance(layer, AffineCoNormAct2d) else _PLAIN[type(layer)]
    track = layer.running_mean is not None
    new = kind(layer.num_features, eps=layer.eps, momentum=layer.momentum, track_running_stats=track)
    new = new.to(device=layer.weight.device, dtype=layer.weight.dtype)
    weight, bias = layer.recalibrated()
    buffers = {name: value for name, value in layer.state_dict().items() if name in dict(new.named_buffers())}
    new.load_state_dict({"weight": weight.detach(), "bias": bias.detach(), **buffers})
    new.track_running_stats = layer.track_running_stats
    new.weight.requires_grad_(layer.weight_target.requires_grad)
    new.bias.requires_grad_(layer.bias_target.requires_grad)
    if isinstance(layer, AffineCoNormAct2d):
        new.drop, new.act = layer.drop, layer.act
    return new.train(layer.training)


def _child(layer: nn.Module, name: str) -> nn.Module:
    child = getattr(layer, name)
    assert isinstance(child, nn.Module)  # noqa: S101 - for the type checker
    return child


def _swapped(model: nn.Module, swaps: Mapping[int, nn.Module]) -> nn.Module:
    """`model` with its layers exchanged; a layer that stands in several places stays one layer."""
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):  # named_children() gives a layer under one of its names only
            if id(child) in swaps:
                setattr(module, name, swaps[id(child)])
    return swaps.get(id(model), model)
