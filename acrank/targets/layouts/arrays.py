"""The shared part of .npz and HDF5 targets: which arrays to read, and a target from them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.system.words import closest
from acrank.targets.labels import encode_labels
from acrank.targets.layouts.array_names import is_plain, usual_names
from acrank.targets.mask_values import MaskValues, mask_values_of
from acrank.targets.split_names import choose_splits
from acrank.targets.stores.array_items import ArrayStore, ItemStore, StoredArray, item_count, make_array_store
from acrank.targets.stores.reading import check_count
from acrank.targets.target import Labels, StoreInfo, Target, build_target, first_few
from acrank.targets.target_options import TargetOptions

USES = frozenset({"images_key", "labels_key", "split", "task", "intensity", "slices", "ignore_value", "labels_file"})

_SPLITS = ("train", "val", "test")
_OF_LABELS = ("labels", "masks")
_PAIRS_OF_FILES = (("x", "y"), ("X", "Y"), ("X", "y"), ("images", "labels"), ("images", "masks"), ("data", "labels"))


@dataclass(frozen=True)
class _Keys:
    """The keys of one split's images and of its labels or masks; the split is "" if there are none."""

    split: str
    images: str
    labels: str


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


@dataclass(frozen=True, kw_only=True)
class ArrayFile:
    """A file of named arrays.

    Attributes:
        path: the file.
        layout: name of its layout.
        keys: names of the arrays in it.
        array: opens one array of images or masks without reading it.
        labels: reads one array of labels.
    """

    path: Path
    layout: str
    keys: Sequence[str]
    array: Callable[[str], StoredArray]
    labels: Callable[[str], np.ndarray]


def open_arrays(images: ArrayFile, labels: ArrayFile, options: TargetOptions) -> Target:
    """A target from a file of arrays, or two; masks instead of labels make it a segmentation target.

    Args:
        images: the file of the images.
        labels: the file of the labels: the same, or another.
        options: keys, split, task and intensity.

    Raises:
        TargetError: keys or splits not found, lengths that differ, no images, or unusable labels.
    """
    notes: list[str] = []
    path = images.path
    splits = (
        _keys_of_splits(images, options, notes=notes) if labels is images else _keys_of_two(images, labels, options)
    )
    parts = {one.images: images.array(one.images) for one in splits}
    store: ArrayStore
    if options.task in (None, "segmentation") and all(
        _are_masks(path, one, images=parts[one.images], labels=labels.array(one.labels)) for one in splits
    ):
        masks = [labels.array(one.labels) for one in splits]
        ids = _ids(path, splits, parts, counts=[item_count(part) for part in masks])
        where = f"{labels.path}: {splits[0].labels!r}"
        store = _masked_store(where, parts, masks, options=options, notes=notes)
        encoded = Labels.of_masks(len(ids), store.mask_values.classes)
    else:
        found = [labels.labels(one.labels) for one in splits]
        ids = _ids(path, splits, parts, counts=[len(values) if values.ndim else 0 for values in found])
        if len({values.shape[1:] for values in found}) > 1:
            raise TargetError(f"{path}: the splits' labels have different shapes", hint="read one split")
        encoded = encode_labels(np.concatenate(found), ids=ids, task=options.task, where=str(labels.path))
        store = make_array_store(str(path), parts, intensity=options.intensity, mask=None, notes=notes)
    info = StoreInfo(store=store, axes=store.axes.spatial, read_options=f"{store.rule or store.values}")
    return build_target(path, layout=images.layout, ids=ids, labels=encoded, info=info, notes=notes)


def refuse_odd_dtype(dtype: np.dtype, where: str) -> None:
    """Refuse arrays of anything but numbers, truth values and strings: complex, dates, records, objects.

    Raises:
        TargetError: such an array; the message has its place and dtype.

    Example:
        >>> refuse_odd_dtype(np.dtype("c16"), "a.npz: 'labels'")
        Traceback (most recent call last):
        ...
        acrank.errors.TargetError: a.npz: 'labels' holds values of complex128
    """
    if dtype.hasobject:
        raise TargetError(f"{where} holds Python objects", hint="store it as an array of numbers")
    if dtype.kind not in "biufSU":
        raise TargetError(f"{where} holds values of {dtype}", hint="store it as an array of numbers")


