"""What .npz and HDF5 targets share: which arrays to read, and images within arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from acrank.errors import TargetError
from acrank.targets.base import Options, Target, choose_splits, listing, name_of
from acrank.targets.images import channels_first, float_top, to_unit
from acrank.targets.labels import encode

_SPLITS = ("train", "val", "test")
_PROBED = 64


class StoredArray(Protocol):
    """An array on disk [N, ...], of which single items are read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def item(self, index: int) -> np.ndarray:
        """The item at `index` along the first axis."""
        ...


@dataclass(frozen=True)
class ArrayStore:
    """Images within one array or several (splits), one after the other.

    Attributes:
        where: the file, for messages.
        parts: the arrays.
        starts: place of each part's first image.
        top: for floats, the value of full intensity.
    """

    where: str
    parts: tuple[StoredArray, ...]
    starts: tuple[int, ...]
    top: float | None = field(default=None)

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """One image, float32 [C, H, W] in [0, 1], and what was assumed about its scale."""
        where = f"{self.where}: image {index}"
        image, assumption = to_unit(channels_first(self._item(index), where), where=where, top=self.top)
        return np.ascontiguousarray(image), assumption

    def raw(self, index: int) -> bytes:
        """The values' bytes after their dtype and shape."""
        values = np.ascontiguousarray(self._item(index))
        return f"{values.dtype.str}{values.shape}".encode() + values.tobytes()

    def _item(self, index: int) -> np.ndarray:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].item(index - self.starts[part])


def open_arrays(
    path: Path,
    options: Options,
    *,
    layout: str,
    keys: Sequence[str],
    array: Callable[[str], StoredArray],
    labels: Callable[[str], np.ndarray],
) -> Target:
    """A target from a file of named arrays.

    Args:
        path: the file.
        options: keys, split and task.
        layout: what to call the layout.
        keys: names of the arrays in the file.
        array: opens one array of images without reading it.
        labels: reads one array of labels.

    Raises:
        TargetError: keys or splits not found, lengths that differ, no images, or labels that cannot be used.
    """
    notes: list[str] = []
    pairs = _pairs(path, options, keys, notes)
    parts = tuple(array(images_key) for _, images_key, _ in pairs)
    found = [labels(labels_key) for _, _, labels_key in pairs]
    for part, values, pair in zip(parts, found, pairs, strict=True):
        _refuse_mismatch(path, part, values, pair)
    ids = tuple(
        name for part, (split, _, _) in zip(parts, pairs, strict=True) for name in _ids(split, _length(part.shape))
    )
    encoded = encode(_joined(found, path), ids=ids, task=options.task, where=str(path))
    store = _store(path, parts, notes)
    notes += encoded.notes
    return Target(name_of(path), layout, encoded.task, ids, encoded.values, encoded.classes, store, notes)


def _pairs(path: Path, options: Options, keys: Sequence[str], notes: list[str]) -> list[tuple[str, str, str]]:
    """(split, key of the images, key of the labels) of everything to read; the split is "" where there are none."""
    if options.images_key is None and options.labels_key is None:
        splits = [name for name in _SPLITS if f"{name}_images" in keys]
        chosen = choose_splits(options.split, splits, path, notes) if splits else []
        if chosen:
            return [(name, f"{name}_images", _present(path, f"{name}_labels", keys)) for name in chosen]
    images = _present(path, options.images_key or "images", keys)
    pair = ("", images, _present(path, options.labels_key or "labels", keys))
    choose_splits(options.split, [], path, notes)
    return [pair]


def _present(path: Path, key: str, keys: Sequence[str]) -> str:
    if key not in keys:
        there = listing(sorted(keys), 12) or "nothing"
        raise TargetError(
            f"{path} has no array {key!r}; it has: {there}", hint="name the arrays: --images-key and --labels-key"
        )
    return key


def _refuse_mismatch(path: Path, images: StoredArray, labels: np.ndarray, pair: tuple[str, str, str]) -> None:
    _, images_key, labels_key = pair
    count, given = _length(images.shape), _length(labels.shape)
    if count != given:
        raise TargetError(
            f"{path}: {count} images in {images_key!r}, {given} labels in {labels_key!r}",
            hint="there must be one label per image, in the same order",
        )
    if count == 0:
        raise TargetError(f"no images in {path}: {images_key!r} is empty", hint="name another array or split")
    _refuse_shape(path, images, images_key)


def _refuse_shape(path: Path, images: StoredArray, key: str) -> None:
    """Only the shape and dtype are looked at: a stand-in without content takes the place of an image."""
    empty = np.broadcast_to(np.zeros((), images.dtype), images.shape[1:])
    where = f"{path}: {key!r}"
    to_unit(channels_first(empty, where)[:, :1, :1], where=where)


def _length(shape: tuple[int, ...]) -> int:
    return shape[0] if shape else 0


def _ids(split: str, count: int) -> list[str]:
    """Names that sort in the order of the array."""
    width = len(str(count - 1))
    prefix = f"{split}/" if split else ""
    return [f"{prefix}{place:0{width}d}" for place in range(count)]


def _joined(found: list[np.ndarray], path: Path) -> np.ndarray:
    if len({values.shape[1:] for values in found}) > 1:
        raise TargetError(f"{path}: the splits' labels have different shapes", hint="read one split")
    return np.concatenate(found)


def _store(path: Path, parts: tuple[StoredArray, ...], notes: list[str]) -> ArrayStore:
    lengths = [_length(part.shape) for part in parts]
    starts = tuple(int(place) for place in np.cumsum([0, *lengths[:-1]]))
    return ArrayStore(str(path), parts, starts, _top(path, parts[0], notes))


def _top(path: Path, images: StoredArray, notes: list[str]) -> float | None:
    """The scale of float images, from the first of them: a dark image alone could not tell."""
    if images.dtype.kind != "f":
        return None
    probed = min(_PROBED, images.shape[0])
    tops = [float_top(images.item(place), f"{path}: image {place}") for place in range(probed)]
    notes.append(f"float images taken to lie in [0, {max(tops):g}]")
    return max(tops)
