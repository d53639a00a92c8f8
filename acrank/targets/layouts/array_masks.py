"""Images and volumes within arrays, with arrays of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from acrank.errors import TargetError
from acrank.targets.mask_values import MaskValues, mask_values_of
from acrank.targets.stores.array_items import ArrayStore, ItemStore, StoredArray, item_count, make_array_store


@dataclass(frozen=True, kw_only=True)
class MaskedArrayStore(ArrayStore):
    """Images or volumes with one mask each.

    Attributes:
        masks: the masks, in the order of the images.
        mask_values: the class of each of their values.
    """

    masks: ItemStore
    mask_values: MaskValues

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 of the image's spatial shape: class indices, or IGNORED."""
        raw = _whole_numbers(self.masks, index)
        return self.mask_values.to_classes(raw, f"{self.masks.where}: mask {index}").reshape(self.shape(index))

    def raw_mask(self, index: int) -> bytes:
        return self.masks.raw(index)


def make_masked_store(
    where: str, parts: dict[str, StoredArray], masks: Sequence[StoredArray], *, intensity: str | None, notes: list[str]
) -> MaskedArrayStore:
    """The images or volumes of all splits with their masks; the classes are inferred from up to 64 masks.

    Args:
        where: the file and the masks' key, for messages.
        masks: the arrays of masks, in the order of the parts.
        parts, intensity, notes: as for `make_array_store`.

    Raises:
        TargetError, UsageError: as `make_array_store`, or the values of masks are not classes.
    """
    plain = make_array_store(where, parts, intensity=intensity, mask=mask_shape(masks[0]), notes=notes)
    stored = ItemStore(where, tuple(masks))
    mask_values = mask_values_of(partial(_whole_numbers, stored), sum(map(item_count, masks)), where)
    notes.append(mask_values.note)
    return MaskedArrayStore(**vars(plain), masks=stored, mask_values=mask_values)


def mask_shape(masks: StoredArray) -> tuple[int, ...]:
    """The spatial shape of a mask: its shape without an axis of one channel."""
    shape = masks.shape[1:]
    if len(shape) < 3 or 1 not in (shape[0], shape[-1]):
        return shape
    return shape[1:] if shape[0] == 1 else shape[:-1]


def _whole_numbers(masks: ItemStore, index: int) -> np.ndarray:
    raw = masks.item(index)
    if raw.dtype.kind == "f" and not (raw == np.floor(raw)).all():
        raise TargetError(f"{masks.where}: mask {index} holds fractions", hint="masks must be class values")
    return raw.astype(np.int16) if raw.dtype.kind == "b" else raw