def _masked_store(
    where: str, parts: dict[str, StoredArray], masks: Sequence[StoredArray], *, options: TargetOptions, notes: list[str]
) -> MaskedArrayStore:
    """The images of all splits with their masks, in the order of the parts."""
    plain = make_array_store(where, parts, intensity=options.intensity, mask=_mask_shape(masks[0]), notes=notes)
    stored = ItemStore(where, tuple(masks))
    read, count = partial(_whole_numbers, stored), sum(map(item_count, masks))
    mask_values = mask_values_of(read, count, where, ignore_value=options.ignore_value)
    notes.append(mask_values.note)
    return MaskedArrayStore(**vars(plain), masks=stored, mask_values=mask_values)


def _are_masks(path: Path, keys: _Keys, *, images: StoredArray, labels: StoredArray) -> bool:
    """True if an array of labels holds masks: numbers with more than two axes, of the images' sizes (else refused)."""
    if len(labels.shape) < 3 or math.prod(labels.shape[1:]) == 1 or labels.dtype.kind not in "buif":
        return False
    shape = images.shape[1:]
    if _mask_shape(labels) in (shape, shape[1:], shape[:-1]):
        return True
    if sum(size != 1 for size in labels.shape[1:]) == 1:  # [N, 1, 1, k] of 0 and 1
        return False
    masks = f"masks {keys.labels!r} of shape {list(labels.shape)}"
    raise TargetError(
        f"{path}: {masks}, images {keys.images!r} of {list(images.shape)}",
        hint="masks must have the sizes of their images and one channel; labels must be [N], or [N, k] of 0 and 1",
    )


def _keys_of_two(images: ArrayFile, labels: ArrayFile, options: TargetOptions) -> list[_Keys]:
    """The keys where labels lie in a file of their own; the only array of a file needs no name."""
    choose_splits(options.split, [], path=images.path, notes=[])
    usual_images, usual_labels = usual_names(images.keys), usual_names(labels.keys)
    image_key = options.images_key or (
        images.keys[0] if len(images.keys) == 1 else usual_images.get("images", "images")
    )
    usual = next((usual_labels[name] for name in _OF_LABELS if name in usual_labels), "labels")
    label_key = options.labels_key or (labels.keys[0] if len(labels.keys) == 1 else usual)
    keys = _Keys("", _existing(images.path, image_key, images.keys), _existing(labels.path, label_key, labels.keys))
    return [keys]


def _keys_of_splits(file: ArrayFile, options: TargetOptions, *, notes: list[str]) -> list[_Keys]:
    path, keys = file.path, file.keys
    usual = usual_names(keys)
    if options.images_key is None and options.labels_key is None:
        splits = [name for name in _SPLITS if f"{name}_images" in usual]
        chosen = choose_splits(options.split, splits, path=path, notes=notes) if splits else []
        if chosen:
            return [_keys_of_usual(file, f"{name}_", options, usual=usual, notes=notes) for name in chosen]
        if "images" in usual:
            choose_splits(options.split, [], path=path, notes=notes)
            return [_keys_of_usual(file, "", options, usual=usual, notes=notes)]
    images = _existing(path, options.images_key or usual.get("images", "images"), keys)
    labels = options.labels_key and _existing(path, options.labels_key, keys)
    labels = labels or _labels_key(file, "", options, usual=usual, notes=notes)
    choose_splits(options.split, [], path=path, notes=notes)  # refuses a split that the file does not have
    return [_Keys("", images, labels)]


