"""Volumes in RAS+ orientation, read whole or in part, on the file's own grid or on another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.dicom_series import load_series
from acrank.targets.stores.geometry import EQUAL, Grid, distance
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded, damage_of
from acrank.targets.stores.stored_volumes import StoredVolume, data_file, load_stored
from acrank.targets.target_options import Geometry, Spacing

#: Bytes of a voxel beside those stored: float32 twice (as read, and in RAS+ order or rescaled) and a check.
_BYTES_OF_COPIES = 9


@dataclass(frozen=True)
class VolumeSource:
    """Where a volume comes from.

    Attributes:
        path: of the file; of a DICOM series, of its folder.
        files: of a DICOM series or of one multi-frame file; empty for other formats.
        like: the volume on whose grid it is put; None keeps its own.
        geometry: how it is put there: "array" gives it that volume's place, axis by axis; "header" resamples it.
        is_mask: whether resampling takes the nearest value.
    """

    path: Path
    files: tuple[Path, ...] = ()
    like: VolumeSource | None = None
    geometry: Geometry | None = None
    is_mask: bool = False

    @property
    def version(self) -> tuple[tuple[int, int], ...]:
        """Sizes and modification times of all its files.

        Raises:
            TargetError: one of them cannot be read.
        """
        own = tuple(map(file_version, self.all_files))
        return own if self.like is None else own + self.like.version

    @property
    def all_files(self) -> tuple[Path, ...]:
        """The files that hold the volume.

        Raises:
            TargetError: one of them cannot be read.
        """
        if self.files:
            return self.files
        file_version(self.path)
        values = data_file(self.path)
        return (self.path,) if values is None else (self.path, values)


class Volume:
    """A volume turned to RAS+: shape and spacing come from the header, values are read on demand.

    Attributes:
        shape: spatial shape.
        spacing: millimetres between voxels, along each axis.
        channels: number of channels.
        grid: where its voxels lie.

    Raises:
        TargetError: it cannot be read, is no ordinary file, or has no three axes of at least one voxel.
    """

    def __init__(self, source: VolumeSource | Path) -> None:
        self.source = source = VolumeSource(source) if isinstance(source, Path) else source
        self.path = source.path
        self._stored = _stored(source)
        stored, affine = self._stored.shape, self._stored.affine
        if len(stored) not in (3, 4) or min(stored) < 1 or not np.isfinite(affine).all() or not _is_full(affine):
            raise TargetError(
                f"{self.path} has shape {stored}", hint="volumes must have three axes, or a fourth of channels"
            )
        # the stored axis of each RAS+ axis
        self._axes = _ras_axes(affine)
        self._flipped = [affine[own, axis] < 0 for own, axis in enumerate(self._axes)]
        self.shape: tuple[int, ...] = tuple(stored[axis] for axis in self._axes)
        self.spacing = tuple(self._stored.spacing[axis] for axis in self._axes)
        self.channels = stored[3] if len(stored) == 4 else 1
        self.grid = Grid(self.shape, affine @ self._turn())

    def shape_at(self, spacing: Spacing | None) -> tuple[int, ...]:
        """Spatial shape after resampling to a spacing in millimetres; None keeps the file's own."""
        if spacing is None:
            return self.shape
        if not all(0 < have < math.inf for have in self.spacing):
            raise TargetError(
                f"{self.path} has spacing {self.spacing}", hint="leave the spacing out, or correct the header"
            )
        sizes = zip(self.shape, self.spacing, spacing, strict=True)
        shape = tuple(max(1, round(size * have / want)) for size, have, want in sizes)
        voxels, steps = math.prod(shape) * self.channels, ",".join(f"{step:g}" for step in spacing)
        most = MOST_OF_VOLUME // _BYTES_OF_COPIES
        if voxels > most:
            raise TargetError(
                f"--spacing {steps} makes {voxels:,} voxels of {self.path}, more than {most:,}",
                hint="give larger millimetres, or leave the spacing out",
            )
        return shape

    def crop(self, where: Sequence[slice], *, shape: tuple[int, ...] | None = None, order: int = 1) -> list[np.ndarray]:
        """The values of each channel, float32, in a part given by slices with start and stop.

        Args:
            where: on the grid of shape `shape`.
            shape: of another grid over the same space, to which the values are interpolated
                (`scipy.ndimage.affine_transform`); None is the file's own. Reads no more than the part needs.
            order: 1 for linear interpolation, 0 for the nearest value, as masks need it.
        """
        if shape is None or shape == self.shape:
            is_full = tuple(where) == full_slices(self.shape)
            return _full_values(self.source, self.source.version) if is_full else self.crop_anew(where)
        from scipy.ndimage import affine_transform

        steps = [have / want for have, want in zip(self.shape, shape, strict=True)]
        # positions are centres of cells: the first of the new grid lies half a new cell from the edge
        first = [(part.start + 0.5) * step - 0.5 for part, step in zip(where, steps, strict=True)]
        last = [(part.stop - 0.5) * step - 0.5 for part, step in zip(where, steps, strict=True)]
        begin = [int(max(0, np.floor(at))) for at in first]
        end = [int(min(have - 1, np.ceil(at))) + 1 for have, at in zip(self.shape, last, strict=True)]
        offsets = [at - low for at, low in zip(first, begin, strict=True)]
        sizes = tuple(part.stop - part.start for part in where)
        return [
            affine_transform(one, steps, offsets, sizes, order=order, mode="nearest", prefilter=False)
            for one in self.crop(tuple(map(slice, begin, end)))
        ]

    def crop_anew(self, where: Sequence[slice]) -> list[np.ndarray]:
        """As `crop` on the file's own grid, without the cache."""
        stored = [slice(0, 0)] * 3
        for own, (axis, flipped) in enumerate(zip(self._axes, self._flipped, strict=True)):
            size, part = self.shape[own], where[own]
            stored[axis] = slice(size - part.stop, size - part.start) if flipped else part
        self._check_part(where)
        with damage_of(self.source.all_files[0], f"cannot read {self.path}", hint="the file is damaged"):
            values = np.asarray(self._stored.part(tuple(stored)), dtype=np.float32)
        turned = values.transpose(*self._axes, *range(3, values.ndim))
        turned = turned[tuple(slice(None, None, -1 if flipped else None) for flipped in self._flipped)]
        if not np.isfinite(turned).all():
            raise TargetError(f"{self.path} holds values that are not finite", hint="replace NaN in the file")
        return [turned] if values.ndim == 3 else [turned[..., number] for number in range(values.shape[3])]

    def _check_part(self, where: Sequence[slice]) -> None:
        voxels = self.channels * math.prod(max(0, part.stop - part.start) for part in where)
        each = self._stored.bytes_of_voxel + _BYTES_OF_COPIES
        check_decoded(voxels * each, f"the volume {self.path}", most=MOST_OF_VOLUME)

    @property
    def as_stored(self) -> StoredVolume:
        """The volume in the order of its file."""
        return self._stored

    def _turn(self) -> np.ndarray:
        """From voxel indices in RAS+ to those of the file, float64 [4, 4]."""
        turn = np.zeros((4, 4))
        turn[3, 3] = 1.0
        for own, (axis, flipped) in enumerate(zip(self._axes, self._flipped, strict=True)):
            turn[axis, own] = -1.0 if flipped else 1.0
            turn[axis, 3] = self.shape[own] - 1 if flipped else 0.0
        return turn


