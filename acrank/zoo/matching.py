"""Matching a file's tensors with a network's, and refusing networks that would stay random."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.tensor_names import likely_prefix

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.RMSNorm)
_COUNTER = "num_batches_tracked"  # changes no output of a network in eval mode


@dataclass(frozen=True)
class Fit:
    """How a file's tensors match a network's, by name, shape and kind of number.

    Attributes:
        matched: names of the network that the file fills.
        missing: names of the network that the file does not fill, but for counters.
        left_over: names of the file that the network does not have, or in another shape.
        clashes: what differs, for the missing names that the file has, too.
        share: matched share of the backbone's parameters, by number of elements, in [0, 1].
        lost_norms: names in `missing` that belong to the backbone's normalisation layers.
    """

    matched: list[str]
    missing: list[str]
    left_over: list[str]
    clashes: dict[str, str]
    share: float
    lost_norms: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether the file fills every tensor."""
        return not self.missing


def fit(model: nn.Module, tensors: Mapping[str, Tensor], heads: Iterable[str] = ()) -> Fit:
    """Compare a file's tensors with a network's; nothing is changed.

    A tensor that the network has under several names is filled by any of them.

    Args:
        model: the network.
        tensors: of the file, under the network's names.
        heads: names of the modules that are no part of the backbone.
    """
    own = _tensors(model)
    matched = [name for name, value in tensors.items() if name in own and _clash(value, own[name]) is None]
    filled = {id(own[name]) for name in matched}
    missing = [name for name, value in own.items() if id(value) not in filled and not name.endswith(_COUNTER)]
    clashes = {name: _clash(tensors[name], own[name]) or "" for name in missing if name in tensors}
    left_over = [name for name in tensors if name not in set(matched)]
    norms = _norm_names(model)
    lost = [name for name in missing if name in norms and not _under(name, heads)]
    backbone = [value for name, value in model.named_parameters() if not _under(name, heads)]
    total = sum(value.numel() for value in backbone)
    return Fit(
        matched=matched,
        missing=missing,
        left_over=left_over,
        clashes=clashes,
        share=sum(value.numel() for value in backbone if id(value) in filled) / total if total else 0.0,
        lost_norms=lost,
    )


def check_fit(model: nn.Module, tensors: Mapping[str, Tensor], found: Fit, *, min_match: float) -> None:
    """Refuse a network that the file does not really fill.

    Raises:
        CandidateError: the file fills less than `min_match` of the backbone, a tensor of a normalisation layer is
            missing, or a weight is not finite.
    """
    counts = f"{len(found.matched)} tensors matched, {len(found.missing)} missing, {len(found.left_over)} left over"
    if found.share < min_match:
        text = f"the file fills {found.share:.1%} of the backbone's parameters, below min_match {min_match:.0%}"
        raise CandidateError(f"{text} ({counts}); missing: {_some(found.missing, found)}", hint=_hint(model, tensors))
    if found.lost_norms:
        text = f"{len(found.lost_norms)} tensors of normalisation layers are missing ({counts})"
        raise CandidateError(f"{text}: {_some(found.lost_norms, found)}", hint=_hint(model, tensors))
    for name in found.matched:
        if tensors[name].is_floating_point() and not _is_finite(tensors[name]):
            raise CandidateError(f"the tensor {name!r} has values that are not finite", hint="use another checkpoint")


def fill(model: nn.Module, tensors: Mapping[str, Tensor], found: Fit) -> None:
    """Copy the matched tensors into the network.

    Raises:
        CandidateError: the network refuses them.
    """
    try:
        model.load_state_dict({name: tensors[name] for name in found.matched}, strict=False)
    except RuntimeError as error:
        raise CandidateError(f"the network refuses the tensors: {error}") from error


def adapt_channels(weight: Tensor, channels: int, base: int) -> Tensor:
    """A first convolution's weight [out, base, ...] for `channels` channels, with responses of the same scale.

    One channel gets the sum over the old ones; more are the old ones repeated, times base / channels.

    Raises:
        CandidateError: the weight has another shape.
    """
    if base != 3 or weight.ndim != 4:
        return _repeated(weight, channels, base)
    try:
        adapted: Tensor = import_timm().models.adapt_input_conv(channels, weight)
    except (NotImplementedError, AssertionError) as error:
        text = f"its first layer {tuple(weight.shape)} cannot be adapted to {channels} channels"
        raise CandidateError(text, hint=f"leave out in_chans: images are converted to {base} channels") from error
    return adapted


def has_untouched_statistics(model: nn.Module) -> bool:
    """Whether the network has running statistics, all as initialised: mean 0, variance 1."""
    layers: list[Any] = [m for m in model.modules() if isinstance(getattr(m, "running_mean", None), Tensor)]
    return bool(layers) and all(bool((m.running_mean == 0).all() and (m.running_var == 1).all()) for m in layers)


def _is_finite(values: Tensor) -> bool:
    """Whether all values are finite. A finite sum proves it at a fraction of the cost; one that is not may overflow."""
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def _repeated(weight: Tensor, channels: int, base: int) -> Tensor:
    if weight.ndim < 3 or weight.shape[1] != base:
        text = f"its first layer {tuple(weight.shape)} cannot be adapted from {base} to {channels} channels"
        raise CandidateError(text, hint="leave out in_chans")
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = torch.cat([weight] * math.ceil(channels / base), dim=1)
    return repeated[:, :channels] * (base / channels)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}


def _clash(found: Tensor, wanted: Tensor) -> str | None:
    if found.shape != wanted.shape:
        return f"file {tuple(found.shape)}, network {tuple(wanted.shape)}"
    if found.is_floating_point() != wanted.is_floating_point():
        return f"file {found.dtype}, network {wanted.dtype}"
    return None


def _norm_names(model: nn.Module) -> set[str]:
    names = set()
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, _NORMS) or ("norm" in type(module).__name__.lower() and not list(module.children())):
            parts = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            names |= {f"{name}.{part}" if name else part for part, _ in parts}
    return names


def _under(name: str, heads: Iterable[str]) -> bool:
    return any(name == head or name.startswith(f"{head}.") for head in heads)


def _some(names: list[str], found: Fit) -> str:
    shown = [f"{name} ({found.clashes[name]})" if name in found.clashes else name for name in names[:5]]
    return ", ".join(shown) + (", …" if len(names) > 5 else "")


def _hint(model: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    prefix = likely_prefix(shapes, {name: tuple(value.shape) for name, value in _tensors(model).items()})
    if prefix:
        return f"its names would match with `strip_prefix: {prefix}`"
    names = ", ".join(list(tensors)[:3])
    return f"check that architecture and weights belong together: the file has names like {names}"
