"""What a network's input must look like: from the manifest, else from the checkpoint, else assumed and said so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from acrank.errors import CandidateError
from acrank.zoo.schema import InputSpec

_CUBE = 64
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """Input of a network: its spatial sizes, `mean` and `std` per channel of images in [0, 1]."""

    size: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: list[str] = field(default_factory=list)


def preprocessing(
    spec: InputSpec,
    channels: int,
    *,
    cfg: Mapping[str, Any] | None = None,
    own_cfg: bool = False,
    axes: int = 2,
) -> Preprocessing:
    """The manifest's values first, then timm's `cfg`, then 224 pixels with ImageNet's statistics.

    Args:
        spec: what the manifest says.
        channels: of the network's input.
        cfg: timm's configuration, None for a network that timm does not know.
        own_cfg: whether `cfg` belongs to this very checkpoint; otherwise using it is an assumption, and noted.
        axes: 3 for a network that takes volumes: then 64 positions a side.

    Raises:
        CandidateError: as many values per channel as the network has no channels, or sizes of other axes.

    Example:
        >>> preprocessing(InputSpec(size=(32, 32)), 1)
        Preprocessing(size=(32, 32), mean=(0.5,), std=(0.5,), notes=['assumed input: mean 0.5, std 0.5'])
    """
    size, mean, std = _fallback(channels, cfg) if axes == 2 else ((_CUBE,) * 3, (0.5,) * channels, (0.5,) * channels)
    sized = _sized(spec.size, axes)
    given = {
        "size": sized,
        "mean": spec.mean and _per_channel("mean", spec.mean, channels),
        "std": spec.std and _per_channel("std", spec.std, channels),
    }
    assumed = {"size": size, "mean": mean, "std": std}
    lacking = [name for name, value in given.items() if value is None] if not own_cfg else []
    notes = ["assumed input: " + ", ".join(f"{name} {_text(assumed[name])}" for name in lacking)] if lacking else []
    return Preprocessing(sized or size, given["mean"] or mean, given["std"] or std, notes)


def _sized(size: tuple[int, ...] | None, axes: int) -> tuple[int, ...] | None:
    """The manifest's size for as many axes as the network has: a square stands for a cube."""
    if size is None or len(size) == axes:
        return size
    if axes == 3 and size[0] == size[1]:
        return (size[0],) * 3
    raise CandidateError(f"input.size {list(size)} has {len(size)} axes, the network {axes}", hint="give one per axis")


def _fallback(
    channels: int, cfg: Mapping[str, Any] | None
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]:
    if cfg is not None:
        height, width = tuple(cfg.get("input_size") or (3, 224, 224))[1:]
        mean, std = cfg.get("mean") or _IMAGENET_MEAN, cfg.get("std") or _IMAGENET_STD
        return (int(height), int(width)), _spread(mean, channels), _spread(std, channels)
    if channels == 3:
        return (224, 224), _IMAGENET_MEAN, _IMAGENET_STD
    return (224, 224), (0.5,) * channels, (0.5,) * channels


def _per_channel(name: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        text = f"input.{name} has {len(values)} values, the network takes {channels} channels"
        raise CandidateError(text, hint="give one value per channel, or one for all")
    return values


def _spread(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Values for other channels than the checkpoint's: their average for one, repeated for more, as its weights are."""
    if channels == 1:
        return (round(sum(values) / len(values), 6),)
    return tuple(float(values[i % len(values)]) for i in range(channels))


def _text(values: Sequence[float]) -> str:
    return (
        " ".join(f"{value:g}" for value in dict.fromkeys(values))
        if len(set(values)) == 1
        else " ".join(map(str, values))
    )
