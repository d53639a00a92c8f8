"""Matching a file's tensors with a network's, and refusing networks that would stay random."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.leftovers import unused_layers
from acrank.zoo.number_formats import is_dense, storage_form
from acrank.zoo.structure import COUNTER, backbone_shapes, is_backbone, named_tensors, norm_names, stem_of, stem_tensors
from acrank.zoo.tensor_names import likely_prefix


@dataclass(frozen=True)
class Fit:
    """How a file's tensors match a network's, by name, shape and kind of number.

    Attributes:
        matched: names of the network that the file fills.
        missing: names of the network that the file does not fill, but for counters.
        left_over: names of the file that the network does not have, or in another shape.
        clashes: what differs, for the missing names that the file has, too.
        share: matched share of the backbone's parameters, by number of elements, in [0, 1].
        lost: names in `missing` that decide what the backbone computes: its parameters, and the statistics of its
            normalisation layers.
        lost_norms: those of `lost` that belong to normalisation layers.
        unused: names in `left_over` that are layers of the same body, such as further blocks of a deeper network.
    """

    matched: list[str]
    missing: list[str]
    left_over: list[str]
    clashes: dict[str, str]
    share: float
    lost: list[str]
    lost_norms: list[str]
    unused: list[str]

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
    own = named_tensors(model)
    matched = [name for name, value in tensors.items() if name in own and _clash(value, own[name]) is None]
    filled = {id(own[name]) for name in matched}
    missing = [name for name, value in own.items() if id(value) not in filled and not name.endswith(COUNTER)]
    clashes = {name: _clash(tensors[name], own[name]) or "" for name in missing if name in tensors}
    left_over = [name for name in tensors if name not in set(matched)]
    norms = norm_names(model)
    heads = tuple(heads)
    backbone = {name: value for name, value in own.items() if is_backbone(name, value, norms=norms, heads=heads)}
    parameters = {id(value): value for value in backbone.values() if isinstance(value, nn.Parameter)}
    total = sum(value.numel() for value in parameters.values())
    lost = [name for name in missing if name in backbone]
    return Fit(
        matched=matched,
        missing=missing,
        left_over=left_over,
        clashes=clashes,
        share=sum(value.numel() for key, value in parameters.items() if key in filled) / total if total else 0.0,
        lost=lost,
        lost_norms=[name for name in lost if name in norms],
        unused=unused_layers(model, tensors, matched=matched, heads=heads),
    )


def check_fit(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    found: Fit,
    *,
    min_match: float | None = None,
    allow_unused: bool = False,
    fitting: Callable[[], str | None] = lambda: None,
) -> None:
    """Refuse a network that the file does not really fill, or that uses only a part of the file's own.

    Args:
        model: the network.
        tensors: of the file, under the network's names.
        found: their fit.
        min_match: share of the backbone that the file must fill; None for all of it. Below 1 a layer may be missing,
            but never one of the first, nor a tensor of a normalisation layer.
        allow_unused: whether layers of the file's body may be left over.
        fitting: looks for an architecture that fits, for the hint.

    Raises:
        CandidateError: a tensor of the backbone is missing or clashes, or the file has layers that the network lacks.
    """
    wrong = _missing(model, found, min_match) or ("" if allow_unused else _unused(found))
    if wrong:
        raise CandidateError(wrong, hint=_hint(model, tensors, found=found, fitting=fitting))


def _missing(model: nn.Module, found: Fit, min_match: float | None) -> str:
    """What is wrong with the backbone's missing tensors, empty where nothing is."""
    counts = f"{len(found.matched)} tensors matched, {len(found.missing)} missing, {len(found.left_over)} left over"
    share, stem = f"the file fills {found.share:.1%} of the backbone's parameters", stem_tensors(model)
    if min_match is not None and found.share < min_match:
        return f"{share}, below min_match {min_match:.0%} ({counts}); missing: {_some(found.missing, found)}"
    if found.lost != found.lost_norms and min_match is None:
        return f"{share}; {len(found.lost)} of its tensors would stay random ({counts}): {_some(found.lost, found)}"
    if found.lost_norms:
        text = f"{len(found.lost_norms)} tensors of normalisation layers are missing ({counts})"
        return f"{text}: {_some(found.lost_norms, found)}"
    if first := [name for name in found.lost if name in stem]:
        return f"the first layer {_some(first, found)} would stay random, and all behind it be meaningless ({counts})"
    return ""


def _unused(found: Fit) -> str:
    count = len(found.unused)
    text = f"{count} tensors of the file belong to layers that the network does not have: {_some(found.unused, found)}"
    return text if count else ""


def fill(model: nn.Module, tensors: Mapping[str, Tensor], found: Fit) -> None:
    """Copy the matched tensors into the network.

    Raises:
        CandidateError: the network refuses them.
    """
    values: Any = OrderedDict((name, tensors[name]) for name in found.matched)
    values._metadata = getattr(model.state_dict(), "_metadata", {})  # versions, which some networks look for
    try:
        model.load_state_dict(values, strict=False)
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


def _repeated(weight: Tensor, channels: int, base: int) -> Tensor:
    if weight.ndim < 3 or weight.shape[1] != base:
        text = f"its first layer {tuple(weight.shape)} cannot be adapted from {base} to {channels} channels"
        raise CandidateError(text, hint="leave out in_chans")
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = torch.cat([weight] * math.ceil(channels / base), dim=1)
    return repeated[:, :channels] * (base / channels)


def _clash(found: Tensor, wanted: Tensor) -> str | None:
    if found.shape != wanted.shape:
        return f"file {tuple(found.shape)}, network {tuple(wanted.shape)}"
    if not is_dense(found) or _kind(found) != _kind(wanted):
        return f"file {storage_form(found)}, network {storage_form(wanted)}"
    return None


def _kind(value: Tensor) -> tuple[bool, bool, bool]:
    """What must be equal for a copy to keep the numbers: floating-point, complex or truth values."""
    return value.is_floating_point(), value.is_complex(), value.dtype == torch.bool


def _some(names: list[str], found: Fit) -> str:
    shown = [f"{name} ({found.clashes[name]})" if name in found.clashes else name for name in names[:5]]
    return ", ".join(shown) + (", …" if len(names) > 5 else "")


def _hint(model: nn.Module, tensors: Mapping[str, Tensor], *, found: Fit, fitting: Callable[[], str | None]) -> str:
    stem = stem_of(model)
    if stem in found.clashes and found.lost == [stem]:
        text = "the file's network begins with another layer, as networks for small images do"
        return f"{text}: build it with `factory:`; everything else fits"
    if other := fitting():
        return f"the file fits `architecture: {other}`"
    wanted = backbone_shapes(model)
    prefix, count = likely_prefix({name: tuple(value.shape) for name, value in tensors.items()}, wanted)
    if prefix:
        return f"with `strip_prefix: {prefix}` {count} of the network's {len(wanted)} tensors would match"
    if found.unused and not found.lost:
        return "name the architecture that the file was made with, or give `allow_unused: true`"
    names = ", ".join(list(tensors)[:3])
    return f"check that architecture and weights belong together: the file has names like {names}"
