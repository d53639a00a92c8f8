"""Volumes in files, with or without masks: their channels, intensities, spacing and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from acrank.errors import TargetError
from acrank.targets.listed_values import ListedValues
from acrank.targets.stores.geometry import EQUAL, SLIGHT, distance, millimetres, place_differences
from acrank.targets.stores.images import FileStore, open_images
from acrank.targets.stores.intensity import Intensity, parse_intensity, rescale
from acrank.targets.stores.nifti import VolumeSource, full_slices, open_volume
from acrank.targets.stores.size_words import XYZ, size_text
from acrank.targets.stores.stored_volumes import is_volume
from acrank.targets.target import StoreInfo, first_few
from acrank.targets.target_options import Geometry, Spacing, TargetOptions

_NOTED_SPACINGS = 16
_GEOMETRY_HINT = (
    "if the arrays fit (as nnU-Net takes them) --geometry array, if the headers are right --geometry header"
)


@dataclass(frozen=True, kw_only=True)
class VolumeStore:
    """Volumes in RAS+ orientation: one file per channel, or one file with four axes.

    Attributes:
        root: the folder that the paths are relative to.
        channels: per volume, the files of its channels; a DICOM series by its name in `series`.
        rules: per channel, how its values are scaled to [0, 1].
        spacing: millimetres between voxels to which volumes are resampled; None keeps theirs.
        geometry: how files that lie on other grids than the first channel are put on its grid; None refuses them.
        series: name -> files of a DICOM series in order.
        slice_axis: the spatial axis along which axial slices are stacked.
    """

    root: Path
    channels: tuple[tuple[str, ...], ...]
    rules: tuple[Intensity, ...]
    spacing: Spacing | None = None
    geometry: Geometry | None = None
    series: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    slice_axis: ClassVar[int] = 2

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        return self.crop(index, full_slices(self.shape(index)))

    def raw(self, index: int) -> bytes:
        files = [file for name in self.channels[index] for file in self._own(name).all_files]
        return b"".join(FileStore(file.parent, (file.name,)).raw(0) for file in files)

    def shape(self, index: int) -> tuple[int, ...]:
        """Spatial shape of one volume after resampling, from its header."""
        return open_volume(self.sources(index)[0]).shape_at(self.spacing)

    def sources(self, index: int) -> list[VolumeSource]:
        """Where the channels of one volume come from."""
        first, *others = self.channels[index]
        return [self._own(first), *(self._beside(name, index) for name in others)]

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one volume, float32 [C, ...] in [0, 1]; of uncompressed files only that part is read."""
        sources = self.sources(index)
        self.check_places(sources)
        counts = [open_volume(source).channels for source in sources]
        if sum(counts) != len(self.rules):
            raise TargetError(
                f"{sources[0].path} has {sum(counts)} channels instead of {len(self.rules)}", hint="check the files"
            )
        shape = self.shape(index)
        scaled: list[np.ndarray] = []
        for source, count in zip(sources, counts, strict=True):
            rules = self.rules[len(scaled) : len(scaled) + count]
            limits = [_limits_of(source, source.version, rule, channel=place) for place, rule in enumerate(rules)]
            parts = open_volume(source).crop(where, shape=shape)
            scaled += [rescale(part, *limit) for part, limit in zip(parts, limits, strict=True)]
        return np.stack(scaled), None

    def check_places(self, sources: Sequence[VolumeSource]) -> bool:
        """Whether all lie where the first lies, but for a slight difference; True if there is one.

        Raises:
            TargetError: sizes differ, or places by more than half a voxel.
        """
        first, *others = (open_volume(source) for source in sources)
        is_slight = False
        for other in others:
            if first.shape != other.shape:
                shown = f"{first.path} {size_text(first.shape)}, {other.path} {size_text(other.shape)} ({XYZ})"
                raise TargetError(f"{shown}: sizes differ", hint=f"they must lie on one grid; {_GEOMETRY_HINT}")
            if (apart := distance(first.grid, other.grid)) > SLIGHT:
                words = "; ".join(place_differences(first.grid, other.grid)) or f"{apart:.2g} voxels apart"
                raise TargetError(f"{other.path} lies elsewhere than {first.path}: {words}", hint=_GEOMETRY_HINT)
            is_slight = is_slight or apart > EQUAL
        return is_slight

    def info(self, names: Sequence[str]) -> StoreInfo:
        """The store with notes on the intensity of each named channel, and on the spacing of the first volumes.

        Raises:
            TargetError: files of one volume lie at different places.
        """
        rules = [f"{name}: {rule}" for name, rule in zip(names, self.rules, strict=True)]
        firsts = [self.sources(place)[0] for place in range(len(self.channels))]
        spacings = {millimetres(open_volume(source).spacing) for source in firsts[:_NOTED_SPACINGS]}
        for source in firsts[:_NOTED_SPACINGS]:  # refuses a spacing of too many voxels before the run
            open_volume(source).shape_at(self.spacing)
        then = f"resampled to {millimetres(self.spacing)} mm" if self.spacing else "not resampled"
        read_options = ", ".join(map(str, self.rules))
        read_options += f"; spacing {millimetres(self.spacing)}" if self.spacing else ""
        read_options += f"; geometry {self.geometry}" if self.geometry else ""
        notes = [f"intensities: {', '.join(rules)}", f"spacing {first_few(sorted(spacings), 3)} mm, {then}"]
        return StoreInfo(store=self, axes=3, read_options=read_options, notes=(*notes, *self._place_notes()))

    def case_sources(self, index: int) -> list[VolumeSource]:
        """Where the channels of one volume, and its mask if there is one, come from."""
        return self.sources(index)

    def _place_notes(self) -> list[str]:
        slight = [place for place in range(len(self.channels)) if self._is_slightly_off(place)]
        notes = [f"geometry: by {self.geometry}"] if self.geometry else []
        if slight:
            name = self.channels[slight[0]][0]
            notes.append(
                f"{len(slight)} volumes lie slightly beside their mask or channels (up to half a voxel): {name}"
            )
        return notes

    def _is_slightly_off(self, index: int) -> bool:
        sources = self.case_sources(index)
        try:
            for source in sources:
                open_volume(source)
        except TargetError:
            return False  # damaged: said when it is read
        return len(sources) > 1 and self.check_places(sources)

    def _own(self, name: str) -> VolumeSource:
        return VolumeSource(self.root / name, tuple(self.root / file for file in self.series.get(name, ())))

    def _beside(self, name: str, index: int, *, is_mask: bool = False) -> VolumeSource:
        """A further file of a volume, on the grid of its first channel."""
        own = self._own(name)
        if self.geometry is None:
            return own
        like = self._own(self.channels[index][0])
        return VolumeSource(own.path, own.files, like=like, geometry=self.geometry, is_mask=is_mask)


