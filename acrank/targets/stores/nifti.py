"""NIfTI files in RAS+ orientation, read whole or in part, on the file's own grid or resampled."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.system.imports import extra
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded, damage_of
from acrank.targets.target_options import Spacing

NIFTI_SUFFIXES = (".nii.gz", ".nii")
#: Values may begin this far into a file, behind the header and its extensions.
_MOST_HEADER = 64 * 2**20
#: Bytes of a voxel beside those stored: float32 twice (as read, and in RAS+ order or rescaled) and a check.
_BYTES_OF_COPIES = 9
_BYTES_OF_SCALING = 8  # nibabel scales in float64


class Volume:
    """A NIfTI file turned to RAS+: shape and spacing come from the header, values are read on demand.

    Attributes:
        shape: spatial shape.
        spacing: millimetres between voxels, along each axis.
        channels: number of channels.

    Raises:
        TargetError: it cannot be read, is no ordinary file, or has no three axes of at least one voxel.
    """

    def __init__(self, path: Path) -> None:
        nibabel = extra("nibabel", "volumes", "NIfTI volumes need")
        with damage_of(path, f"cannot read {path} as NIfTI", hint="write it again, or leave it out"):
            _check_header(path)
            self._image: Any = nibabel.load(path)
            turn = nibabel.orientations.io_orientation(self._image.affine)
        stored = self._image.shape
        if len(stored) not in (3, 4) or min(stored) < 1 or np.isnan(turn).any():
            raise TargetError(
                f"{path} has shape {stored}", hint="volumes must have three axes, or a fourth of channels"
            )
        self.path = path
        # the stored axis of each RAS+ axis
        self._axes = [int(np.flatnonzero(turn[:, 0] == axis)[0]) for axis in range(3)]
        self._flipped = [turn[axis, 1] < 0 for axis in self._axes]
        self.shape: tuple[int, ...] = tuple(stored[axis] for axis in self._axes)
        self.spacing = tuple(float(self._image.header.get_zooms()[axis]) for axis in self._axes)
        self.channels = stored[3] if len(stored) == 4 else 1

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
            return _full_values(self.path, file_version(self.path)) if is_full else self.crop_anew(where)
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
        with damage_of(self.path, f"cannot read {self.path}", hint="the file is damaged"):
            values = np.asarray(self._image.dataobj[tuple(stored)], dtype=np.float32)
        turned = values.transpose(*self._axes, *range(3, values.ndim))
        turned = turned[tuple(slice(None, None, -1 if flipped else None) for flipped in self._flipped)]
        if not np.isfinite(turned).all():
            raise TargetError(f"{self.path} holds values that are not finite", hint="replace NaN in the file")
        return [turned] if values.ndim == 3 else [turned[..., number] for number in range(values.shape[3])]

    def _check_part(self, where: Sequence[slice]) -> None:
        voxels = self.channels * math.prod(max(0, part.stop - part.start) for part in where)
        source = self._image.dataobj
        scaling = 0 if (source.slope, source.inter) == (1.0, 0.0) else _BYTES_OF_SCALING
        each = source.dtype.itemsize + scaling + _BYTES_OF_COPIES
        check_decoded(voxels * each, f"the volume {self.path}", most=MOST_OF_VOLUME)


def _check_header(path: Path) -> None:
    """Refuse a header whose values begin too far into the file: all before them would be read."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        start = file.read(540)
    order = "<" if start[:4] in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") else ">"
    (size,) = struct.unpack(f"{order}i", start[:4])
    (offset,) = (
        struct.unpack_from(f"{order}q", start, 168) if size == 540 else struct.unpack_from(f"{order}f", start, 108)
    )
    if not offset <= _MOST_HEADER:
        raise TargetError(f"{path} begins its values at byte {offset:g}", hint="write it again, or leave it out")


def open_volume(path: Path) -> Volume:
    """A file with its header read, cached until the file changes.

    Raises:
        TargetError: it cannot be read.
    """
    return _open_volume(path, file_version(path))


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


@lru_cache(maxsize=256)
def _open_volume(path: Path, _: tuple[int, int]) -> Volume:
    return Volume(path)


@lru_cache(maxsize=1)  # limits and values of one volume are read in turn; more volumes would fill the memory
def _full_values(path: Path, _: tuple[int, int]) -> list[np.ndarray]:
    volume = open_volume(path)
    return volume.crop_anew(full_slices(volume.shape))
