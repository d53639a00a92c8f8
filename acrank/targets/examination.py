"""Images decoded once before a run: what each holds, and which cannot be decoded and are left out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from acrank.errors import TargetError, is_damage
from acrank.system.activity import Stage, announce
from acrank.targets.draws import KEEP_BYTES, Draw, make_draws
from acrank.targets.stores.size_words import axes_of_size
from acrank.targets.target import Target, first_few
from acrank.targets.target_options import REPLACE_MANY, REPLACE_ONE, too_many_bad

#: Width and height of thumbnails.
_SIDE = 32
#: Values of an image that are summed at once.
_BLOCK = 1 << 20

_Key = TypeVar("_Key")


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What one decoded image holds; of a volume the middle slice.

    Attributes:
        shape: spatial shape of the whole image or volume.
        channels: number of channels.
        low, high, mean: of the values, in [0, 1].
        square: mean of their squares.
        digest: hash of the values.
        thumbnail: float32 [32 * 32], of mean 0 and length 1; zeros where all values are equal.
        positions: how many positions of the mask have each class; empty without a mask.
        mask_digest: hash of the mask; "" without one.
        note: what reading the image assumed or left out; None of a volume.
    """

    shape: tuple[int, ...]
    channels: int
    low: float
    high: float
    mean: float
    square: float
    digest: str
    thumbnail: npt.NDArray[np.float32]
    positions: tuple[int, ...] = ()
    mask_digest: str = ""
    note: str | None = None

    @property
    def is_flat(self) -> bool:
        """Whether all values are equal."""
        return self.low == self.high


@dataclass(kw_only=True)
class Examination:
    """The facts of the images that were decoded so far.

    Attributes:
        keep: how many bytes of decoded images may be kept.
        facts: id -> facts.
        bad: id -> why the image cannot be decoded.
        images: id -> the decoded image, of those that are kept.
    """

    keep: int = 0
    facts: dict[str, ImageFacts] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    images: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def look(self, target: Target, indices: Iterable[int], advance: Callable[[int], None] | None = None) -> Target:
        """The target without those of the images at `indices` that cannot be decoded.

        Args:
            target: of the images.
            indices: into it; images that were looked at before are not decoded again.
            advance: called with the number of images done.

        Raises:
            TargetError: too many cannot be decoded, or none may (`bad_images`), or one says that the target is misread.
        """
        found: dict[str, str] = {}
        for done, index in enumerate(indices):
            name = target.ids[index]
            if name not in self.facts:
                try:
                    self._add(name, *_decoded(target, int(index)))
                except TargetError as error:
                    self._refuse(target, error)
                    found[name] = error.message
            if advance is not None:
                advance(done + 1)
        self._count_notes(target.notes)
        if not found:
            return target
        self.bad.update(found)
        self._refuse_many(target)
        return target.without(found)

    def _add(self, name: str, image: npt.NDArray[np.float32], facts: ImageFacts) -> None:
        self.facts[name] = facts
        self.keep -= image.nbytes
        if self.keep < 0:
            self.images.clear()
        else:
            self.images[name] = image

    def _count_notes(self, notes: list[str]) -> None:
        """Say of how many images each note speaks that reading them gave."""
        for note, count in Counter(one.note for one in self.facts.values() if one.note).items():
            notes[:] = [text for text in notes if text != note and not text.startswith(f"{note} (")]
            notes.append(f"{note} ({count} of {len(self.facts)} images)")

    def _refuse(self, target: Target, error: TargetError) -> None:
        if not is_damage(error):
            raise error
        if target.bad_images == "fail":
            raise TargetError(error.message, hint=REPLACE_ONE) from error

    def _refuse_many(self, target: Target) -> None:
        looked = len(self.facts) + len(self.bad)
        if too_many_bad(len(self.bad), looked, target.bad_images):
            first = next(iter(self.bad.values()))
            raise TargetError(
                f"{len(self.bad)} of {looked} images of {target.name} cannot be read: {first_few(list(self.bad))}; "
                f"the first: {first}",
                hint=REPLACE_MANY,
            )


def _announce(done: int, total: int) -> None:
    announce(Stage(name="reading images", done=done, total=total))


def examined_draws(
    target: Target, *, samples: int | None, repeats: int, seed: int
) -> tuple[Target, list[Draw], Examination]:
    """Draws of which every image can be decoded, from the target without those that cannot.

    Images of whole draws are decoded here once, and kept for the first candidate where they fit.

    Raises:
        TargetError: as `Examination.look` and `make_draws`.
    """
    examination = Examination(keep=0 if target.task == "segmentation" or target.axes == 3 else KEEP_BYTES * repeats)
    while True:
        draws = make_draws(target, samples=samples, repeats=repeats, seed=seed)
        places = np.unique(np.concatenate([draw.indices for draw in draws])).tolist()
        sound = examination.look(target, places, partial(_announce, total=len(places)))
        if sound is target:
            break
        target = sound
    for draw in draws if target.axes == 2 and target.task != "segmentation" else ():
        draw.keep(examination.images)
    examination.images.clear()
    return target, draws, examination


