"""Targets as images/ and masks/: one mask per image, told by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.base import IGNORED, Options, Target, listing, name_of
from acrank.targets.images import IMAGE_SUFFIXES, FileStore

LAYOUT = "masks"
USES = frozenset({"task"})

_IMAGES, _MASKS = ("images", "image", "imgs", "img"), ("masks", "mask", "labels", "annotations")
_PROBED = 64
_MOST_CLASSES = 64
_VOID = 255


def mask_folders(path: Path) -> tuple[Path, Path] | None:
    """The folders of images and of masks where `path` holds such a pair and nothing else of weight.

    `labels` counts only where no third folder lies beside: class folders may be called anything.
    """
    folders = {entry.name.lower(): entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] != "."}
    images = next((folders[name] for name in _IMAGES if name in folders), None)
    masks = next((folders[name] for name in _MASKS if name in folders), None)
    return (images, masks) if images and masks and len(folders) == 2 else None


def open_masks(path: Path, options: Options) -> Target:
    """Open a folder with `images/` and `masks/`, whose files pair by stem (a mask may add `_mask` or `_seg`).

    Masks are single-channel files of class values. Two values, such as 0 and 1 or 0 and 255, are background and
    foreground; more are classes by value, where 255 beside smaller ones marks positions that count for nothing. The
    values are told from up to 64 masks spread over the target; a mask with another value is refused when it is read.

    Raises:
        TargetError: an image without a mask, no images, one value only, or masks that are no classes.
    """
    if options.task not in (None, "segmentation"):
        raise TargetError(f"{path} holds images and masks", hint="leave the task out: it is segmentation")
    pair = mask_folders(path)
    if pair is None:
        raise TargetError(f"{path} has no images/ and masks/", hint="give a folder that holds both")
    stems, images, masks = _paired(path, *pair)
    store = PairStore(path, FileStore(path, images), masks, _values(path, masks))
    classes = ("background", "foreground") if len(store.values) == 2 else tuple(str(value) for value in store.values)
    notes = [f"masks: values {', '.join(map(str, store.values))} are the classes {', '.join(classes)}"]
    return Target(name_of(path), LAYOUT, "segmentation", stems, np.zeros(len(stems), np.int64), classes, store, notes)


@dataclass(frozen=True)
class PairStore:
    """Images and masks in files of their own.

    Attributes:
        root: what the paths start from.
        images: the image files.
        masks: the mask files, in the same order.
        values: a mask's value of every class, ascending.
    """

    root: Path
    images: FileStore
    masks: tuple[str, ...]
    values: tuple[int, ...] = field(default=())

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        """One image, float32 [C, H, W] in [0, 1], and what was assumed about its scale."""
        return self.images.read(index)

    def raw(self, index: int) -> bytes:
        """The image file's bytes."""
        return self.images.raw(index)

    def raw_mask(self, index: int) -> bytes:
        """The mask file's bytes."""
        return FileStore(self.root, self.masks).raw(index)

    def shape(self, index: int) -> tuple[int, ...]:
        """(height, width) of one mask."""
        return self.mask(index).shape

    def crop(self, index: int, where: tuple[slice, ...]) -> tuple[np.ndarray, str | None]:
        """A part of one image; the file is decoded whole.

        Raises:
            TargetError: the image cannot be read, or differs in size from its mask.
        """
        image, assumption = self.read(index)
        size = self.shape(index)
        if image.shape[1:] != size:
            raise TargetError(
                f"{self.images.paths[index]} is {image.shape[1:]}, its mask {size}", hint="both must have equal sizes"
            )
        return image[(slice(None), *where)], assumption

    def mask(self, index: int) -> np.ndarray:
        """One mask, int16 [H, W]: places in `values`, or IGNORED.

        Raises:
            TargetError: the mask cannot be read, or holds a value that is no class.
        """
        raw = read_mask(self.root / self.masks[index])
        table = np.full(_VOID + 1, -2, dtype=np.int16)
        table[_VOID] = IGNORED if len(self.values) > 2 else -2
        table[list(self.values)] = np.arange(len(self.values))
        coded = table[raw]
        if (coded == -2).any():
            odd = int(raw[coded == -2][0])
            known = listing([str(value) for value in self.values])
            raise TargetError(
                f"{self.root / self.masks[index]} holds the value {odd}; the classes are {known}",
                hint="write all masks with the same values",
            )
        return coded


def read_mask(path: Path) -> np.ndarray:
    """A mask file as it is stored, uint8 [H, W]; palettes give their indices.

    Raises:
        TargetError: not readable, or colours instead of class values.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            values = np.asarray(opened)
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise TargetError(f"cannot read the mask {path}: {error}", hint="replace the file") from error
    if values.ndim == 3 and (values[..., :1] == values[..., :3]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "bui" or values.min(initial=0) < 0 or values.max(initial=0) > _VOID:
        raise TargetError(
            f"{path} is no mask of class values", hint="store one channel of 0, 1, 2, … (a palette is fine)"
        )
    return values.astype(np.uint8)


def _values(path: Path, masks: tuple[str, ...]) -> tuple[int, ...]:
    """The values that mean classes, from masks spread over the target."""
    places = np.unique(np.linspace(0, len(masks) - 1, min(_PROBED, len(masks))).round().astype(int))
    found = sorted({int(value) for place in places for value in np.unique(read_mask(path / masks[place]))})
    if len(found) > 2 and found[-1] == _VOID:
        found = found[:-1]
    if len(found) < 2:
        raise TargetError(f"{path}: the masks hold one value only: {found}", hint="segmentation needs two classes")
    if len(found) > _MOST_CLASSES:
        raise TargetError(
            f"{path}: the masks hold {len(found)} values", hint="masks must be class values, stored without loss (PNG)"
        )
    return tuple(found)


def _paired(path: Path, images: Path, masks: Path) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Ids, image paths and mask paths, sorted by id; a mask without an image is left out."""
    pictures, truths = _files(images), _files(masks)
    if not pictures:
        raise TargetError(f"no images in {images}", hint="put PNG or TIFF files there")
    chosen = {stem: _match(stem, truths) for stem in pictures}
    lacking = sorted(stem for stem, mask in chosen.items() if mask is None)
    if lacking:
        raise TargetError(
            f"{path}: {len(lacking)} images have no mask: {listing(lacking, 3)}",
            hint="a mask is called as its image is, or with _mask, _seg or _label behind it",
        )
    stems = tuple(sorted(pictures))
    paths = tuple(f"{images.name}/{pictures[stem]}" for stem in stems)
    return stems, paths, tuple(f"{masks.name}/{chosen[stem]}" for stem in stems)


def _match(stem: str, truths: dict[str, str]) -> str | None:
    names = [stem, *(f"{stem}{joint}{word}" for joint in "_-" for word in ("mask", "seg", "label", "gt", "manual1"))]
    return next((truths[name] for name in names if name in truths), None)


def _files(folder: Path) -> dict[str, str]:
    """Stem -> file name of the images in a folder.

    Raises:
        TargetError: two files of one stem.
    """
    found: dict[str, str] = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_file() and entry.name[0] != "." and entry.suffix.lower() in IMAGE_SUFFIXES:
            if entry.stem in found:
                raise TargetError(f"{folder} holds {found[entry.stem]} and {entry.name}", hint="keep one of them")
            found[entry.stem] = entry.name
    return found
