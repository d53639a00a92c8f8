"""Images with masks in files: images/ and masks/, with or without splits, or masks beside their images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acrank.errors import TargetError, UsageError
from acrank.targets.data_folder import DataFolder, Identity, once
from acrank.targets.layouts.mask_pairs import beside, find_pairs, lies_beside, paired
from acrank.targets.mask_palettes import refuse_palettes
from acrank.targets.mask_values import MaskValues, lossy_note, mask_values_of
from acrank.targets.split_names import choose_splits
from acrank.targets.stores.images import FileStore, check_size, open_images, read_mask
from acrank.targets.stores.size_words import unequal_sizes
from acrank.targets.target import Labels, StoreInfo, Target, build_target
from acrank.targets.target_options import TargetOptions

NAME = "masks"
USES = frozenset({"task", "split", "ignore_value", "intensity", "pages", "allow_outside"})


def is_mask_folder(path: Path, options: TargetOptions) -> bool:
    """True if a folder holds a folder of images and one of their masks, in splits or not, or images beside masks.

    Args:
        path: the folder.
        options: masks among the images of class folders count only with the task "segmentation".

    Raises:
        TargetError: several folders may hold the masks, or a link leads outside.
    """
    data = DataFolder(path, allow_outside=options.allow_outside)
    return bool(find_pairs(data).pairs) or lies_beside(data, deep=options.task == "segmentation")


def open_masks(path: Path, options: TargetOptions) -> Target:
    """Open a folder of images and one of masks, or of images beside their masks.

    The folders may have any usual name (images, Original; masks, Ground Truth, 1st_manual); other folders beside them
    are left out. Files pair by name (see `pair_names`); several masks of an image are united. Splits may lie above
    (`train/images`, `train/masks`), below (`images/train`, `masks/train`) or in the names (`train_images`).

    Masks are single-channel files of class values (see `mask_values_of`). The values are inferred from up to 64 masks
    spread over the target; a mask with another value is refused when it is read.

    Raises:
        TargetError: an image without a mask, no images, an unknown split, a single value, or values that are not
            classes.
    """
    if options.task not in (None, "segmentation"):
        raise TargetError(f"{path} holds images and masks", hint="leave the task out: it is segmentation")
    if options.pages == "volume":
        raise UsageError(f"{path}: pages with masks are not read as volumes", hint="store NIfTI, NRRD or MetaImage")
    data = DataFolder(path, allow_outside=options.allow_outside)
    found, notes = _listed(data, options.split)
    ids, images, masks = (tuple(column) for column in zip(*_once(found, notes), strict=True))
    notes += data.notes()
    values = mask_values_of(
        lambda place: _read_masks(path, masks[place], first_page=options.pages == "first"),
        len(masks),
        str(path),
        ignore_value=options.ignore_value,
    )
    refuse_palettes(path, [name for names in masks for name in names])
    several = sum(len(names) > 1 for names in masks)
    notes += [f"{several} images have several masks, which are united"] if several else []
    notes += lossy_note(values, (name for names in masks for name in names))
    pictures, said = open_images(path, images, options)
    store = PairStore(images=pictures, root=path, masks=masks, mask_values=values)
    info = StoreInfo(store=store, read_options=f"{pictures.values} {values}", notes=(*said, values.note))
    labels = Labels.of_masks(len(ids), values.classes)
    return build_target(path, layout=NAME, ids=ids, labels=labels, info=info, notes=notes)


@dataclass(frozen=True, kw_only=True)
class PairStore:
    """Image files and mask files, in the same order.

    Attributes:
        images: the image files.
        root: the folder that the masks' paths are relative to.
        masks: the mask files of each image; several are united.
        mask_values: the class of each value of the masks.
    """

    images: FileStore
    root: Path
    masks: tuple[tuple[str, ...], ...]
    mask_values: MaskValues

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        return self.images.read(index)

    def raw(self, index: int) -> bytes:
        return self.images.raw(index)

    def raw_mask(self, index: int) -> bytes:
        files = FileStore(self.root, self.masks[index])
        return b"".join(files.raw(place) for place in range(len(files.paths)))

    def shape(self, index: int) -> tuple[int, ...]:
        return self.mask(index).shape

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one image, which is decoded whole."""
        image, assumption = self.read(index)
        check_size(image, self.shape(index), self.images.paths[index])
        return image[(slice(None), *where)], assumption

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [H, W]: class indices, or IGNORED."""
        where = str(self.root / self.masks[index][0])
        raw = _read_masks(self.root, self.masks[index], first_page=self.images.first_page)
        return self.mask_values.to_classes(raw, where)


def _listed(data: DataFolder, split: str | None) -> tuple[list[tuple[str, str, tuple[str, ...], Identity]], list[str]]:
    """(id, image, its masks, identity) of every image of the chosen splits, sorted, and notes."""
    path, layout = data.root, find_pairs(data)
    if layout.pairs:
        notes = list(layout.notes)
        splits = [] if layout.is_joined else [name for name in layout.pairs if name]
        chosen = choose_splits(split, splits, path=path, notes=notes) or list(layout.pairs)
        cases = [
            one
            for name in chosen
            for one in paired(data, name, layout.pairs[name], notes=notes, is_alone=layout.is_joined)
        ]
        return sorted(cases), notes
    notes = []
    found = beside(data, split, notes)
    if not found:
        raise TargetError(f"{path} has no images with masks", hint="give a folder that holds images/ and masks/")
    return found, notes


def _once(
    found: list[tuple[str, str, tuple[str, ...], Identity]], notes: list[str]
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Every image once, under its first name; refuses one with two masks."""
    known = {name: (name, image, masks) for name, image, masks, _ in found}
    return [known[name] for name, _ in once([(one[0], ", ".join(one[2]), one[3]) for one in found], notes)]


def _read_masks(root: Path, names: tuple[str, ...], *, first_page: bool) -> np.ndarray:
    """The union of an image's masks, uint8 [H, W]: where only one has a class, it holds."""
    united = _read_mask(root / names[0], first_page=first_page)
    for name in names[1:]:
        other = _read_mask(root / name, first_page=first_page)
        if other.shape != united.shape:
            text = unequal_sizes({str(root / name): other.shape, names[0]: united.shape})
            raise TargetError(text, hint="masks of an image have one size")
        if ((united != 0) & (other != 0) & (united != other)).any():
            raise TargetError(
                f"{root / name} and {names[0]} give one position different classes",
                hint="draw masks that do not overlap",
            )
        united = np.maximum(united, other)
    return united


def _read_mask(path: Path, *, first_page: bool) -> np.ndarray:
    """A mask file as stored, uint8 [H, W]; palettes give their indices."""
    values = read_mask(path, first_page=first_page)
    if values.ndim != 2 or values.dtype.kind not in "bui" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise TargetError(
            f"{path} is not a mask of class values", hint="store one channel of 0, 1, 2, … (a palette is fine)"
        )
    return values.astype(np.uint8)
