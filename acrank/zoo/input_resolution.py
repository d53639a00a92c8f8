"""What a network's input must look like: from the manifest, else from the checkpoint, else assumed and noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acrank.errors import CandidateError
from acrank.system.network_input import NetworkInput
from acrank.zoo.schema import ManifestInput

_CUBE = 64
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
        CandidateError: the number of values per channel or of sizes does not fit the network.

    Example:
        >>> resolve_input(ManifestInput(size=(32, 32)), 1)
        (NetworkInput(size=(32, 32), channels=1, mean=(0.5,), std=(0.5,)), ['assumed input: mean 0.5, std 0.5'])
    """
    known: dict[str, Any] = {
        "size": _for_axes(given.size, axes),
        "mean": given.mean and _per_channel("mean", given.mean, channels),
        "std": given.std and _per_channel("std", given.std, channels),
    }
    assumed = _assumed(channels, cfg, axes)
    lacking = [name for name, value in known.items() if value is None]
    notes = ["assumed input: " + ", ".join(f"{name} {_text(assumed[name])}" for name in lacking)]
    found = assumed | {name: value for name, value in known.items() if value is not None}
    return NetworkInput(channels=channels, **found), notes if lacking and not own_cfg else []


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
