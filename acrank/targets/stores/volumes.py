"""Volumes in NIfTI files, with or without masks: their channels, intensities and spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.images import FileStore, open_images
from acrank.targets.stores.intensity import Intensity, parse_intensity, rescale
from acrank.targets.stores.nifti import NIFTI_SUFFIXES, file_version, full_slices, open_volume
from acrank.targets.target import IGNORED, StoreInfo, first_few
from acrank.targets.target_options import Spacing, TargetOptions

_NOTED_SPACINGS = 16


@dataclass(frozen=True, kw_only=True)
class VolumeStore:
    """Volumes in RAS+ orientation: one file per channel, or one file with four axes.

    Attributes:
        root: the folder that the paths are relative to.
        channels: per volume, the files of its channels.
        rules: per channel, how its values are scaled to [0, 1].
        spacing: millimetres between voxels to which volumes are resampled; None keeps theirs.
        slice_axis: the spatial axis along which axial slices are stacked.
    """

    root: Path
    channels: tuple[tuple[str, ...], ...]
    rules: tuple[Intensity, ...]
    spacing: Spacing | None = None
    slice_axis: ClassVar[int] = 2

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        return self.crop(index, full_slices(self.shape(index)))

    def raw(self, index: int) -> bytes:
        files = FileStore(self.root, self.channels[index])
        return b"".join(files.raw(channel) for channel in range(len(files.paths)))

    def shape(self, index: int) -> tuple[int, ...]:
        """Spatial shape of one volume after resampling, from its header."""
        return open_volume(self.root / self.channels[index][0]).shape_at(self.spacing)

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one volume, float32 [C, ...] in [0, 1]; of uncompressed files only that part is read."""
        paths = [self.root / name for name in self.channels[index]]
        _refuse_sizes(paths)
        counts = [open_volume(path).channels for path in paths]
        if sum(counts) != len(self.rules):
            raise TargetError(
                f"{paths[0]} has {sum(counts)} channels instead of {len(self.rules)}", hint="check the files"
            )
        shape = self.shape(index)
        scaled: list[np.ndarray] = []
        for path, count in zip(paths, counts, strict=True):
            rules = self.rules[len(scaled) : len(scaled) + count]
            limits = [_limits_of(path, file_version(path), rule, channel=place) for place, rule in enumerate(rules)]
            parts = open_volume(path).crop(where, shape=shape)
            scaled += [rescale(part, *limit) for part, limit in zip(parts, limits, strict=True)]
        return np.stack(scaled), None

    def info(self, names: Sequence[str]) -> StoreInfo:
        """The store with notes on the intensity of each named channel and on the spacing of the first volumes."""
        rules = [f"{name}: {rule}" for name, rule in zip(names, self.rules, strict=True)]
        spacings = {
            _millimetres(open_volume(self.root / files[0]).spacing) for files in self.channels[:_NOTED_SPACINGS]
        }
        for files in self.channels[:_NOTED_SPACINGS]:  # refuses a spacing of too many voxels before the run
            open_volume(self.root / files[0]).shape_at(self.spacing)
        then = f"resampled to {_millimetres(self.spacing)} mm" if self.spacing else "not resampled"
        return StoreInfo(
            store=self,
            axes=3,
            read_options=", ".join(map(str, self.rules))
            + (f"; spacing {_millimetres(self.spacing)}" if self.spacing else ""),
            notes=(f"intensities: {', '.join(rules)}", f"spacing {first_few(sorted(spacings), 3)} mm, {then}"),
        )


@dataclass(frozen=True, kw_only=True)
class MaskedVolumeStore(VolumeStore):
    """Volumes with one mask each.

    Attributes:
        masks: per volume, the file of its mask.
        values: per class, its value in the masks.
    """

    masks: tuple[str, ...]
    values: tuple[int, ...]

    def raw_mask(self, index: int) -> bytes:
        return FileStore(self.root, self.masks).raw(index)

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [X, Y, Z]: indices into `values`, or IGNORED for any other value."""
        path = self.root / self.masks[index]
        _refuse_sizes([self.root / self.channels[index][0], path])
        shape = self.shape(index)
        (raw,) = open_volume(path).crop(full_slices(shape), shape=shape, order=0)
        classes = np.full(raw.shape, IGNORED, dtype=np.int16)
        for place, value in enumerate(self.values):
            classes[raw == value] = place
        if (classes == IGNORED).all():
            found = first_few([f"{value:g}" for value in np.unique(raw)])
            raise TargetError(f"{path} holds {found}, none of the classes", hint="check `labels` in dataset.json")
        return classes


def file_store_info(root: Path, paths: tuple[str, ...], options: TargetOptions) -> StoreInfo:
    """The store of image files, or of NIfTI files (volumes; a fourth axis is channels).

    Raises:
        TargetError: files of both kinds, or the first volumes cannot be read.
        UsageError: an unknown intensity rule.
    """
    volumes = [path for path in paths if is_volume(path)]
    if not volumes:
        return _page_info(root, paths, options) if options.pages == "volume" else _image_info(root, paths, options)
    if len(volumes) < len(paths):
        other = next(path for path in paths if not is_volume(path))
        raise TargetError(f"{root} holds volumes and images: {volumes[0]}, {other}", hint="keep one kind of file")
    count = open_volume(root / paths[0]).channels
    rules = (parse_intensity(options.intensity, "unknown"),) * count
    channels = tuple((path,) for path in paths)
    store = VolumeStore(root=root, channels=channels, rules=rules, spacing=options.spacing)
    return store.info([f"channel {number}" for number in range(count)] if count > 1 else ["volumes"])


def _image_info(root: Path, paths: tuple[str, ...], options: TargetOptions) -> StoreInfo:
    images, notes = open_images(root, paths, options)
    read_options = f"{images.values}{' first page' if images.first_page else ''}".strip()
    return StoreInfo(store=images, read_options=read_options, notes=tuple(notes))


def _page_info(root: Path, paths: tuple[str, ...], options: TargetOptions) -> StoreInfo:
    from acrank.targets.stores.pages import PageStore  # loads Pillow

    rule = None if options.intensity is None else parse_intensity(options.intensity, "unknown")
    note = f"the pages of a file are the slices of a volume; intensities: {rule or 'percentile, 8 bits as they are'}"
    store = PageStore(files=FileStore(root, paths), rule=rule)
    return StoreInfo(store=store, axes=3, read_options=f"pages {rule or ''}".strip(), notes=(note,))


def is_volume(name: str) -> bool:
    """True if a file has a suffix of NIfTI files.

    >>> is_volume("a/scan.NII.gz"), is_volume("notes.gz")
    (True, False)
    """
    return name.lower().endswith(NIFTI_SUFFIXES)


def _refuse_sizes(paths: Sequence[Path]) -> None:
    sizes = [(path, open_volume(path).shape) for path in paths]
    if len({size for _, size in sizes}) > 1:
        shown = ", ".join(f"{path} {size}" for path, size in sizes)
        raise TargetError(f"{shown}: sizes differ", hint="a volume's channels and its mask must lie on one grid")


def _millimetres(steps: Sequence[float]) -> str:
    return " × ".join(f"{step:.3g}" for step in steps)


@lru_cache(maxsize=1024)
def _limits_of(path: Path, _: tuple[int, int], rule: Intensity, *, channel: int) -> tuple[float, float]:
    """The values of one channel that become 0 and 1; a window needs none of the file's values."""
    if rule.rule == "window":
        return rule.low, rule.high
    volume = open_volume(path)
    return rule.limits(volume.crop(full_slices(volume.shape))[channel])
