"""2.5D: volumes read as images for 2D networks, with adjacent axial slices as channels.

In a classification target each volume gives one stack, the slices around its middle. In a segmentation target each
patch is a part of one slice, drawn as all patches are, with the neighbouring slices as further channels; its mask is
that of the slice in the middle. The ids stay those of the volumes, so patches of one volume share a half of a
cross-fit. Beyond the first and the last slice of a volume, that slice is repeated.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from acrank.targets.target import MaskedStore, Target


class SlicedStore(MaskedStore, Protocol):
    """A store of volumes, with or without masks, that names the axis of its slices."""

    @property
    def slice_axis(self) -> int:
        """The spatial axis along which slices are stacked: 2 for RAS+ volumes, 0 for arrays."""
        ...


@dataclass(frozen=True)
class SliceStore:
    """Stacks of adjacent slices, float32 [C * count, H, W]: for each channel of the volume, its slices in order.

    Slices of RAS+ volumes are shown upright: anterior at the top, the patient's right on the left.

    Attributes:
        volumes: the store of the volumes.
        count: slices in a stack; odd.
    """

    volumes: SlicedStore
    count: int

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """The stack around the middle of one volume, float32 [C * count, H, W] in [0, 1]."""
        slices, height, width = self.shape(index)
        return self.crop(index, (slice(slices // 2, slices // 2 + 1), slice(0, height), slice(0, width)))

    def raw(self, index: int) -> bytes:
        return self.volumes.raw(index)

    def raw_mask(self, index: int) -> bytes:
        return self.volumes.raw_mask(index)

    def shape(self, index: int) -> tuple[int, ...]:
        """(slices, height, width) of one volume."""
        shape = self.volumes.shape(index)
        return shape if self.volumes.slice_axis == 0 else shape[::-1]

    def mask(self, index: int) -> np.ndarray:
        """The mask of one volume, int16 [slices, H, W]."""
        return self._upright(self.volumes.mask(index))

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of the stack around the first slice of `where`; reads only the slices of the stack."""
        slices, height, width = self.shape(index)
        wanted = np.clip(np.arange(self.count) + where[0].start - self.count // 2, 0, slices - 1)
        part = (slice(int(wanted[0]), int(wanted[-1]) + 1), where[1], where[2])
        if self.volumes.slice_axis == 2:
            part = (_mirrored(part[2], width), _mirrored(part[1], height), part[0])
        found, assumption = self.volumes.crop(index, part)
        upright = np.stack([self._upright(channel) for channel in found])
        stack = upright[:, wanted - wanted[0]]
        return np.ascontiguousarray(stack.reshape(-1, *stack.shape[2:])), assumption

    def _upright(self, volume: np.ndarray) -> np.ndarray:
        """[slices, H, W] from a volume's axes."""
        return volume if self.volumes.slice_axis == 0 else volume.transpose(2, 1, 0)[:, ::-1, ::-1]


def slice_volumes(target: Target, count: int) -> Target:
    """A target of volumes as a target of images, each of `count` adjacent slices.

    Example:
        >>> import tempfile, numpy, pathlib
        >>> from acrank.targets import open_target
        >>> folder = tempfile.TemporaryDirectory()
        >>> file = pathlib.Path(folder.name) / "small.npz"
        >>> numpy.savez(file, images=numpy.zeros((4, 9, 8, 7), numpy.uint8), labels=numpy.array([0, 0, 1, 1]))
        >>> open_target(file).read(0).shape, open_target(file, slices=3).read(0).shape
        ((1, 9, 8, 7), (3, 8, 7))
        >>> folder.cleanup()
    """
    what = "single axial slices" if count == 1 else f"{count} adjacent axial slices"
    return dataclasses.replace(
        target,
        images=SliceStore(cast(SlicedStore, target.images), count),
        notes=[*target.notes, f"volumes as images: {what}"],
        axes=2,
        slices=count,
        read_options=f"{target.read_options}; slices {count}",
    )


def _mirrored(part: slice, size: int) -> slice:
    return slice(size - part.stop, size - part.start)