def _keys_of_usual(
    file: ArrayFile, prefix: str, options: TargetOptions, *, usual: dict[str, str], notes: list[str]
) -> _Keys:
    """The keys of one split, or without a prefix of a file without splits, with a note where another name has them."""
    images = usual[f"{prefix}images"]
    labels = _labels_key(file, prefix, options, usual=usual, notes=notes)
    if not is_plain(images, f"{prefix}images") or not any(is_plain(labels, prefix + name) for name in _OF_LABELS):
        notes.append(f"images are those of {images!r}, labels those of {labels!r}")
    return _Keys(prefix.removesuffix("_"), images, labels)


def _labels_key(
    file: ArrayFile, prefix: str, options: TargetOptions, *, usual: dict[str, str], notes: list[str]
) -> str:
    """Labels are preferred to masks, unless the task is segmentation."""
    names = [prefix + name for name in _OF_LABELS]
    if options.task == "segmentation":
        names.reverse()
    there = [usual[name] for name in names if name in usual]
    if len(there) == 2 and options.task is None:
        notes.append(f"{there[1]} are left out in favour of {there[0]} (use the task segmentation to read them)")
    return there[0] if there else _existing(file.path, f"{prefix}labels", file.keys)


def _existing(path: Path, key: str, keys: Sequence[str]) -> str:
    if key not in keys:
        there = first_few(sorted(keys), 12) or "nothing"
        usual = f"name the arrays: --images-key and --labels-key; {_other_file(path, key, keys)}"
        raise TargetError(f"{path} has no array {key!r}; it has: {there}", hint=closest(key, keys, usual))
    return key


def _other_file(path: Path, key: str, keys: Sequence[str]) -> str:
    """Where labels lie that are not in the file of their images: beside it, it seems, or wherever the user says."""
    if key.endswith("images") and any(name.endswith(_OF_LABELS) for name in usual_names(keys)):
        return "this file holds labels: --data names that of the images, --labels-file this one"
    beside = labels_beside(path)
    return f"--labels-file names another file of labels{f', such as {beside} beside it' if beside else ''}"


def labels_beside(path: Path) -> Path | None:
    """The file that seems to hold the labels of another one's images, as y.h5 those of x.h5; None if there is none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "train_y.h5").touch()
        ...     print(labels_beside(Path(folder) / "train_x.h5").name)
        train_y.h5
    """
    for images, labels in _PAIRS_OF_FILES:
        name = re.sub(rf"(?<![A-Za-z]){images}(?![A-Za-z])", labels, path.stem)
        if name != path.stem and (other := path.with_stem(name)).is_file():
            return other
    return None


def _ids(
    path: Path, splits: Sequence[_Keys], parts: dict[str, StoredArray], *, counts: Sequence[int]
) -> tuple[str, ...]:
    """Ids that sort in the order of the arrays; refuses counts of labels that differ from those of images."""
    found: list[str] = []
    for one, labels in zip(splits, counts, strict=True):
        count = item_count(parts[one.images])
        if count != labels:
            raise TargetError(
                f"{path}: {count} images in {one.images!r}, {labels} labels in {one.labels!r}",
                hint="there must be one label per image, in the same order",
            )
        if count == 0:
            raise TargetError(f"no images in {path}: {one.images!r} is empty", hint="name another array or split")
        check_count(count, str(path))
        width = len(str(count - 1))
        prefix = f"{one.split}/" if one.split else ""
        found += [f"{prefix}{place:0{width}d}" for place in range(count)]
    return tuple(found)


def _mask_shape(masks: StoredArray) -> tuple[int, ...]:
    """The spatial shape of a mask: its shape without an axis of one channel."""
    shape = masks.shape[1:]
    if len(shape) < 3 or 1 not in (shape[0], shape[-1]):
        return shape
    return shape[1:] if shape[0] == 1 else shape[:-1]


def _whole_numbers(masks: ItemStore, index: int) -> np.ndarray:
    raw = masks.item(index)
    if raw.dtype.kind == "f" and not (np.isfinite(raw) & (raw == np.floor(raw))).all():
        raise TargetError(f"{masks.where}: mask {index} holds fractions", hint="masks must be class values")
    return raw.astype(np.int16) if raw.dtype.kind == "b" else raw
