"""What every reader returns, and what every reader is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, cast

import numpy as np

from acrank.errors import TargetError

Task = Literal["classification", "multilabel", "regression", "segmentation"]
TASKS: tuple[Task, ...] = ("classification", "multilabel", "regression", "segmentation")
#: What folders of splits are called, lower case.
SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
#: Millimetres between the positions of a volume, along each axis.
Spacing = tuple[float, float, float]
#: In a mask: a position that counts for nothing.
IGNORED = -1


@dataclass(frozen=True)
class Options:
    """What a user may say about a target; each reader lists in its `USES` which of these it understands."""

    images_key: str | None = None
    labels_key: str | None = None
    split: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    task: Task | None = None
    intensity: str | None = None
    slices: int | None = None
    spacing: Spacing | None = None


class ImageStore(Protocol):
    """Where the images of a target lie; picklable, and nothing is decoded before `read`."""

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """One image or volume, float32 [C, ...] in [0, 1], and what had to be assumed about its scale."""
        ...

    def raw(self, index: int) -> bytes:
        """One image as it is stored."""
        ...


class PartStore(ImageStore, Protocol):
    """Images or volumes of which parts are read, without the rest where files allow it."""

    def shape(self, index: int) -> tuple[int, ...]:
        """Spatial sizes of one image, [H, W] or [X, Y, Z]; of a volume in slices [slices, H, W]."""
        ...

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one image, float32 [C, ...] in [0, 1], and what had to be assumed about its scale."""
        ...


class MaskedStore(PartStore, Protocol):
    """Images or volumes with a mask each; picklable."""

    def mask(self, index: int) -> np.ndarray:
        """The mask of one image, int16 of its spatial sizes: class indices, or IGNORED."""
        ...

    def raw_mask(self, index: int) -> bytes:
        """One mask as it is stored."""
        ...


@dataclass(frozen=True, eq=False)
class Target:
    """Labelled images to rank candidates for; images are decoded only when they are read.

    Attributes:
        name: the folder's or file's name.
        layout: which reader opened it: "folders", "npz", "hdf5", "table", "masks", "decathlon" or "nnunet".
        task: "classification", "multilabel", "regression" or "segmentation".
        ids: one name per image, sorted and unique; every other order follows this one.
        labels: int64 [N] indices into `classes` (classification), int64 [N, k] of 0 and 1 (multilabel),
            float64 [N] (regression), zeros (segmentation, where the labels are in the masks).
        classes: names of the classes, of the k labels, or of what a mask's values mean; empty for regression.
        images: where the images lie; for segmentation a `MaskedStore`.
        notes: what a reader of the results should know, such as files left out.
        axes: spatial axes of what candidates are shown: 2 for images and for slices of volumes, 3 for volumes.
        slices: how many adjacent slices of a volume are the channels of an image; None where it is not cut.
        reading: what the values depend on beside the files (intensities, spacing, slices); empty for images.
    """

    name: str
    layout: str
    task: Task
    ids: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    images: ImageStore
    notes: list[str] = field(default_factory=list)
    axes: int = 2
    slices: int | None = None
    reading: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def left_right(self) -> int:
        """The axis, counted from the end, that runs from left to right: x of volumes in RAS+, else the last."""
        is_ras = self.axes == 3 and getattr(self.images, "slice_axis", 0) == 2
        return -3 if is_ras else -1

    @property
    def colour(self) -> bool:
        """Whether three channels are red, green and blue; those of volumes are modalities, or slices."""
        return self.axes == 2 and self.slices is None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hexadecimal digits) of layout, task, classes, ids, labels and reading; no image is looked at."""
        about = json.dumps([self.layout, self.task, self.classes, self.labels.shape], ensure_ascii=True)
        digest = hashlib.sha256(about.encode())
        digest.update("\0".join(self.ids).encode("utf-8", "surrogateescape"))
        digest.update(b"\0\0")
        digest.update(self.labels.astype("<f8" if self.task == "regression" else "<i8").tobytes())
        if self.reading:
            digest.update(b"\0\0" + self.reading.encode())
        return digest.hexdigest()

    def read(self, index: int) -> np.ndarray:
        """One image or volume, float32 [C, H, W] or [C, X, Y, Z] in [0, 1].

        Raises:
            TargetError: it cannot be read; the message names it.
            IndexError: there is no such image.
        """
        image, assumption = self.images.read(range(len(self))[index])
        if assumption and assumption not in self.notes:
            self.notes.append(assumption)
        return image

    def raw_digest(self, indices: Iterable[int]) -> str:
        """SHA-256 of these images (and masks) as they are stored, in the order given, without decoding them.

        Raises:
            TargetError: an image cannot be read.
            IndexError: there is no such image.
        """
        digest = hashlib.sha256()
        for index in indices:
            place = range(len(self))[int(index)]
            parts = [self.images.raw(place)]
            if self.task == "segmentation":
                parts.append(self.masked.raw_mask(place))
            for raw in parts:
                digest.update(len(raw).to_bytes(8, "little"))
                digest.update(raw)
        return digest.hexdigest()

    @property
    def masked(self) -> MaskedStore:
        """The images of a segmentation target, with their masks.

        Raises:
            TargetError: the target has no masks.
        """
        if self.task != "segmentation":
            raise TargetError(f"{self.name} has no masks", hint="it is a target for classification or regression")
        return cast(MaskedStore, self.images)


def name_of(path: Path) -> str:
    """A target's name: the folder's name, or the file's without its suffix."""
    whole = path.absolute()
    return whole.name if path.is_dir() else whole.stem


def listing(names: Sequence[str], limit: int = 5) -> str:
    """A few names and how many more there are.

    >>> listing(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def choose_splits(split: str | None, available: Sequence[str], where: Path, notes: list[str]) -> list[str]:
    """Which splits to read, in sorted order: the one asked for, all of them for "all", else "train".

    Empty where the target has no splits.

    Raises:
        TargetError: there is no such split.
    """
    there = sorted(available)
    if not there and split in (None, "all"):
        return []
    if not there:
        raise TargetError(f"{where} has no splits, so no split {split!r}", hint="leave the split out")
    if split == "all":
        return there
    wanted = split or "train"
    if wanted not in there:
        raise TargetError(
            f"{where} has no split {wanted!r}, only {listing(there)}", hint='name one of them, or "all" to join them'
        )
    if split is None and len(there) > 1:
        notes.append(f'split "train" of {", ".join(there)} ("all" joins them)')
    return [wanted]
