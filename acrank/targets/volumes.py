"""Volumes and their masks as NIfTI files: orientation, parts read without the rest, intensities into [0, 1]."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from acrank.errors import MissingExtraError, TargetError, UsageError
from acrank.targets.base import IGNORED, listing
from acrank.targets.images import FileStore

SUFFIXES = (".nii.gz", ".nii")
#: What CT in Hounsfield units is cut to, unless the user says otherwise.
CT_WINDOW = (-1000.0, 1000.0)
_TAILS = (0.5, 99.5)
_DEVIATIONS = 3.0
_LOOKED_AT = 10**6
_WINDOW = re.compile(r"window:(?P<low>-?\d+(?:\.\d+)?),(?P<high>-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Intensity:
    """How a channel's values become [0, 1].

    Attributes:
        rule: "window" (low to high), "percentile" (the volume's 0.5th to 99.5th) or "zscore" (three deviations around
            the volume's mean).
        low, high: of the window.
    """

    rule: str
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        return f"window {self.low:g} to {self.high:g}" if self.rule == "window" else self.rule


def intensity_named(text: str | None, channel: str) -> Intensity:
    """The rule that the user gives; without one, a window for a channel called CT, percentiles for any other.

    Raises:
        UsageError: no such rule.

    Example:
        >>> str(intensity_named(None, "CT")), str(intensity_named(None, "T2"))
        ('window -1000 to 1000', 'percentile')
        >>> str(intensity_named("window:-160,240", "CT"))
        'window -160 to 240'
    """
    if text is None:
        return Intensity("window", *CT_WINDOW) if channel.strip().upper() == "CT" else Intensity("percentile")
    if text in ("percentile", "zscore"):
        return Intensity(text)
    found = _WINDOW.fullmatch(text)
    if found is None or float(found["low"]) >= float(found["high"]):
        raise UsageError(
            f"no intensity rule {text!r}", hint="percentile, zscore, or window:LOW,HIGH such as window:-160,240"
        )
    return Intensity("window", float(found["low"]), float(found["high"]))


@dataclass(frozen=True)
class VolumeStore:
    """Volumes with masks, one file per channel (or one of four dimensions), in RAS+ orientation.

    Attributes:
        root: what the paths start from.
        channels: per volume, the files of its channels.
        masks: per volume, the file of its mask.
        values: a mask's value of every class, in the order of the classes.
        rules: how each channel's values become [0, 1].
    """

    root: Path
    channels: tuple[tuple[str, ...], ...]
    masks: tuple[str, ...]
    values: tuple[int, ...]
    rules: tuple[Intensity, ...] = field(default=())

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """One volume, float32 [C, X, Y, Z] in [0, 1]."""
        return self.crop(index, tuple(slice(0, size) for size in self.shape(index)))

    def raw(self, index: int) -> bytes:
        """The bytes of the volume's files."""
        return b"".join(FileStore(self.root, self.channels[index]).raw(i) for i in range(len(self.channels[index])))

    def raw_mask(self, index: int) -> bytes:
        """The bytes of the mask's file."""
        return FileStore(self.root, self.masks).raw(index)

    def shape(self, index: int) -> tuple[int, ...]:
        """Spatial sizes of one volume, from its header."""
        return opened(self.root / self.channels[index][0]).shape

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one volume, float32 [C, ...] in [0, 1]; of uncompressed files no more than it is read.

        Raises:
            TargetError: a file cannot be read, or volume and mask differ in size.
        """
        paths = [self.root / name for name in self.channels[index]]
        sizes = [(path, opened(path).shape) for path in [*paths, self.root / self.masks[index]]]
        if len({size for _, size in sizes}) > 1:
            told = ", ".join(f"{path} {size}" for path, size in sizes)
            raise TargetError(f"{told}: sizes differ", hint="a volume's channels and its mask must lie on one grid")
        parts = [part for path in paths for part in opened(path).parts(where)]
        if len(parts) != len(self.rules):
            raise TargetError(
                f"{paths[0]} has {len(parts)} channels instead of {len(self.rules)}", hint="check the files"
            )
        limits = [limit for path in paths for limit in self._limits(path)]
        scaled = [_unit(part, *limit) for part, limit in zip(parts, limits, strict=True)]
        return np.stack(scaled), None

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [X, Y, Z]: places in `values`, or IGNORED where the value is no class.

        Raises:
            TargetError: the file cannot be read, or no position has a known class.
        """
        path = self.root / self.masks[index]
        volume = opened(path)
        (raw,) = volume.parts(tuple(slice(0, size) for size in volume.shape))
        coded = np.full(raw.shape, IGNORED, dtype=np.int16)
        for place, value in enumerate(self.values):
            coded[raw == value] = place
        if (coded == IGNORED).all():
            found = listing([f"{value:g}" for value in np.unique(raw)])
            raise TargetError(f"{path} holds {found}, none of the classes", hint="check `labels` in dataset.json")
        return coded

    def _limits(self, path: Path) -> list[tuple[float, float]]:
        volume = opened(path)
        first = 0 if volume.count > 1 else [self.root / name for name in self.channels_of(path)].index(path)
        rules = self.rules[first : first + volume.count]
        return [_limits_of(path, _stamp(path), number, rule) for number, rule in enumerate(rules)]

    def channels_of(self, path: Path) -> tuple[str, ...]:
        """The files of the volume that a file belongs to."""
        name = path.relative_to(self.root).as_posix()
        return next(names for names in self.channels if name in names)


class Volume:
    """A NIfTI file turned to RAS+: shape and spacing from the header, values when asked for.

    Attributes:
        shape: spatial sizes.
        spacing: millimetres between positions, along each axis.
        count: channels.
    """

    def __init__(self, path: Path) -> None:
        nibabel = import_nibabel()
        try:
            self._image: Any = nibabel.load(path)
            turn = nibabel.orientations.io_orientation(self._image.affine)
        except Exception as error:  # damaged files make it raise nearly anything
            raise TargetError(
                f"cannot read {path} as NIfTI: {error}", hint="write it again, or leave it out"
            ) from error
        stored = self._image.shape
        if len(stored) not in (3, 4) or np.isnan(turn).any():
            raise TargetError(
                f"{path} has shape {stored}", hint="volumes must have three axes, or a fourth of channels"
            )
        self.path = path
        self._axes = [
            int(np.flatnonzero(turn[:, 0] == axis)[0]) for axis in range(3)
        ]  # the stored axis of each of ours
        self._flipped = [turn[axis, 1] < 0 for axis in self._axes]
        self._stored = stored
        self.shape: tuple[int, ...] = tuple(stored[axis] for axis in self._axes)
        self.spacing = tuple(float(self._image.header.get_zooms()[axis]) for axis in self._axes)
        self.count = stored[3] if len(stored) == 4 else 1

    def parts(self, where: tuple[slice, ...]) -> list[np.ndarray]:
        """Each channel's values, float32, in a part given by slices with start and stop.

        Raises:
            TargetError: the file is damaged, or values are not finite.
        """
        wanted = [slice(0, 0)] * 3
        for own, (axis, flipped) in enumerate(zip(self._axes, self._flipped, strict=True)):
            size, part = self.shape[own], where[own]
            wanted[axis] = slice(size - part.stop, size - part.start) if flipped else slice(part.start, part.stop)
        try:
            values = np.asarray(self._image.dataobj[tuple(wanted)], dtype=np.float32)
        except Exception as error:  # as above
            raise TargetError(f"cannot read {self.path}: {error}", hint="the file is damaged") from error
        turned = values.transpose(*self._axes, *range(3, values.ndim))
        flips = tuple(slice(None, None, -1) if flipped else slice(None) for flipped in self._flipped)
        turned = turned[flips]
        if not np.isfinite(turned).all():
            raise TargetError(f"{self.path} holds values that are not finite", hint="replace NaN in the file")
        return [turned] if values.ndim == 3 else [turned[..., number] for number in range(values.shape[3])]


def opened(path: Path) -> Volume:
    """A file's header, read once for as long as the file does not change.

    Raises:
        TargetError: it cannot be read.
    """
    return _opened(path, _stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
    return about.st_size, about.st_mtime_ns


@lru_cache(maxsize=256)
def _opened(path: Path, _: tuple[int, int]) -> Volume:
    return Volume(path)


def import_nibabel() -> ModuleType:
    """The nibabel module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import nibabel
    except ImportError as error:
        raise MissingExtraError("NIfTI volumes need nibabel", hint="pip install 'acrank[volumes]'") from error
    return nibabel


@lru_cache(maxsize=1024)
def _limits_of(path: Path, _: tuple[int, int], channel: int, rule: Intensity) -> tuple[float, float]:
    """What becomes 0 and what becomes 1."""
    if rule.rule == "window":
        return rule.low, rule.high
    volume = opened(path)
    values = volume.parts(tuple(slice(0, size) for size in volume.shape))[channel].reshape(-1)
    values = values[:: max(1, len(values) // _LOOKED_AT)]
    if rule.rule == "percentile":
        low, high = np.percentile(values, _TAILS)
        return float(low), float(high)
    mean, reach = float(values.mean(dtype=np.float64)), _DEVIATIONS * float(values.std(dtype=np.float64))
    return mean - reach, mean + reach


def _unit(values: np.ndarray, low: float, high: float) -> np.ndarray:
    width = high - low if high > low else 1.0
    return np.clip((values - np.float32(low)) / np.float32(width), 0.0, 1.0).astype(np.float32)
