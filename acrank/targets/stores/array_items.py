"""Images and volumes within arrays on disk, read item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.images import float_top, to_unit
from acrank.targets.stores.intensity import Intensity, intensity_named, unit
from acrank.targets.stores.item_axes import Form, form_of

_PROBED = 64


class StoredArray(Protocol):
    """An array on disk [N, ...], of which single items are read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def item(self, index: int) -> np.ndarray:
        """The item at `index` along the first axis."""
        ...


@dataclass(frozen=True)
class ItemStore:
    """Items of one array or of several (splits), one after the other.

    Attributes:
        where: the file, for messages.
        parts: the arrays.
        starts: place of each part's first item.
    """

    where: str
    parts: tuple[StoredArray, ...]
    starts: tuple[int, ...]

    def item(self, index: int) -> np.ndarray:
        """One item as it is stored."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].item(index - self.starts[part])

    def raw(self, index: int) -> bytes:
        """The values' bytes after their dtype and shape."""
        values = np.ascontiguousarray(self.item(index))
        return f"{values.dtype.str}{values.shape}".encode() + values.tobytes()


@dataclass(frozen=True)
class ArrayStore(ItemStore):
    """Images or volumes within arrays.

    Attributes:
        form: how an item lies.
        top: for images of floats, the value of full intensity.
        rule: how a volume's values become [0, 1]; None goes by the dtype, as images do.
        slice_axis: the spatial axis of a volume on which slices follow each other.
    """

    form: Form
    top: float | None = None
    rule: Intensity | None = None
    slice_axis: ClassVar[int] = 0

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """One image or volume, float32 [C, ...] in [0, 1], and what was assumed about its scale."""
        where = f"{self.where}: image {index}"
        item = self.form.first(self.item(index))
        if self.rule is None:
            image, assumption = to_unit(item, where=where, top=self.top)
            return np.ascontiguousarray(image), assumption
        if not np.isfinite(item).all():
            raise TargetError(f"{where} holds values that are not finite", hint="replace NaN in the array")
        return np.stack([unit(channel, *self.rule.limits(channel)) for channel in item]), None

    def shape(self, index: int) -> tuple[int, ...]:
        """Spatial sizes of one image or volume."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        shape = self.parts[part].shape[1:]
        return {None: shape, 0: shape[1:], -1: shape[:-1]}[self.form.channel]

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one image or volume, which is read whole: limits are those of the whole."""
        image, assumption = self.read(index)
        return image[(slice(None), *where)], assumption


def store_of(
    path: str,
    parts: dict[str, StoredArray],
    *,
    intensity: str | None,
    mask: tuple[int, ...] | None,
    notes: list[str],
) -> ArrayStore:
    """The images of all splits, all of one form.

    Args:
        path: the file, for messages.
        parts: key -> array of images.
        intensity: the user's rule for volumes.
        mask: spatial sizes of the first item's mask, where there are masks.
        notes: what was assumed is added here.

    Raises:
        TargetError: splits of different forms, or values of no known range.
        UsageError: no such rule.
    """
    forms = {form_of(part.shape[1:], f"{path}: {key!r}", mask) for key, part in parts.items()}
    if len(forms) > 1:
        raise TargetError(f"{path}: the splits' images lie in different ways", hint="read one split")
    form = forms.pop()
    arrays = tuple(parts.values())
    if form.axes == 3:
        rule = _volume_rule(path, parts, intensity, notes)
        return ArrayStore(path, arrays, starts_of(arrays), form, rule=rule)
    for key, part in parts.items():  # an empty stand-in takes the place of an image
        to_unit(np.zeros((1, 1), part.dtype), where=f"{path}: {key!r}")
    return ArrayStore(path, arrays, starts_of(arrays), form, top=_top(path, arrays[0], notes))


def starts_of(parts: Sequence[StoredArray]) -> tuple[int, ...]:
    """Place of each part's first item."""
    lengths = [length(part) for part in parts]
    return tuple(int(place) for place in np.cumsum([0, *lengths[:-1]]))


def length(array: StoredArray) -> int:
    """How many items an array holds."""
    return array.shape[0] if array.shape else 0


def _volume_rule(path: str, parts: dict[str, StoredArray], intensity: str | None, notes: list[str]) -> Intensity | None:
    """The user's rule; else bytes keep their whole range, and all other numbers go by percentiles."""
    odd = next(
        (f"{path}: {key!r}: volumes of {part.dtype}" for key, part in parts.items() if part.dtype.kind not in "buif"),
        None,
    )
    if odd:
        raise TargetError(odd, hint="store numbers")
    plain = intensity is None and all(part.dtype in (np.bool_, np.uint8) for part in parts.values())
    rule = None if plain else intensity_named(intensity, "unknown")
    notes.append(f"intensities: volumes: {rule or 'the whole range of their type'}")
    return rule


def _top(path: str, images: StoredArray, notes: list[str]) -> float | None:
    """The scale of float images, from the first of them: a dark image alone could not tell."""
    if images.dtype.kind != "f":
        return None
    probed = min(_PROBED, images.shape[0])
    tops = [float_top(images.item(place), f"{path}: image {place}") for place in range(probed)]
    notes.append(f"float images taken to lie in [0, {max(tops):g}]")
    return max(tops)