def spread(count: int, most: int) -> list[int]:
    """At most `most` places among `count`, spread evenly.

    >>> spread(10, 3), spread(2, 3)
    ([0, 4, 9], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist() if count else []


def same_images(facts: Mapping[_Key, ImageFacts], *, likeness: float) -> list[tuple[_Key, _Key]]:
    """Pairs of images whose thumbnails correlate at least that much; equal ones have equal hashes, too.

    Args:
        facts: by any key; images of one value are no pair.
        likeness: correlation, up to 1.
    """
    keys = [key for key, one in facts.items() if not one.is_flat]
    if len(keys) < 2:
        return []
    rows = np.stack([facts[key].thumbnail for key in keys])
    pairs: list[tuple[_Key, _Key]] = []
    for place, row in enumerate(rows):
        close = np.flatnonzero(rows[place + 1 :] @ row >= likeness) + place + 1
        pairs += [(keys[place], keys[other]) for other in close.tolist()]
    return pairs


def size_axes(target: Target, facts: Mapping[str, ImageFacts]) -> str:
    """The order of the sides of a target's images, such as "height x width"; "" where none was decoded."""
    is_xyz = target.axes == 3 and getattr(target.images, "slice_axis", 0) == 2
    return next((axes_of_size(len(one.shape), is_xyz=is_xyz) for one in facts.values()), "")


def _decoded(target: Target, index: int) -> tuple[npt.NDArray[np.float32], ImageFacts]:
    """One image, or the middle slice of a volume, and its facts.

    Raises:
        TargetError: the image, or its mask, cannot be read.
    """
    note = None
    if target.axes == 3 or target.slices:
        image, shape = _middle_slice(target, index)
    else:
        image, note = target.read_noted(index)
        shape = image.shape[1:]
    positions: Sequence[int] = ()
    drawn = ""
    if target.task == "segmentation":
        mask = target.mask_store.mask(index)
        target.mask_store.crop(index, tuple(slice(0, 1) for _ in mask.shape))  # refuses a mask of another size
        positions = np.bincount(mask[mask >= 0].reshape(-1), minlength=len(target.classes)).tolist()
        drawn = hashlib.blake2b(str(mask.shape).encode() + mask.tobytes(), digest_size=16).hexdigest()
    return image, dataclasses.replace(_facts_of(image, shape, tuple(positions)), note=note, mask_digest=drawn)


def _middle_slice(target: Target, index: int) -> tuple[npt.NDArray[np.float32], tuple[int, ...]]:
    """The middle slice of a volume, once its last voxel could be read: a file that is cut off fails there."""
    store = target.images
    if not hasattr(store, "crop"):
        volume = target.read(index)
        return volume[:, volume.shape[1] // 2], volume.shape[1:]
    shape = tuple(store.shape(index))  # type: ignore[attr-defined]
    axis = 0 if target.slices else int(getattr(store, "slice_axis", 0))
    store.crop(index, tuple(slice(size - 1, size) for size in shape))
    middle = [slice(0, size) for size in shape]
    middle[axis] = slice(shape[axis] // 2, shape[axis] // 2 + 1)
    image, note = store.crop(index, tuple(middle))
    target.add_note(note)
    return (image if target.slices else image.squeeze(axis + 1)), shape


def _facts_of(image: npt.NDArray[np.float32], shape: tuple[int, ...], positions: tuple[int, ...]) -> ImageFacts:
    flat = np.ascontiguousarray(image).reshape(-1)
    low, high, total, square = np.float32(np.inf), np.float32(-np.inf), 0.0, 0.0
    for start in range(0, flat.size, _BLOCK):  # an image of 100 megapixels takes no second time its memory
        block = flat[start : start + _BLOCK]
        low, high = np.minimum(low, block.min()), np.maximum(high, block.max())  # NaN where any value is
        wide = block.astype(np.float64)
        total += float(wide.sum())
        square += float(np.square(wide, out=wide).sum())
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(flat.data.cast("B"))
    return ImageFacts(
        shape=tuple(map(int, shape)),
        channels=image.shape[0],
        low=float(low),
        high=float(high),
        mean=total / flat.size,
        square=square / flat.size,
        digest=digest.hexdigest(),
        thumbnail=_thumbnail(image.mean(axis=0)),
        positions=positions,
    )


def _thumbnail(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A grey image as the means of 32 x 32 cells, less their mean, of length 1."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(grey, np.float32)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    cells = np.asarray(small, np.float32).reshape(-1)
    cells = cells - cells.mean()
    length = float(np.linalg.norm(cells))
    return cells / length if length > 1e-6 else np.zeros_like(cells)
