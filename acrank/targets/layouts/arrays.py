"""What .npz and HDF5 targets share: which arrays to read, and images or volumes within arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.labels import Labels, encode
from acrank.targets.layouts.array_masks import are_masks, with_masks
from acrank.targets.stores.array_items import ArrayStore, StoredArray, length, store_of
from acrank.targets.target import Options, Target, choose_splits, listing, name_of

_SPLITS = ("train", "val", "test")
_JOINTS = ("_", "/")  # train_images, or a group train with images


@dataclass(frozen=True)
class Choice:
    """Arrays to read: the split ("" where there are none) and the keys of images and of labels or masks."""

    split: str
    images: str
    labels: str


def open_arrays(
    path: Path,
    options: Options,
    *,
    layout: str,
    keys: Sequence[str],
    array: Callable[[str], StoredArray],
    labels: Callable[[str], np.ndarray],
) -> Target:
    """A target from a file of named arrays; masks instead of labels make it one for segmentation.

    Args:
        path: the file.
        options: keys, split, task and intensity.
        layout: what to call the layout.
        keys: names of the arrays in the file.
        array: opens one array of images or masks without reading it.
        labels: reads one array of labels.

    Raises:
        TargetError: keys or splits not found, lengths that differ, no images, or labels that cannot be used.
    """
    notes: list[str] = []
    choices = _choices(path, options, keys, notes)
    parts = {one.images: array(one.images) for one in choices}
    if options.task in (None, "segmentation") and all(
        are_masks(str(path), parts[one.images], one.images, array(one.labels), one.labels) for one in choices
    ):
        return _masked(path, options, layout, choices, parts, [array(one.labels) for one in choices], notes)
    found = [labels(one.labels) for one in choices]
    ids = _ids(path, choices, parts, [len(values) if values.ndim else 0 for values in found])
    encoded = encode(_joined(found, path), ids=ids, task=options.task, where=str(path))
    store = store_of(str(path), parts, intensity=options.intensity, mask=None, notes=notes)
    notes += encoded.notes
    return _target(path, layout, ids, encoded, store, notes)


def _masked(
    path: Path,
    options: Options,
    layout: str,
    choices: Sequence[Choice],
    parts: dict[str, StoredArray],
    masks: Sequence[StoredArray],
    notes: list[str],
) -> Target:
    """A target of images or volumes with masks."""
    ids = _ids(path, choices, parts, [length(mask) for mask in masks])
    where = f"{path}: {choices[0].labels!r}"
    store = with_masks(where, parts, tuple(masks), options.intensity, notes)
    notes.append(store.coding.note)
    labels = Labels("segmentation", np.zeros(len(ids), np.int64), store.coding.classes)
    return _target(path, layout, ids, labels, store, notes)


def _target(
    path: Path, layout: str, ids: tuple[str, ...], labels: Labels, store: ArrayStore, notes: list[str]
) -> Target:
    return Target(
        name_of(path),
        layout,
        labels.task,
        ids,
        labels.values,
        labels.classes,
        store,
        notes,
        axes=store.form.axes,
        reading=str(store.rule or ""),
    )


def _choices(path: Path, options: Options, keys: Sequence[str], notes: list[str]) -> list[Choice]:
    if options.images_key is None and options.labels_key is None:
        prefixes = {name: f"{name}{joint}" for name in _SPLITS for joint in _JOINTS if f"{name}{joint}images" in keys}
        chosen = choose_splits(options.split, list(prefixes), path, notes) if prefixes else []
        if chosen:
            return [
                Choice(name, f"{prefixes[name]}images", _labels_key(path, prefixes[name], options, keys, notes))
                for name in chosen
            ]
    images = _present(path, options.images_key or "images", keys)
    labels = options.labels_key and _present(path, options.labels_key, keys)
    choice = Choice("", images, labels or _labels_key(path, "", options, keys, notes))
    choose_splits(options.split, [], path, notes)
    return [choice]


def _labels_key(path: Path, prefix: str, options: Options, keys: Sequence[str], notes: list[str]) -> str:
    """Labels go before masks where both are there, unless the task is segmentation."""
    names = [f"{prefix}{name}" for name in ("labels", "masks")]
    if options.task == "segmentation":
        names.reverse()
    there = [name for name in names if name in keys]
    if len(there) == 2 and options.task is None:
        notes.append(f"{names[1]} are left out: {names[0]} are there (the task segmentation takes the masks)")
    return there[0] if there else _present(path, f"{prefix}labels", keys)


def _present(path: Path, key: str, keys: Sequence[str]) -> str:
    if key not in keys:
        there = listing(sorted(keys), 12) or "nothing"
        raise TargetError(
            f"{path} has no array {key!r}; it has: {there}", hint="name the arrays: --images-key and --labels-key"
        )
    return key


def _ids(path: Path, choices: Sequence[Choice], parts: dict[str, StoredArray], given: Sequence[int]) -> tuple[str, ...]:
    """Names that sort in the order of the arrays, once there are as many labels as images."""
    found: list[str] = []
    for one, labels in zip(choices, given, strict=True):
        count = length(parts[one.images])
        if count != labels:
            raise TargetError(
                f"{path}: {count} images in {one.images!r}, {labels} labels in {one.labels!r}",
                hint="there must be one label per image, in the same order",
            )
        if count == 0:
            raise TargetError(f"no images in {path}: {one.images!r} is empty", hint="name another array or split")
        width = len(str(count - 1))
        prefix = f"{one.split}/" if one.split else ""
        found += [f"{prefix}{place:0{width}d}" for place in range(count)]
    return tuple(found)


def _joined(found: list[np.ndarray], path: Path) -> np.ndarray:
    if len({values.shape[1:] for values in found}) > 1:
        raise TargetError(f"{path}: the splits' labels have different shapes", hint="read one split")
    return np.concatenate(found)