@dataclass(frozen=True, kw_only=True)
class MaskedVolumeStore(VolumeStore):
    """Volumes with one mask each.

    Attributes:
        masks: per volume, the file of its mask.
        values: the class of each value of the masks.
    """

    masks: tuple[str, ...]
    values: ListedValues

    def raw_mask(self, index: int) -> bytes:
        return b"".join(FileStore(file.parent, (file.name,)).raw(0) for file in self._own(self.masks[index]).all_files)

    def case_sources(self, index: int) -> list[VolumeSource]:
        return [*self.sources(index), self._mask_source(index)]

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [X, Y, Z]: class indices, or IGNORED."""
        self.check_places([self.sources(index)[0], self._mask_source(index)])
        return self.values.to_classes(self.raw_values(index), str(self.root / self.masks[index]))

    def raw_values(self, index: int) -> np.ndarray:
        """The values of one mask as stored, float32 [X, Y, Z], on the grid of its volume.

        Raises:
            TargetError: it cannot be read, or has several channels.
        """
        shape = self.shape(index)
        found = open_volume(self._mask_source(index)).crop(full_slices(shape), shape=shape, order=0)
        if len(found) > 1:
            raise TargetError(
                f"{self.root / self.masks[index]} has {len(found)} channels", hint="a mask holds one value per position"
            )
        return found[0]

    def _mask_source(self, index: int) -> VolumeSource:
        return self._beside(self.masks[index], index, is_mask=True)


def file_store_info(root: Path, paths: tuple[str, ...], options: TargetOptions) -> StoreInfo:
    """The store of image files, or of volume files (a fourth axis is channels).

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
    return StoreInfo(store=images, read_options=images.read_options, notes=tuple(notes))


def _page_info(root: Path, paths: tuple[str, ...], options: TargetOptions) -> StoreInfo:
    from acrank.targets.stores.pages import PageStore  # loads Pillow

    rule = None if options.intensity is None else parse_intensity(options.intensity, "unknown")
    note = f"the pages of a file are the slices of a volume; intensities: {rule or 'percentile, 8 bits as they are'}"
    store = PageStore(files=FileStore(root, paths), rule=rule)
    return StoreInfo(store=store, axes=3, read_options=f"pages {rule or ''}".strip(), notes=(note,))


@lru_cache(maxsize=1024)
def _limits_of(
    source: VolumeSource, _: tuple[tuple[int, int], ...], rule: Intensity, *, channel: int
) -> tuple[float, float]:
    """The values of one channel that become 0 and 1; a window needs none of the file's values."""
    if rule.rule == "window":
        return rule.low, rule.high
    volume = open_volume(source)
    return rule.limits(volume.crop(full_slices(volume.shape))[channel])
