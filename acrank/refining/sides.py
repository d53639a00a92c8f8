"""The images that short trainings train and validate on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acrank.finetuning.splits import Part, hold_out
from acrank.system.streams import Purpose, stream
from acrank.targets import Target
from acrank.targets.draws import Draw
from acrank.targets.examination import Examination
from acrank.targets.grouping import group_codes
from acrank.targets.sampling import draw_sample, halves
from acrank.targets.stores.subset import SubsetStore

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How many images there should be; `least` to validate, of each class at least `each`.

    Attributes:
        least, each, val, train: numbers of images; `val` and `train` are the most.
    """

    least: int
    each: int
    val: int
    train: int


BOUNDS = {
    "classification": Bounds(least=20, each=2, val=512, train=1024),
    "segmentation": Bounds(least=4, each=4, val=32, train=64),
}
#: Share of all images that should validate.
VAL_SHARE = 0.4


@dataclass(frozen=True, eq=False, kw_only=True)
class Sides:
    """Images to train on and images to validate on; no image and no group is on both sides.

    Attributes:
        train, val: parts of one target, which holds these images only.
        note: where they come from.
    """

    train: Part
    val: Part
    note: str

    @property
    def digest(self) -> str:
        """SHA-256 of the images as stored, their labels, and which side each is on."""
        target = self.train.target
        parts = [target.fingerprint, target.raw_digest(range(len(target))), self.train.indices.tolist()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def choose_sides(target: Target, draws: Sequence[Draw], *, seed: int) -> Sides:
    """Validation on images that no draw used, training on the rest; on halves where too few are left.

    Args:
        target: with images that can be decoded, as far as the draws used them.
        draws: of the ranking.
        seed: of the run.

    Raises:
        TargetError: its groups cannot be kept apart, or images of the sides cannot be decoded.
    """
    codes = group_codes(target.groups)
    used = np.zeros(len(target), dtype=bool)
    used[np.concatenate([draw.indices for draw in draws])] = True
    if codes is not None:
        used = np.isin(codes, codes[used])
    if is_enough(target, np.flatnonzero(~used)):
        train, val = _unused(target, used, codes, seed=seed)
        note = "validated on images that no draw used"
    else:
        first = halves(target.labels, seed=seed, repeat=0, task=target.task, groups=codes)
        train, val = np.flatnonzero(first), np.flatnonzero(~first)
        note = _why_halves(len(target), int((~used).sum()), has_groups=codes is not None)
    bounds = BOUNDS[target.task]
    parts = {
        "train": _at_most(target, train, bounds.train, words=(seed, 0)),
        "val": _at_most(target, val, bounds.val, words=(seed, 1)),
    }
    return _examined(target, **parts, note=note)


def _why_halves(count: int, left: int, *, has_groups: bool) -> str:
    """Why one half of the images trains and the other validates: the draws leave too few.

    >>> _why_halves(120, 0, has_groups=False)
    'all 120 images are in the draws, so one half trains and the other validates'
    >>> _why_halves(120, 9, has_groups=False).partition(", so")[0]
    '9 of 120 images are in no draw, too few in all or of a class to validate on'
    """
    where = "in the draws or of a group in them" if has_groups else "in the draws"
    outside = "neither in a draw nor of a group in one" if has_groups else "in no draw"
    halves_of = "so one half trains and the other validates"
    if not left:
        return f"all {count} images are {where}, {halves_of}"
    few = f"{left} of {count} images {'is' if left == 1 else 'are'} {outside}"
    return f"{few}, too few in all or of a class to validate on, {halves_of}"


def is_enough(target: Target, places: Indices) -> bool:
    """Whether images suffice to validate on."""
    bounds = BOUNDS[target.task]
    classes = len(target.classes) if target.task == "classification" else 1
    sizes = np.bincount(target.labels[places], minlength=classes)
    return len(places) >= bounds.least and bool((sizes >= bounds.each).all())


def fewer_images(sides: Sides, *, train: int, val: int, seed: int) -> Sides:
    """Stratified samples of both sides, of at most so many images, but at least one of each class."""
    target = sides.train.target
    if train >= len(sides.train) and val >= len(sides.val):
        return sides
    training = _at_most(target, sides.train.indices, train, words=(seed, 0))
    validating = _at_most(target, sides.val.indices, val, words=(seed, 1))
    return _sides_of(
        _restricted(target, np.union1d(training, validating)),
        {target.ids[place] for place in training},
        note=sides.note,
    )


def _unused(
    target: Target, used: npt.NDArray[np.bool_], codes: Indices | None, *, seed: int
) -> tuple[Indices, Indices]:
    """Training and validation images: of those that no draw used, a fair share of all images validates."""
    rest, bounds = np.flatnonzero(~used), BOUNDS[target.task]
    wanted = min(bounds.val, max(5 * bounds.least, round(VAL_SHARE * len(target))))
    if wanted >= len(rest):
        return np.flatnonzero(used), rest
    groups = None if codes is None else codes[rest]
    source = stream(Purpose.REFINE_SPLIT, seed)
    kept, held = hold_out(target.labels[rest], wanted / len(rest), source=source, leave=0, groups=groups)
    return np.sort(np.concatenate([np.flatnonzero(used), rest[kept]])), rest[held]


def _at_most(target: Target, places: Indices, most: int, *, words: tuple[int, int]) -> Indices:
    """A stratified sample of images."""
    if len(places) <= most:
        return places
    labels = target.labels[places]
    most = max(most, len(np.unique(labels)))
    taken = draw_sample(labels, most, seed=words[0], repeat=words[1], task=target.task, purpose=Purpose.REFINE_PART)
    chosen: Indices = places[taken]
    return chosen


def _examined(target: Target, *, train: Indices, val: Indices, note: str) -> Sides:
    """The sides as parts of a target with their images only, less those that cannot be decoded."""
    small = _restricted(target, np.union1d(train, val))
    return _sides_of(Examination().look(small, range(len(small))), {target.ids[place] for place in train}, note=note)


def _restricted(target: Target, places: Indices) -> Target:
    """The target with some of its images only."""
    return dataclasses.replace(
        target,
        ids=tuple(target.ids[place] for place in places),
        labels=target.labels[places],
        images=SubsetStore(target.images, tuple(int(place) for place in places)),
        groups=target.groups and tuple(target.groups[place] for place in places),
    )


def _sides_of(target: Target, training: Collection[str], *, note: str) -> Sides:
    """Both sides of a target's images: those with some names train."""
    here = np.array([name in training for name in target.ids], dtype=bool)
    return Sides(train=Part(target, np.flatnonzero(here)), val=Part(target, np.flatnonzero(~here)), note=note)
