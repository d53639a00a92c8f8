"""Images and volumes within arrays on disk, read item by item."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.intensity import Intensity, parse_intensity, rescale
from acrank.targets.stores.item_axes import ItemAxes, item_axes_of
from acrank.targets.stores.reading import MOST_OF_IMAGE, MOST_OF_VOLUME, check_decoded
from acrank.targets.stores.size_words import axes_of_size, size_text
from acrank.targets.stores.value_range import FULL_RANGE, ValueRange, sampled_range

_BYTES_OF_COPIES = 8  # of a value as float32, scaled in place, and in the order of channels


class StoredArray(Protocol):
    """An array on disk [N, ...], of which single items are read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def item(self, index: int) -> np.ndarray:
        """The item at `index` along the first axis."""
        ...


@dataclass(frozen=True)
class ItemStore:
    """The items of one array or of several (one per split), in order.

    Attributes:
        where: the file, for messages.
        parts: the arrays.
    """

    where: str
    parts: tuple[StoredArray, ...]

    def locate(self, index: int) -> tuple[StoredArray, int]:
        """The array that holds an item, and the item's index in it."""
        for part in self.parts[:-1]:
            if index < item_count(part):
                return part, index
            index -= item_count(part)
        return self.parts[-1], index

    def item(self, index: int) -> np.ndarray:
        """One item as it is stored; a large one is held against what its float32 copies take."""
        part, place = self.locate(index)
        values = math.prod(part.shape[1:])
        most = MOST_OF_IMAGE if len(part.shape) < 4 else MOST_OF_VOLUME
        check_decoded(values * (part.dtype.itemsize + _BYTES_OF_COPIES), f"{self.where}: item {index}", most=most)
        return part.item(place)

    def raw(self, index: int) -> bytes:
        """The bytes of one item's values, after its dtype and shape."""
        values = np.ascontiguousarray(self.item(index))
        return f"{values.dtype.str}{values.shape}".encode() + values.tobytes()


@dataclass(frozen=True, kw_only=True)
class ArrayStore:
    """Images or volumes within arrays.

    Attributes:
        items: the arrays.
        axes: of an item.
        values: what the stored values of images mean.
        rule: how a volume's values are scaled to [0, 1]; None takes them as those of images.
        slice_axis: the spatial axis along which a volume's slices are stacked.
    """

    items: ItemStore
    axes: ItemAxes
    values: ValueRange = FULL_RANGE
    rule: Intensity | None = None
    slice_axis: ClassVar[int] = 0

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        where = f"{self.items.where}: image {index}"
        item = self.axes.to_channels_first(self.items.item(index))
        if self.rule is None:
            image, assumption = self.values.to_unit(item, where=where)
            return np.ascontiguousarray(image), assumption
        if not np.isfinite(item).all():
            raise TargetError(f"{where} holds values that are not finite", hint="replace NaN in the array")
        return np.stack([rescale(channel, *self.rule.limits(channel)) for channel in item]), None

    def raw(self, index: int) -> bytes:
        return self.items.raw(index)

    def shape(self, index: int) -> tuple[int, ...]:
        return self.axes.spatial_shape(self.items.locate(index)[0].shape[1:])

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one image or volume, which is read whole: its intensity limits are those of the whole."""
        image, assumption = self.read(index)
        return image[(slice(None), *where)], assumption


def make_array_store(
    path: str, parts: dict[str, StoredArray], *, intensity: str | None, mask: tuple[int, ...] | None, notes: list[str]
) -> ArrayStore:
    """The images of all splits.

    Args:
        path: the file, for messages.
        parts: key -> array of images.
        intensity: the user's rule for volumes.
        mask: spatial shape of the first item's mask, if there are masks.
        notes: assumptions are appended here.

    Raises:
        TargetError: splits with different axes, or values without a known range.
        UsageError: an unknown intensity rule.
    """
    orders = {item_axes_of(part.shape[1:], f"{path}: {key!r}", mask) for key, part in parts.items()}
    if len(orders) > 1:
        raise TargetError(f"{path}: the splits' images have different axes", hint="read one split")
    (axes,) = orders
    items = ItemStore(path, tuple(parts.values()))
    if axes.spatial == 3:
        if mask is None and axes.channel is None:
            notes.extend(_volume_note(next(iter(parts.values())).shape[1:]))
        return ArrayStore(items=items, axes=axes, rule=_volume_rule(path, parts, intensity, notes=notes))
    for key, part in parts.items():  # refuses a dtype without a known range before any image is read
        FULL_RANGE.to_unit(np.zeros((1, 1), part.dtype), where=f"{path}: {key!r}")
    rule = None if intensity is None else parse_intensity(intensity, "unknown")
    is_deep = any(part.dtype not in (np.bool_, np.uint8) for part in parts.values())
    values, said = sampled_range(items.item, sum(map(item_count, items.parts)) if is_deep else 0, path, rule=rule)
    notes.extend(said)
    return ArrayStore(items=items, axes=axes, values=values)


def item_count(array: StoredArray) -> int:
    """The number of items in an array."""
    return array.shape[0] if array.shape else 0


def _volume_note(shape: tuple[int, ...]) -> list[str]:
    """What each axis is taken for, where one may be of more channels than four, or out of place.

    >>> _volume_note((32, 32, 13))[0][:84]
    'each item of shape [32, 32, 13] is a volume of 32 slices of 32 x 13 (height x width)'
    >>> _volume_note((28, 28, 28))
    []
    """
    low, *others = sorted(shape)
    if len(set(others)) > 1 or low == others[0]:
        return []
    return [
        f"each item of shape {list(shape)} is a volume of {shape[0]} slices of {size_text(shape[1:])} "
        f"({axes_of_size(2)}): no axis is taken for channels, of up to 4"
    ]


def _volume_rule(
    path: str, parts: dict[str, StoredArray], intensity: str | None, *, notes: list[str]
) -> Intensity | None:
    """The user's rule; without one None (the full range) for bytes and percentiles for other numbers."""
    for key, part in parts.items():
        if part.dtype.kind not in "buif":
            raise TargetError(f"{path}: {key!r}: volumes of {part.dtype}", hint="store numbers")
    full_range = intensity is None and all(part.dtype in (np.bool_, np.uint8) for part in parts.values())
    rule = None if full_range else parse_intensity(intensity, "unknown")
    notes.append(f"intensities: volumes: {rule or 'the full range of their dtype'}")
    return rule