def open_volume(source: VolumeSource | Path) -> Volume:
    """A volume with its header read, cached until its files change.

    Raises:
        TargetError: it cannot be read.
    """
    source = VolumeSource(source) if isinstance(source, Path) else source
    return _open_volume(source, source.version)


def full_slices(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The slices that select a whole array.

    >>> full_slices((2, 3))
    (slice(0, 2, None), slice(0, 3, None))
    """
    return tuple(slice(0, size) for size in shape)


def file_version(path: Path) -> tuple[int, int]:
    """A file's size and modification time, which change when the file does.

    Raises:
        TargetError: it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
    return status.st_size, status.st_mtime_ns


def _stored(source: VolumeSource) -> StoredVolume:
    """As the file has it, or put on the grid of another volume."""
    own = load_series(source.path, source.files) if source.files else load_stored(source.path)
    if source.like is None:
        return own
    like = open_volume(source.like).as_stored
    if source.geometry == "array":
        return dataclasses.replace(own, affine=like.affine, spacing=like.spacing)
    grids = (Grid(one.shape[:3], one.affine) for one in (like, own))
    if own.shape[:3] == like.shape[:3] and distance(*grids) <= EQUAL:
        return own
    return _resampled(own, like, order=0 if source.is_mask else 1)


def _resampled(own: StoredVolume, like: StoredVolume, *, order: int) -> StoredVolume:
    """A volume on the grid of another, as both headers place them; beyond its edge it is 0."""
    from scipy.ndimage import affine_transform

    def part(where: tuple[slice, ...]) -> np.ndarray:
        values = np.asarray(own.part(full_slices(own.shape[:3])), dtype=np.float32)
        between = np.linalg.inv(own.affine) @ like.affine
        offset = between[:3, :3] @ [one.start for one in where] + between[:3, 3]
        sizes = tuple(one.stop - one.start for one in where)
        planes = values[..., None] if values.ndim == 3 else values
        found = [
            affine_transform(planes[..., at], between[:3, :3], offset, sizes, order=order, mode="constant")
            for at in range(planes.shape[3])
        ]
        return found[0] if values.ndim == 3 else np.stack(found, axis=-1)

    shape = (*like.shape[:3], *own.shape[3:])
    each = own.bytes_of_voxel * math.prod(own.shape) // math.prod(shape)  # it is read whole
    return dataclasses.replace(like, shape=shape, part=part, bytes_of_voxel=each + own.bytes_of_voxel)


def _is_full(affine: np.ndarray) -> bool:
    return bool(abs(np.linalg.det(affine[:3, :3])) > 1e-12)


def _ras_axes(affine: np.ndarray) -> list[int]:
    """The stored axis for each of right, anterior and superior: the closest first, no axis twice.

    Closeness is that of the rotation nearest to the affine, as nibabel has it.
    """
    left, _, right = np.linalg.svd(affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))
    closeness = np.abs(left @ right)
    axes = [0, 0, 0]
    for stored in np.argsort(-closeness.max(axis=0)).tolist():
        ras = int(closeness[:, stored].argmax())
        axes[ras] = stored
        closeness[ras] = -1
    return axes


@lru_cache(maxsize=256)
def _open_volume(source: VolumeSource, _: tuple[tuple[int, int], ...]) -> Volume:
    return Volume(source)


@lru_cache(maxsize=1)  # limits and values of one volume are read in turn; more volumes would fill the memory
def _full_values(source: VolumeSource, _: tuple[tuple[int, int], ...]) -> list[np.ndarray]:
    volume = open_volume(source)
    return volume.crop_anew(full_slices(volume.shape))
