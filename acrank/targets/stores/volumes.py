"""Volumes as NIfTI files, with masks or without: their channels, intensities and spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.images import FileStore
from acrank.targets.stores.intensity import Intensity, intensity_named, unit
from acrank.targets.stores.nifti import SUFFIXES, opened, stamp, whole
from acrank.targets.target import IGNORED, ImageStore, Options, Spacing, listing

_TOLD = 16


@dataclass(frozen=True)
class VolumeStore:
    """Volumes, one file per channel (or one of four dimensions), in RAS+ orientation.

    Attributes:
        root: what the paths start from.
        channels: per volume, the files of its channels.
        rules: how each channel's values become [0, 1].
        spacing: millimetres between positions, to which volumes are resampled when read; None leaves them.
        slice_axis: the spatial axis on which axial slices follow each other.
    """

    root: Path
    channels: tuple[tuple[str, ...], ...]
    rules: tuple[Intensity, ...]
    spacing: Spacing | None = None
    slice_axis: ClassVar[int] = 2

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """One volume, float32 [C, X, Y, Z] in [0, 1]."""
        return self.crop(index, whole(self.shape(index)))

    def raw(self, index: int) -> bytes:
        """The bytes of the volume's files."""
        return b"".join(FileStore(self.root, self.channels[index]).raw(i) for i in range(len(self.channels[index])))

    def shape(self, index: int) -> tuple[int, ...]:
        """Spatial sizes of one volume at the spacing wanted, from its header."""
        return opened(self.root / self.channels[index][0]).shape_at(self.spacing)

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one volume, float32 [C, ...] in [0, 1]; of uncompressed files no more than it is read.

        Raises:
            TargetError: a file cannot be read, or files of one volume differ in size.
        """
        paths = [self.root / name for name in self.channels[index]]
        self._refuse_sizes(paths)
        shape = self.shape(index)
        counts = [opened(path).count for path in paths]
        if sum(counts) != len(self.rules):
            raise TargetError(
                f"{paths[0]} has {sum(counts)} channels instead of {len(self.rules)}", hint="check the files"
            )
        scaled: list[np.ndarray] = []
        for path, count in zip(paths, counts, strict=True):
            rules = self.rules[len(scaled) : len(scaled) + count]
            limits = [_limits_of(path, stamp(path), number, rule) for number, rule in enumerate(rules)]
            parts = opened(path).parts(where, shape=shape)
            scaled += [unit(part, *limit) for part, limit in zip(parts, limits, strict=True)]
        return np.stack(scaled), None

    def about(self, names: Sequence[str]) -> list[str]:
        """For the reader of the results: intensities by the names of the channels, and the first volumes' spacing."""
        told = [f"{name}: {rule}" for name, rule in zip(names, self.rules, strict=True)]
        shown = {_by(opened(self.root / files[0]).spacing) for files in self.channels[:_TOLD]}
        then = f"resampled to {_by(self.spacing)} mm" if self.spacing else "not resampled"
        return [f"intensities: {', '.join(told)}", f"spacing {listing(sorted(shown), 3)} mm, {then}"]

    @property
    def reading(self) -> str:
        """What the values depend on beside the files, for the target's fingerprint."""
        rules = ", ".join(map(str, self.rules))
        return f"{rules}; spacing {_by(self.spacing)}" if self.spacing else rules

    def _refuse_sizes(self, paths: Sequence[Path]) -> None:
        sizes = [(path, opened(path).shape) for path in paths]
        if len({size for _, size in sizes}) > 1:
            told = ", ".join(f"{path} {size}" for path, size in sizes)
            raise TargetError(f"{told}: sizes differ", hint="a volume's channels and its mask must lie on one grid")


@dataclass(frozen=True)
class MaskedVolumeStore(VolumeStore):
    """Volumes with a mask each.

    Attributes:
        masks: per volume, the file of its mask.
        values: a mask's value of every class, in the order of the classes.
    """

    masks: tuple[str, ...] = ()
    values: tuple[int, ...] = ()

    def raw_mask(self, index: int) -> bytes:
        """The bytes of the mask's file."""
        return FileStore(self.root, self.masks).raw(index)

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [X, Y, Z]: places in `values`, or IGNORED where the value is no class.

        Raises:
            TargetError: the file cannot be read, differs in size from its volume, or has no position of a known class.
        """
        path = self.root / self.masks[index]
        self._refuse_sizes([self.root / self.channels[index][0], path])
        shape = self.shape(index)
        (raw,) = opened(path).parts(whole(shape), shape=shape, order=0)
        coded = np.full(raw.shape, IGNORED, dtype=np.int16)
        for place, value in enumerate(self.values):
            coded[raw == value] = place
        if (coded == IGNORED).all():
            found = listing([f"{value:g}" for value in np.unique(raw)])
            raise TargetError(f"{path} holds {found}, none of the classes", hint="check `labels` in dataset.json")
        return coded


@dataclass(frozen=True)
class Stored:
    """Where the files of a target lie, and what a `Target` says of them."""

    store: ImageStore
    axes: int = 2
    reading: str = ""
    notes: tuple[str, ...] = ()


def files_stored(root: Path, paths: tuple[str, ...], options: Options) -> Stored:
    """Image files, or NIfTI files as volumes (a fourth axis is of channels).

    Raises:
        TargetError: files of both kinds, or the first volumes cannot be read.
        UsageError: no such intensity rule.
    """
    volumes = [path for path in paths if is_volume(path)]
    if not volumes:
        return Stored(FileStore(root, paths))
    if len(volumes) < len(paths):
        other = next(path for path in paths if not is_volume(path))
        raise TargetError(f"{root} holds volumes and images: {volumes[0]}, {other}", hint="keep one kind of file")
    count = opened(root / paths[0]).count
    rules = (intensity_named(options.intensity, "unknown"),) * count
    store = VolumeStore(root, tuple((path,) for path in paths), rules, options.spacing)
    names = [f"channel {number}" for number in range(count)] if count > 1 else ["volumes"]
    return Stored(store, 3, store.reading, tuple(store.about(names)))


def is_volume(name: str) -> bool:
    """Whether a file is called as NIfTI files are.

    >>> is_volume("a/scan.NII.gz"), is_volume("notes.gz")
    (True, False)
    """
    return name.lower().endswith(SUFFIXES)


def _by(steps: Sequence[float]) -> str:
    return " × ".join(f"{step:.3g}" for step in steps)


@lru_cache(maxsize=1024)
def _limits_of(path: Path, _: tuple[int, int], channel: int, rule: Intensity) -> tuple[float, float]:
    """What becomes 0 and what becomes 1; a window needs no look at the values."""
    if rule.rule == "window":
        return rule.low, rule.high
    volume = opened(path)
    return rule.limits(volume.parts(whole(volume.shape))[channel])
