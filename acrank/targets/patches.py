"""Where a segmentation target is looked at: seeded, foreground-aware patches, and balanced positions within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acrank.errors import TargetError
from acrank.system.streams import Purpose, stream
from acrank.targets.preparation import refuse_axes
from acrank.targets.target import IGNORED, Target

#: Positions of a patch that serve as rows, drawn evenly from its classes.
POSITIONS = 256


@dataclass(frozen=True)
class Patches:
    """Patches of one size from the images of a draw.

    Attributes:
        images: per patch, float32 [C, *size] in [0, 1]; beyond the image's edge its border is repeated.
        corners: per patch, where it begins in its image; of slices, the slice comes first.
        positions: flat places within the patch, int64 [n, POSITIONS].
        labels: classes at those places, int64 [n, POSITIONS].
    """

    images: list[npt.NDArray[np.float32]]
    corners: list[tuple[int, ...]]
    positions: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


def cut_patches(
    target: Target, indices: npt.NDArray[np.int64], size: tuple[int, ...], *, seed: int, repeat: int
) -> Patches:
    """One patch for each entry of `indices`; an image may come several times.

    Every second patch is centred on a position of a foreground class (drawn evenly from those that the image has), the
    others lie anywhere. They depend on the masks, the order, the size and the seeds alone.

    Where volumes are cut into slices, a patch is two-dimensional: a part of one slice, with its neighbours as channels.

    Args:
        target: a segmentation target.
        indices: positions in the target's ids, [n].
        size: spatial sizes of a patch, as many as the target has axes.
        seed, repeat: of the draw.

    Raises:
        TargetError: an image or mask cannot be read, or has nothing but ignored positions.
        CandidateError: sizes of other axes than the target's.
    """
    refuse_axes(len(size), target.axes)
    window = (1, *size) if target.slices else size
    images, corners, positions, labels = [], [], [], []
    for place, index in enumerate(indices):
        rng = np.random.default_rng(stream(Purpose.PATCH, seed, repeat, place))
        mask = target.masked.mask(int(index))
        corner = patch_corner(mask.shape, window, rng, foreground_places(mask) if place % 2 == 1 else ())
        images.append(patch_image(target, int(index), corner, window, mask.shape))
        where, values = _balanced(patch_mask(mask, corner, window), rng, target.ids[index])
        corners.append(corner)
        positions.append(where)
        labels.append(values)
    return Patches(images, corners, np.stack(positions), np.stack(labels))


def patch_corner(
    shape: tuple[int, ...], size: tuple[int, ...], rng: np.random.Generator, places: Sequence[np.ndarray] = ()
) -> tuple[int, ...]:
    """Where a patch begins in an image of that shape: centred on one of `places`, or anywhere where there are none.

    Args:
        places: for each class to centre on, flat positions; classes are drawn evenly.
    """
    room = [max(0, have - want) for have, want in zip(shape, size, strict=True)]
    anywhere = [int(rng.integers(0, free + 1)) for free in room]
    if not places:
        return tuple(anywhere)
    found = places[int(rng.integers(len(places)))]
    centre = np.unravel_index(found[int(rng.integers(len(found)))], shape)
    return tuple(int(np.clip(at - want // 2, 0, free)) for at, want, free in zip(centre, size, room, strict=True))


def foreground_places(mask: np.ndarray) -> list[np.ndarray]:
    """The flat positions of every foreground class that a mask has, by class.

    >>> [places.tolist() for places in foreground_places(np.array([[0, 1], [1, 2]]))]
    [[1, 2], [3]]
    """
    return [np.flatnonzero(mask == value) for value in np.unique(mask) if value > 0]


def patch_image(
    target: Target, index: int, corner: tuple[int, ...], size: tuple[int, ...], shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """A part of one image, float32 [C, *size] in [0, 1]; beyond the image's edge its border is repeated.

    Raises:
        TargetError: the image cannot be read, or differs in size from its mask.
    """
    where = tuple(slice(begin, min(begin + want, have)) for begin, want, have in zip(corner, size, shape, strict=True))
    image, assumption = target.masked.crop(index, where)
    if assumption and assumption not in target.notes:
        target.notes.append(assumption)
    plane = size[1:] if target.slices else size  # a patch of one slice comes with its neighbours as channels
    lacking = [(0, want - have) for want, have in zip(plane, image.shape[1:], strict=True)]
    padded = np.pad(image, [(0, 0), *lacking], mode="edge") if any(more for _, more in lacking) else image
    return np.ascontiguousarray(padded, dtype=np.float32)


def patch_mask(mask: np.ndarray, corner: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """A part of the mask; what lies beyond its edge counts for nothing."""
    part = mask[tuple(slice(begin, begin + want) for begin, want in zip(corner, size, strict=True))]
    whole = np.full(size, IGNORED, dtype=np.int16)
    whole[tuple(slice(0, have) for have in part.shape)] = part
    return whole


def _balanced(mask: np.ndarray, rng: np.random.Generator, name: str) -> tuple[np.ndarray, np.ndarray]:
    """POSITIONS flat places, as evenly from the classes as they have places; some twice where there are too few."""
    flat = mask.reshape(-1)
    pools = [rng.permutation(np.flatnonzero(flat == value)) for value in np.unique(flat) if value != IGNORED]
    if not pools:
        raise TargetError(f"{name}: a patch holds ignored positions only", hint="check the mask's values")
    take, left = [], POSITIONS
    for rank, pool in enumerate(sorted(pools, key=len)):
        share = min(len(pool), left // (len(pools) - rank))
        take.append(pool[:share])
        left -= share
    found = np.concatenate(take)
    found = np.sort(found if len(found) == POSITIONS else rng.choice(found, POSITIONS, replace=True))
    return found, flat[found].astype(np.int64)
