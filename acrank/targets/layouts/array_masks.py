"""Images and volumes within arrays, with arrays of masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError
from acrank.targets.mask_values import Coding, coding_of, probed
from acrank.targets.stores.array_items import ArrayStore, ItemStore, StoredArray, starts_of, store_of


@dataclass(frozen=True)
class MaskedArrayStore(ArrayStore):
    """Images or volumes with a mask each.

    Attributes:
        masks: the masks, in the order of the images.
        coding: what their values mean.
    """

    masks: ItemStore = ItemStore("", (), ())  # noqa: RUF009 - frozen; a default only because the parent has some
    coding: Coding = Coding(())  # noqa: RUF009

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 of the image's spatial sizes: class indices, or IGNORED.

        Raises:
            TargetError: values that are no whole numbers, or no classes.
        """
        where = f"{self.masks.where}: mask {index}"
        return self.coding.coded(_numbers(self.masks, index), where).reshape(self.shape(index))

    def raw_mask(self, index: int) -> bytes:
        """The values' bytes after their dtype and shape."""
        return self.masks.raw(index)


def are_masks(path: str, images: StoredArray, images_key: str, labels: StoredArray, labels_key: str) -> bool:
    """Whether an array of labels holds masks: numbers of more than two axes, of the sizes of the images.

    Raises:
        TargetError: so many axes, but of other sizes.
    """
    if len(labels.shape) < 3 or labels.dtype.kind not in "buif":
        return False
    shape, spatial = images.shape[1:], _spatial(labels)
    if spatial in (shape, shape[1:], shape[:-1]):
        return True
    told = f"masks {labels_key!r} of shape {list(labels.shape)}, images {images_key!r} of {list(images.shape)}"
    raise TargetError(
        f"{path}: {told}",
        hint="masks must have the sizes of their images and one channel; labels must be [N], or [N, k] of 0 and 1",
    )


def with_masks(
    where: str, parts: dict[str, StoredArray], masks: tuple[StoredArray, ...], intensity: str | None, notes: list[str]
) -> MaskedArrayStore:
    """Images or volumes with their masks; the classes are told from up to 64 masks.

    Args:
        where: the file and the masks' key, for messages.
        parts: key -> array of images.
        masks: the arrays of masks, in the order of the parts.
        intensity: the user's rule for volumes.
        notes: what was assumed is added here.

    Raises:
        TargetError: splits of different forms, values of no known range, or masks that are no classes.
        UsageError: no such rule.
    """
    plain = store_of(where, parts, intensity=intensity, mask=_spatial(masks[0]), notes=notes)
    stored = ItemStore(where, masks, starts_of(masks))
    count = sum(mask.shape[0] for mask in masks)
    coding = coding_of((_numbers(stored, place) for place in probed(count)), where)
    return MaskedArrayStore(
        plain.where, plain.parts, plain.starts, plain.form, plain.top, plain.rule, masks=stored, coding=coding
    )


def _spatial(masks: StoredArray) -> tuple[int, ...]:
    """A mask's sizes without its axis of one channel, where it has one."""
    shape = masks.shape[1:]
    if len(shape) < 3 or 1 not in (shape[0], shape[-1]):
        return shape
    return shape[1:] if shape[0] == 1 else shape[:-1]


def _numbers(masks: ItemStore, index: int) -> np.ndarray:
    raw = masks.item(index)
    if raw.dtype.kind == "f" and not (raw == np.floor(raw)).all():
        raise TargetError(f"{masks.where}: mask {index} holds fractions", hint="masks must be class values")
    return raw.astype(np.int16) if raw.dtype.kind == "b" else raw
