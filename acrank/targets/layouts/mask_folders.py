"""Mask folders: images/ and masks/, with or without splits, paired by file name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.data_folder import DataFolder, Identity, once
from acrank.targets.layouts.class_folders import SPLIT_NAMES
from acrank.targets.mask_values import MaskValues, mask_values_of
from acrank.targets.stores.images import IMAGE_SUFFIXES, FileStore, open_images, read_with_pillow
from acrank.targets.stores.volumes import is_volume
from acrank.targets.target import Labels, StoreInfo, Target, build_target, choose_splits, first_few
from acrank.targets.target_options import TargetOptions

NAME = "masks"
USES = frozenset({"task", "split", "ignore_value", "intensity", "allow_outside"})

_IMAGES, _MASKS = ("images", "image", "imgs", "img"), ("masks", "mask", "labels", "annotations")
_ENDINGS = tuple(f"{joint}{word}" for joint in "_-" for word in ("mask", "seg", "label", "gt", "manual1"))
_MOST_FOLDERS = 64  # more are classes
_Pair = tuple[str, str]  # folder of images, folder of masks, below the target's folder


def is_mask_folder(path: Path) -> bool:
    """True if a folder holds a folder of images and one of masks, in splits or not, and no third folder.

    A third folder makes them class folders, which may have any name.
    """
    return bool(_pairs(path)[0])


def open_masks(path: Path, options: TargetOptions) -> Target:
    """Open a folder with `images/` and `masks/`, whose files pair by stem (a mask may add `_mask` or `_seg`).

    Splits may lie above (`train/images`, `train/masks`) or below (`images/train`, `masks/train`).

    Masks are single-channel files of class values (see `mask_values_of`). The values are inferred from up to 64 masks
    spread over the target; a mask with another value is refused when it is read.

    Raises:
        TargetError: an image without a mask, no images, an unknown split, a single value, or values that are not
            classes.
    """
    if options.task not in (None, "segmentation"):
        raise TargetError(f"{path} holds images and masks", hint="leave the task out: it is segmentation")
    pairs, lacking = _pairs(path)
    if not pairs:
        raise TargetError(f"{path} has no images/ and masks/", hint="give a folder that holds both")
    notes = [f"splits without masks are left out: {first_few(lacking)}"] if lacking else []
    chosen = choose_splits(options.split, [name for name in pairs if name], path=path, notes=notes) or [""]
    data = DataFolder(path, allow_outside=options.allow_outside)
    found = {one[0]: one for split in chosen for one in _paired(data, split, pairs[split])}
    kept = once([(one, found[one][2], found[one][3]) for one in sorted(found)], notes)
    ids = tuple(name for name, _ in kept)
    images, masks = tuple(found[one][1] for one in ids), tuple(found[one][2] for one in ids)
    notes += data.notes()
    values = mask_values_of(
        lambda place: _read_mask(path / masks[place]), len(masks), str(path), ignore_value=options.ignore_value
    )
    pictures, said = open_images(path, images, options)
    store = PairStore(images=pictures, masks=FileStore(path, masks), mask_values=values)
    info = StoreInfo(store=store, read_options=f"{pictures.values} {values}", notes=(*said, values.note))
    labels = Labels.of_masks(len(ids), values.classes)
    return build_target(path, layout=NAME, ids=ids, labels=labels, info=info, notes=notes)


@dataclass(frozen=True, kw_only=True)
class PairStore:
    """Image files and mask files, in the same order.

    Attributes:
        images: the image files.
        masks: the mask files.
        mask_values: the class of each value of the masks.
    """

    images: FileStore
    masks: FileStore
    mask_values: MaskValues

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        return self.images.read(index)

    def raw(self, index: int) -> bytes:
        return self.images.raw(index)

    def raw_mask(self, index: int) -> bytes:
        return self.masks.raw(index)

    def shape(self, index: int) -> tuple[int, ...]:
        return self.mask(index).shape

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one image, which is decoded whole."""
        image, assumption = self.read(index)
        size = self.shape(index)
        if image.shape[1:] != size:
            raise TargetError(
                f"{self.images.paths[index]} is {image.shape[1:]}, its mask {size}", hint="both must have equal sizes"
            )
        return image[(slice(None), *where)], assumption

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [H, W]: class indices, or IGNORED."""
        path = self.masks.root / self.masks.paths[index]
        return self.mask_values.to_classes(_read_mask(path), str(path))


def _read_mask(path: Path) -> np.ndarray:
    """A mask file as stored, uint8 [H, W]; palettes give their indices."""
    values = read_with_pillow(path, "mask", np.asarray)
    if values.ndim == 3 and (values[..., :1] == values[..., :3]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "bui" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise TargetError(
            f"{path} is not a mask of class values", hint="store one channel of 0, 1, 2, … (a palette is fine)"
        )
    return values.astype(np.uint8)


def _pairs(path: Path) -> tuple[dict[str, _Pair], list[str]]:
    """Split -> folders of images and of masks ("" without splits), and the splits that lack masks."""
    pair = _pair_in(path)
    if pair is None:
        names = sorted(_folders(path).values())
        if not names or not all(name.lower() in SPLIT_NAMES for name in names):
            return {}, []
        inside = {name: _pair_in(path / name) for name in names}
        found = {name: (f"{name}/{one[0]}", f"{name}/{one[1]}") for name, one in inside.items() if one}
        return found, [name for name in names if name not in found]
    images, masks = (_folders(path / name) for name in pair)
    if not images or not all(name in SPLIT_NAMES for name in images):
        return {"": pair}, []
    shared = {
        images[name]: (f"{pair[0]}/{images[name]}", f"{pair[1]}/{masks[name]}") for name in images if name in masks
    }
    return shared, sorted(name for low, name in images.items() if low not in masks)


def _pair_in(path: Path) -> _Pair | None:
    """Names of the folders of images and of masks, None unless there are exactly these two."""
    folders = _folders(path)
    images = next((folders[name] for name in _IMAGES if name in folders), None)
    masks = next((folders[name] for name in _MASKS if name in folders), None)
    return (images, masks) if images and masks and len(folders) == 2 else None


def _folders(path: Path) -> dict[str, str]:
    """Lower case -> name of the visible folders."""
    found: dict[str, str] = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name[0] != "." and os.path.isdir(entry.path):  # noqa: PTH112 - takes circular links
                    found[entry.name.lower()] = entry.name
                if len(found) > _MOST_FOLDERS:
                    break
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the folder's permissions") from error
    return found


def _paired(data: DataFolder, split: str, pair: _Pair) -> list[tuple[str, str, str, Identity]]:
    """(id, image path, mask path, identity) of every image in a pair of folders; a mask without one is left out."""
    path = data.root
    pictures, truths = (_files(data, name) for name in pair)
    if not pictures:
        volumes = any(is_volume(entry.name) for entry in data.scan(pair[0]))
        hint = "describe volumes in a dataset.json, as Decathlon does" if volumes else "put PNG or TIFF files there"
        raise TargetError(f"no images in {path / pair[0]}", hint=hint)
    chosen = {
        stem: next((truths[name] for name in (stem, *(stem + ending for ending in _ENDINGS)) if name in truths), None)
        for stem in pictures
    }
    lacking = sorted(stem for stem, mask in chosen.items() if mask is None)
    if lacking:
        raise TargetError(
            f"{path / pair[0]}: {len(lacking)} images have no mask: {first_few(lacking, 3)}",
            hint="a mask has the name of its image, alone or followed by _mask, _seg or _label",
        )
    prefix = f"{split}/" if split else ""
    return [
        (prefix + stem, f"{pair[0]}/{name}", f"{pair[1]}/{mask[0]}", identity)
        for stem, (name, identity) in pictures.items()
        if (mask := chosen[stem])
    ]


def _files(data: DataFolder, folder: str) -> dict[str, tuple[str, Identity]]:
    """Stem -> name and identity of the images in a folder; refuses two files of one stem."""
    found: dict[str, tuple[str, Identity]] = {}
    for entry in sorted(data.scan(folder), key=lambda one: one.name):
        stem, suffix = Path(entry.name).stem, Path(entry.name).suffix
        if not entry.is_folder and suffix.lower() in IMAGE_SUFFIXES:
            if stem in found:
                raise TargetError(
                    f"{data.root / folder} holds {found[stem][0]} and {entry.name}", hint="keep one of them"
                )
            found[stem] = (entry.name, entry.identity)
    return found
