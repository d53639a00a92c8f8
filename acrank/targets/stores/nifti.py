"""NIfTI files in RAS+ orientation: parts read without the rest, on the file's own grid or on another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from acrank.errors import MissingExtraError, TargetError
from acrank.targets.target import Spacing

SUFFIXES = (".nii.gz", ".nii")


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
        self.shape: tuple[int, ...] = tuple(stored[axis] for axis in self._axes)
        self.spacing = tuple(float(self._image.header.get_zooms()[axis]) for axis in self._axes)
        self.count = stored[3] if len(stored) == 4 else 1

    def shape_at(self, spacing: Spacing | None) -> tuple[int, ...]:
        """Spatial sizes once positions lie `spacing` millimetres apart; None leaves them as they are.

        Raises:
            TargetError: the header gives no spacing to start from.
        """
        if spacing is None:
            return self.shape
        if not all(have > 0 for have in self.spacing):
            raise TargetError(
                f"{self.path} has spacing {self.spacing}", hint="leave the spacing out, or mend the header"
            )
        sizes = zip(self.shape, self.spacing, spacing, strict=True)
        return tuple(max(1, round(size * have / want)) for size, have, want in sizes)

    def parts(
        self, where: Sequence[slice], *, shape: tuple[int, ...] | None = None, order: int = 1
    ) -> list[np.ndarray]:
        """Each channel's values, float32, in a part given by slices with start and stop.

        Args:
            where: of the grid that `shape` gives.
            shape: sizes of another grid over the same space, to which the values are interpolated
                (`scipy.ndimage.affine_transform`); None is the file's own. Only what is needed for the part is read.
            order: 1 for linear interpolation, 0 for the nearest value, as masks need it.

        Raises:
            TargetError: the file is damaged, or values are not finite.
        """
        if shape is None or shape == self.shape:
            return self._own(where)
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
            for one in self._own([slice(low, high) for low, high in zip(begin, end, strict=True)])
        ]

    def _own(self, where: Sequence[slice]) -> list[np.ndarray]:
        if all((part.start, part.stop) == (0, size) for part, size in zip(where, self.shape, strict=True)):
            return _whole(self.path, stamp(self.path))
        return self.stored(where)

    def stored(self, where: Sequence[slice]) -> list[np.ndarray]:
        """As `parts` on the file's own grid, read anew."""
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
    return _opened(path, stamp(path))


def whole(size: tuple[int, ...]) -> tuple[slice, ...]:
    """The part that is everything.

    >>> whole((2, 3))
    (slice(0, 2, None), slice(0, 3, None))
    """
    return tuple(slice(0, one) for one in size)


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does: its size and when it was written.

    Raises:
        TargetError: it cannot be read.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
    return about.st_size, about.st_mtime_ns


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


@lru_cache(maxsize=256)
def _opened(path: Path, _: tuple[int, int]) -> Volume:
    return Volume(path)


@lru_cache(maxsize=1)  # limits and values of one volume are asked for in turn; more would fill the memory
def _whole(path: Path, _: tuple[int, int]) -> list[np.ndarray]:
    volume = opened(path)
    return volume.stored(whole(volume.shape))
