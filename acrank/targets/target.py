"""A target and its stores: what every layout returns."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from acrank.errors import TargetError
from acrank.system.notebook import first_lines, short_name
from acrank.targets.stores.subset import SubsetStore
from acrank.targets.target_options import Task

#: In a mask: a position without a label, left out everywhere.
IGNORED = -1
#: How the note on a split that was read by default begins.
_DEFAULT_SPLIT = "split "


class ImageStore(Protocol):
    """Reads the images of a target one by one; picklable, and nothing is decoded before `read`.

    Methods of stores raise TargetError if a file is damaged or does not fit the others.
    """

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """One image or volume, float32 [C, ...] in [0, 1], and a note if its value range had to be assumed."""
        ...

    def raw(self, index: int) -> bytes:
        """The stored bytes of one image."""
        ...


class PartStore(ImageStore, Protocol):
    """An image store that can read part of an image, without the rest if the file format allows it."""

    def shape(self, index: int) -> tuple[int, ...]:
        """Spatial shape of one image: [H, W] or [X, Y, Z]; [slices, H, W] if volumes are read as slices."""
        ...

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """As `read`, but only the part given by one slice per spatial axis."""
        ...


class MaskedStore(PartStore, Protocol):
    """A part store with one mask per image."""

    def mask(self, index: int) -> np.ndarray:
        """The mask of one image, int16 of its spatial shape: class indices, or IGNORED."""
        ...

    def raw_mask(self, index: int) -> bytes:
        """The stored bytes of one mask."""
        ...


@dataclass(frozen=True)
class Labels:
    """Encoded labels: see `Target` for shapes and dtypes of `values`."""

    task: Task
    values: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of_masks(cls, count: int, classes: tuple[str, ...]) -> Labels:
        """Labels of `count` images with masks: zeros, for the labels are in the masks."""
        return cls("segmentation", np.zeros(count, np.int64), classes)


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """A store and what a `Target` records about it (see there); `groups` names the patient, or other group, of each."""

    store: ImageStore
    axes: int = 2
    read_options: str = ""
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Target:
    """Labelled images to rank candidates on; an image is decoded only when it is read.

    Attributes:
        name: name of the folder, or of the file without its suffix.
        layout: "folders", "npz", "hdf5", "table", "masks", "decathlon" or "nnunet".
        task: one of `TASKS`.
        ids: one name per image, sorted and unique; labels and indices follow this order.
        labels: int64 [N] indices into `classes` (classification), int64 [N, k] of 0 and 1 (multilabel),
            float64 [N] (regression), zeros (segmentation, where the labels are in the masks).
        classes: names of the classes, or of the k labels; empty for regression.
        images: the store that reads the images; for segmentation a `MaskedStore`.
        notes: remarks for the user, such as files left out.
        axes: spatial axes of a network's input: 2 for images and for slices of volumes, 3 for volumes.
        slices: number of adjacent slices of a volume that become channels; None for whole images or volumes.
        groups: what images belong together, such as the patient of each; None where it is not known.
        read_options: options that change the values read (intensities, spacing, slices); empty for images.
        split: the split that was read, or "all"; None where the target has none.
        bad_images: what is done about images that cannot be decoded, one of `BAD_IMAGES`.
        doubts: what is done about a target that cannot be right, one of `DOUBTS`.
        left_out: (id, reason) of each image that cannot be decoded.
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
    read_options: str = ""
    groups: tuple[str, ...] | None = None
    split: str | None = None
    bad_images: str = "skip"
    doubts: str = "refuse"
    left_out: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        split = f", split {short_name(self.split)}" if self.split else ""
        groups = [] if self.groups is None else [f"{len(set(self.groups))} groups"]
        left_out = [f"left out: {len(self.left_out)}"] if self.left_out else []
        names = [f"classes: {first_few([short_name(one) for one in self.classes])}"] if self.classes else []
        head = f"<Target {short_name(self.name)}: {self.task}, {len(self)} images, layout {self.layout}{split}"
        return "\n".join([head, *first_lines([*names, *groups, *left_out])]) + ">"

    @property
    def left_right(self) -> int:
        """The axis, counted from the end, that runs from left to right: x of volumes in RAS+, else the last."""
        is_ras = self.axes == 3 and getattr(self.images, "slice_axis", 0) == 2
        return -3 if is_ras else -1

    @property
    def colour(self) -> bool:
        """True if three channels mean red, green and blue; in volumes they are modalities or slices."""
        return self.axes == 2 and self.slices is None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of layout, task, classes, ids, labels, read options and groups; reads no image."""
        header = json.dumps([self.layout, self.task, self.classes, self.labels.shape], ensure_ascii=True)
        digest = hashlib.sha256(header.encode())
        digest.update("\0".join(self.ids).encode("utf-8", "surrogateescape"))
        digest.update(b"\0\0")
        digest.update(self.labels.astype("<f8" if self.task == "regression" else "<i8").tobytes())
        if self.read_options:
            digest.update(b"\0\0" + self.read_options.encode())
        if self.groups is not None:
            digest.update(b"\0\0groups\0" + "\0".join(self.groups).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def read(self, index: int) -> np.ndarray:
        """One image or volume, float32 [C, H, W] or [C, X, Y, Z] in [0, 1].

        Raises:
            TargetError: it cannot be read; the message names it.
            IndexError: the index is out of range.
        """
        image, note = self.read_noted(index)
        self.add_note(note)
        return image

    def read_noted(self, index: int) -> tuple[np.ndarray, str | None]:
        """As `read`, with what reading assumed or left out, which is not added to the notes."""
        return self.images.read(range(len(self))[index])

    def add_note(self, text: str | None) -> None:
        """Append a note, unless it is None or there already, alone or followed by a count."""
        if text and not any(note in (text,) or note.startswith(f"{text} (") for note in self.notes):
            self.notes.append(text)

    def without(self, reasons: Mapping[str, str]) -> Target:
        """The target without some images.

        Args:
            reasons: id -> why the image is left out.

        Raises:
            TargetError: a class has no other image.
        """
        places = [place for place, name in enumerate(self.ids) if name not in reasons]
        labels = self.labels[places]
        if self.task == "classification" and len(lost := np.setdiff1d(self.labels, labels)):
            raise TargetError(
                f"no image of {first_few([self.classes[one] for one in lost])} can be read: {next(iter(reasons))}",
                hint="replace the files, or take the class out of the target",
            )
        more: dict[str, Any] = {}
        if groups := getattr(self, "groups", None):
            more["groups"] = tuple(groups[place] for place in places)
        return dataclasses.replace(
            self,
            ids=tuple(self.ids[place] for place in places),
            labels=labels,
            images=SubsetStore(self.images, tuple(places)),
            left_out=(*self.left_out, *reasons.items()),
            **more,
        )

    def raw_digest(self, indices: Iterable[int]) -> str:
        """SHA-256 of these images (and masks) as stored, in the given order, without decoding them.

        Raises:
            TargetError: an image cannot be read.
            IndexError: an index is out of range.
        """
        digest = hashlib.sha256()
        for index in indices:
            place = range(len(self))[int(index)]
            parts = [self.images.raw(place)]
            if self.task == "segmentation":
                parts.append(self.mask_store.raw_mask(place))
            for raw in parts:
                digest.update(len(raw).to_bytes(8, "little"))
                digest.update(raw)
        return digest.hexdigest()

    @property
    def mask_store(self) -> MaskedStore:
        """The images of a segmentation target with their masks.

        Raises:
            TargetError: the target has no masks.
        """
        if self.task != "segmentation":
            raise TargetError(f"{self.name} has no masks", hint="it is a target for classification or regression")
        return cast(MaskedStore, self.images)


def build_target(
    path: Path, *, layout: str, ids: tuple[str, ...], labels: Labels, info: StoreInfo, notes: Sequence[str]
) -> Target:
    """The target at a path, named after the folder or file."""
    name = path.absolute().name if path.is_dir() else path.absolute().stem
    return Target(
        name=name,
        layout=layout,
        task=labels.task,
        ids=ids,
        labels=labels.values,
        classes=labels.classes,
        images=info.store,
        notes=[*notes, *labels.notes, *info.notes],
        axes=info.axes,
        read_options=info.read_options,
        groups=info.groups,
    )


def first_few(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many more there are.

    >>> first_few(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def split_in_use(split: str | None, notes: Sequence[str]) -> str | None:
    """The split that was read: the given one, or the default that `choose_splits` noted; None where there is none.

    >>> split_in_use(None, ['split "train" of test, train ("all" joins them)']), split_in_use("val", [])
    ('train', 'val')
    """
    default = next((note for note in notes if note.startswith(f'{_DEFAULT_SPLIT}"')), None)
    return split or (default.split('"')[1] if default else None)
