"""Seeded, foreground-aware patches of a segmentation target, and class-balanced positions within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acrank.errors import TargetError
from acrank.system.streams import Purpose, stream
from acrank.targets.preparation import check_axes
from acrank.targets.target import IGNORED, Target

#: Positions drawn from each patch, evenly from its classes; each becomes one row of features.
POSITIONS = 256


@dataclass(frozen=True)
class Patches:
    """Patches of one size from the images of a draw.

    Attributes:
        images: per patch, float32 [C, *size] in [0, 1]; beyond the image's edge its border is repeated.
        corners: per patch, its first position in the image; for slices, the slice comes first.
        positions: flat positions within the patch, int64 [n, POSITIONS].
        labels: classes at those positions, int64 [n, POSITIONS].
    """

    images: list[npt.NDArray[np.float32]]
    corners: list[tuple[int, ...]]
    positions: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


def cut_patches(
    target: Target, indices: npt.NDArray[np.int64], size: tuple[int, ...], *, seed: int, repeat: int
) -> Patches:
    """One patch for each entry of `indices`, which may repeat an image.

    Every second patch is centred on a position of a foreground class (drawn evenly from those in the image), the others
    lie anywhere. They depend only on the masks, the order of `indices`, the size and the seeds.

    If volumes are read as slices, a patch is two-dimensional: a part of one slice, with its neighbours as channels.

    Args:
        target: a segmentation target.
        indices: positions in the target's ids, [n].
        size: spatial size of a patch, one number per axis of the target.
        seed, repeat: of the draw.

    Raises:
        TargetError: an image or mask cannot be read, or all positions of a patch are ignored.
        CandidateError: the size has another number of axes than the target.
    """
    check_axes(len(size), target.axes)
    window = (1, *size) if target.slices else size
    images, corners, positions, labels = [], [], [], []
    for place, index in enumerate(indices):
        rng = np.random.default_rng(stream(Purpose.PATCH, seed, repeat, place))
        mask = target.mask_store.mask(int(index))
        corner = patch_corner(mask.shape, window, rng, places=foreground_places(mask) if place % 2 == 1 else ())
        where, values = _balanced(patch_mask(mask, corner, window), rng, target.ids[index])
        images.append(patch_image(target, int(index), corner=corner, size=window, shape=mask.shape))
        corners.append(corner)
        positions.append(where)
        labels.append(values)
    return Patches(images=images, corners=corners, positions=np.stack(positions), labels=np.stack(labels))


def patch_corner(
    shape: tuple[int, ...], size: tuple[int, ...], rng: np.random.Generator, *, places: Sequence[np.ndarray] = ()
) -> tuple[int, ...]:
    """The first position of a patch in an image of that shape.

    Args:
        places: per class, flat positions to centre the patch on, classes drawn evenly; if empty, it lies anywhere.
    """
    room = [max(0, have - want) for have, want in zip(shape, size, strict=True)]
    anywhere = [int(rng.integers(0, free + 1)) for free in room]
    if not places:
        return tuple(anywhere)
    found = places[int(rng.integers(len(places)))]
    centre = np.unravel_index(found[int(rng.integers(len(found)))], shape)
    return tuple(int(np.clip(at - want // 2, 0, free)) for at, want, free in zip(centre, size, room, strict=True))


def foreground_places(mask: np.ndarray) -> list[np.ndarray]:
    """The flat positions of each foreground class in a mask.

    >>> [places.tolist() for places in foreground_places(np.array([[0, 1], [1, 2]]))]
    [[1, 2], [3]]
    """
    return [np.flatnonzero(mask == value) for value in np.unique(mask) if value > 0]


def patch_image(
    target: Target, index: int, *, corner: tuple[int, ...], size: tuple[int, ...], shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """A part of one image, float32 [C, *size] in [0, 1]; beyond the image's edge its border is repeated.

    Args:
        corner: the first position of the part.
        size: of the part.
        shape: of the image's mask.

    Raises:
        TargetError: the image cannot be read, or differs in size from its mask.
    """
    where = tuple(slice(begin, min(begin + want, have)) for begin, want, have in zip(corner, size, shape, strict=True))
    image, assumption = target.mask_store.crop(index, where)
    target.add_note(assumption)
    plane = size[1:] if target.slices else size  # a patch of one slice comes with its neighbours as channels
    lacking = [(0, want - have) for want, have in zip(plane, image.shape[1:], strict=True)]
    padded = np.pad(image, [(0, 0), *lacking], mode="edge") if any(more for _, more in lacking) else image
    return np.ascontiguousarray(padded, dtype=np.float32)


def patch_mask(mask: np.ndarray, corner: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """A part of a mask; positions beyond its edge are IGNORED."""
    part = mask[tuple(slice(begin, begin + want) for begin, want in zip(corner, size, strict=True))]
    padded = np.full(size, IGNORED, dtype=np.int16)
    padded[tuple(slice(0, have) for have in part.shape)] = part
    return padded


def _balanced(mask: np.ndarray, rng: np.random.Generator, name: str) -> tuple[np.ndarray, np.ndarray]:
    """POSITIONS flat positions, as evenly from the classes as their sizes allow (some twice if too few), and labels."""
    flat = mask.reshape(-1)
    pools = [rng.permutation(np.flatnonzero(flat == value)) for value in np.unique(flat) if value != IGNORED]
    if not pools:
        raise TargetError(f"{name}: all positions of a patch are ignored", hint="check the mask's values")
    take, left = [], POSITIONS
    for rank, pool in enumerate(sorted(pools, key=len)):
        share = min(len(pool), left // (len(pools) - rank))
        take.append(pool[:share])
        left -= share
    found = np.concatenate(take)
    found = np.sort(found if len(found) == POSITIONS else rng.choice(found, POSITIONS, replace=True))
    return found, flat[found].astype(np.int64)
