"""What a network's input must look like: from the manifest, else from the checkpoint, else assumed and noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acrank.errors import CandidateError
from acrank.system.network_input import NetworkInput
from acrank.zoo.schema import ManifestInput

_CUBE = 64
#: Of images that are not scaled to [0, 1]; no std of scaled images is above the widest.
_TOP, _WIDEST = 255.0, 10.0
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def resolve_input(
    given: ManifestInput,
    channels: int,
    *,
    cfg: Mapping[str, Any] | None = None,
    own_cfg: bool = False,
    axes: int = 2,
) -> tuple[NetworkInput, list[str]]:
    """The network's input, and a note on what was assumed.

    The manifest's values come first, then those of timm's `cfg`, then 224 pixels with ImageNet's statistics.

    Args:
        given: the manifest's values.
        channels: of the network's first layer.
        cfg: timm's configuration, None for a network that timm does not know.
        own_cfg: whether `cfg` belongs to this checkpoint; otherwise using it is an assumption, and noted.
        axes: 3 for a network that takes volumes, which gets 64 voxels a side where no size is given.

    Raises:
        CandidateError: values or sizes of another number than the network's channels or axes, or mean and std of two
            ranges.

    Example:
        >>> found, notes = resolve_input(ManifestInput(size=(32, 32)), 1)
        >>> found.mean, found.std, notes
        ((0.5,), (0.5,), ['assumed input: mean 0.5, std 0.5'])
    """
    mean, std, units = _in_unit_range(given.mean, given.std)
    known: dict[str, Any] = {
        "size": _for_axes(given.size, axes),
        "mean": mean and _per_channel("mean", mean, channels),
        "std": std and _per_channel("std", std, channels),
    }
    assumed = _assumed(channels, cfg, axes)
    lacking = [name for name, value in known.items() if value is None]
    notes = ["assumed input: " + ", ".join(f"{name} {_text(assumed[name])}" for name in lacking)]
    found = assumed | {name: value for name, value in known.items() if value is not None}
    network_input = NetworkInput(channels=channels, order=given.order or "rgb", **found)
    return network_input, [*units, *(notes if lacking and not own_cfg else [])]


def _in_unit_range(
    mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, list[str]]:
    """Mean and std of images scaled to [0, 1]; those of images from 0 to 255 are divided, with a note.

    A mean above 1, or a std above 10, can be of such images only.

    Raises:
        CandidateError: they are of neither, or of one each.
    """
    if max(mean or (0,)) <= 1 and max(std or (0,)) <= _WIDEST:
        return mean, std, []
    is_whole = mean is None or max(mean) > 1 or set(mean) == {0}
    if not is_whole or max(mean or (0,)) > _TOP or max(std or (1,)) > _TOP or min(std or (1,)) < 1:
        raise CandidateError(
            f"input.mean {list(mean or ())} and input.std {list(std or ())} are not of one range",
            hint="give both for images scaled to [0, 1], or both for 0 to 255",
        )
    found = [values and tuple(round(value / _TOP, 6) for value in values) for values in (mean, std)]
    return found[0], found[1], ["input.mean and input.std are of images from 0 to 255: divided by 255"]


def _for_axes(size: tuple[int, ...] | None, axes: int) -> tuple[int, ...] | None:
    """The manifest's size for as many axes as the network has: a square stands for a cube."""
    if size is None or len(size) == axes:
        return size
    if axes == 3 and size[0] == size[1]:
        return (size[0],) * 3
    raise CandidateError(f"input.size {list(size)} has {len(size)} axes, the network {axes}", hint="give one per axis")


def _per_channel(name: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        text = f"input.{name} has {len(values)} values, the network takes {channels} channels"
        raise CandidateError(text, hint="give one value per channel, or one for all")
    return values


def _assumed(channels: int, cfg: Mapping[str, Any] | None, axes: int) -> dict[str, Any]:
    """Size, mean and std where the manifest has none."""
    if axes == 3 or (cfg is None and channels != 3):
        half = (0.5,) * channels
        return {"size": (_CUBE,) * 3 if axes == 3 else (224, 224), "mean": half, "std": half}
    cfg = cfg or {}
    return {
        "size": tuple(int(side) for side in (cfg.get("input_size") or (3, 224, 224))[1:]),
        "mean": _spread(cfg.get("mean") or _IMAGENET_MEAN, channels),
        "std": _spread(cfg.get("std") or _IMAGENET_STD, channels),
    }


def _spread(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Values for other channels than the checkpoint's: their average for one, repeated for more, as its weights are."""
    if channels == 1:
        return (round(sum(values) / len(values), 6),)
    return tuple(float(values[i % len(values)]) for i in range(channels))


def _text(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else " ".join(map(str, values))
