"""Stored images as float32 [C, H, W] in [0, 1]: files of the kinds listed here, read by Pillow, and arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from acrank.errors import TargetError
from acrank.system.files import open_regular
from acrank.targets.stores.intensity import parse_intensity
from acrank.targets.stores.item_axes import item_axes_of
from acrank.targets.stores.reading import MOST_OF_IMAGE, MOST_OF_VOLUME, check_decoded, damage_of, read_stored
from acrank.targets.stores.size_words import unequal_sizes
from acrank.targets.stores.tiff_chain import check_pages
from acrank.targets.stores.value_range import FULL_RANGE, ValueRange, sampled_range

if TYPE_CHECKING:
    from PIL import Image

    from acrank.targets.target_options import TargetOptions

Found = TypeVar("Found")
#: Suffixes of JPEG files, lower case.
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
#: Suffixes of image files, lower case.
IMAGE_SUFFIXES = frozenset(
    {".png", *JPEG_SUFFIXES, ".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".tga", ".avif"}
)
#: Suffixes of files that may have more than 8 bits, or pages, beside PNG.
_DEEP_SUFFIXES = frozenset({".tif", ".tiff", ".pgm", ".pnm", ".jp2", ".j2k", ".gif", ".webp"})
#: Pillow's names of these kinds; it tries no other, such as EPS, for which it would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000", "TGA", "AVIF")
#: The note on an image whose transparency is not read.
ALPHA_DROPPED = "alpha is dropped, though parts are transparent"
#: Bytes that a pixel takes while it is decoded: three as stored and three as an array, or float32 of three channels.
_BYTES_OF_PIXEL = 15
_BYTES_OF_VOXEL = 8  # of a stack of pages: as stored, and as float32
_TILE = (322, 323)  # TIFF's tags of the width and height of a tile
_TO_GREY = frozenset({"1", "LA", "La"})
_WHOLE = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


@dataclass(frozen=True)
class FileStore:
    """Image files below a folder.

    Attributes:
        root: the folder.
        paths: relative to it, with forward slashes.
        values: what stored values mean.
        first_page: whether the first page is read of files that have several; else those are refused.
    """

    root: Path
    paths: tuple[str, ...]
    values: ValueRange = FULL_RANGE
    first_page: bool = False

    @property
    def read_options(self) -> str:
        """What of it changes the values read, as a target records it."""
        return f"{self.values}{' first page' if self.first_page else ''}".strip()

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        return decode_image(self.root / self.paths[index], self.values, first_page=self.first_page)

    def raw(self, index: int) -> bytes:
        return read_stored(self.root / self.paths[index])


def open_images(root: Path, paths: tuple[str, ...], options: TargetOptions) -> tuple[FileStore, list[str]]:
    """A store of image files, with notes on what their values mean.

    Of files of 8 bits and one page only headers are read, and of some only.

    Args:
        root, paths: as in `FileStore`.
        options: `intensity`, without which the range of deeper files is told from some of them, and `pages`.

    Raises:
        TargetError: values or pages that only the user can tell.
        UsageError: an unknown intensity rule.
    """

    def look(place: int) -> np.ndarray | None:
        path = root / paths[place]
        try:
            values, pages = read_with_pillow(path, "image", _deep_values) if _needs_a_look(path) else (None, 1)
        except TargetError:  # said where the image is needed
            return None
        if options.pages is None:
            refuse_pages(path, pages)
        return values

    rule = None if options.intensity is None else parse_intensity(options.intensity, "unknown")
    values, notes = sampled_range(look, len(paths), str(root), rule=rule)
    if options.pages == "first":
        notes.append("of files of several pages the first is read")
    return FileStore(root, paths, values, first_page=options.pages == "first"), notes


def check_size(image: np.ndarray, mask: tuple[int, ...], name: str) -> None:
    """Refuse an image [C, H, W] whose mask has another size; `name` is the image's file.

    Raises:
        TargetError: the sizes differ.
    """
    if image.shape[1:] != mask:
        text = unequal_sizes({name: image.shape[1:], "its mask": mask})
        raise TargetError(text, hint="both must have equal sizes")


def refuse_pages(path: Path, pages: int) -> None:
    """Refuse a file of several pages, where the user has not said what they are.

    Raises:
        TargetError: there are several.
    """
    if pages > 1:
        raise TargetError(
            f"{path} has {pages} pages",
            hint="--pages first reads the first of each file, --pages volume takes them as the slices of a volume",
        )


def decode_image(
    path: Path, values: ValueRange | None = None, *, first_page: bool = False
) -> tuple[np.ndarray, str | None]:
    """Decode an image file: orientation applied, alpha dropped, palettes and CMYK as RGB.

    Args:
        path: of 8 bits, whole numbers, or floats.
        values: what stored values mean; None takes whole numbers as 0 to 65535, and floats as [0, 1], or [0, 255] if
            values exceed 1.
        first_page: whether a file of several pages or frames is read, its first.

    Returns:
        float32 [C, H, W] in [0, 1] with C 1 (grey) or 3 (colour), and a note: for float images on the assumed range,
        for images with transparent parts ALPHA_DROPPED.

    Raises:
        TargetError: not a readable image, several pages, values out of range, or more pixels than MOST_OF_IMAGE allows.
    """
    array, pages, transparent = read_with_pillow(
        path, "image", lambda file: (to_array(file), pages_of(file), _is_transparent(file))
    )
    if not first_page:
        refuse_pages(path, pages)
    image = np.ascontiguousarray(item_axes_of(array.shape, str(path)).to_channels_first(array))
    del array
    unit, note = (values or FULL_RANGE).to_unit(image, where=str(path))
    return unit, ALPHA_DROPPED if transparent else note


def read_with_pillow(path: Path, kind: str, convert: Callable[[Image.Image], Found]) -> Found:
    """What `convert` makes of an image file; `kind` is the file's name in messages, "image" or "mask".

    Raises:
        TargetError: the file or its values cannot be read, or its header declares too many pixels.
    """
    from PIL import Image, UnidentifiedImageError

    hint = "replace the file, or take it out of the target"
    with damage_of(path, f"cannot read the {kind} {path}", hint=hint), open_regular(path) as stored:
        check_pages(stored)
        try:
            file = Image.open(stored, formats=_formats())
        except UnidentifiedImageError:
            raise ValueError("cannot identify image file") from None
        check_page(file, f"the {kind} {path}")
        return convert(file)


def check_page(file: Image.Image, what: str, *, pages: int = 1) -> None:
    """Hold what the header of the current page declares against a bound, before any of its pixels is decoded.

    Args:
        file: the image; its tiles may be larger than itself, and are decoded whole.
        what: would take the bytes, as the subject of a sentence.
        pages: how many such pages are held at once.

    Raises:
        TargetError: it is more than MOST_OF_IMAGE, or more than is free.
    """
    tags = getattr(file, "tag_v2", {})
    for width, height in (file.size, [tags.get(tag, 0) for tag in _TILE]):
        check_decoded(_BYTES_OF_PIXEL * width * height, what, most=MOST_OF_IMAGE)
    check_decoded(_BYTES_OF_VOXEL * math.prod(file.size) * pages, what, most=MOST_OF_VOLUME)


def read_mask(path: Path, *, first_page: bool) -> np.ndarray:
    """A mask file as stored, [H, W], or [H, W, C] where it is in colour; palettes give their indices.

    Args:
        path: the file.
        first_page: whether a file of several pages is read, its first.

    Raises:
        TargetError: it cannot be read, or has several pages.
    """
    values, pages = read_with_pillow(path, "mask", lambda file: (np.asarray(file), pages_of(file)))
    if not first_page:
        refuse_pages(path, pages)
    is_grey = values.ndim == 3 and bool((values[..., :1] == values[..., :3]).all())
    return values[..., 0] if is_grey else values


@functools.cache
def _formats() -> list[str]:
    """Those of _FORMATS that this build of Pillow knows."""
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def to_array(image: Image.Image) -> np.ndarray:
    """The values of the current page: whole numbers, floats, or 8 bits of grey or colour."""
    from PIL import ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in _WHOLE:
        return np.asarray(image)
    if image.mode in _TO_GREY:
        image = image.convert("L")
    elif image.mode not in ("L", "RGB", "F"):
        image = image.convert("RGB")
    return np.asarray(image)


def pages_of(image: Image.Image) -> int:
    """The number of pages or frames; further pictures of a phone's JPEG (MPO) are none."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel of the current page is not opaque."""
    return image.has_transparency_data and bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)


def _needs_a_look(path: Path) -> bool:
    """Whether a file may have more than 8 bits or pages; told without Pillow, which most folders do not need."""
    suffix = path.suffix.lower()
    if suffix != ".png":
        return suffix in _DEEP_SUFFIXES
    try:
        with open_regular(path) as file:
            return file.read(25)[24:] == b"\x10"  # the bit depth in the header
    except OSError:
        return False


def _deep_values(image: Image.Image) -> tuple[np.ndarray | None, int]:
    """The values of a file of more than 8 bits, None of one of 8 bits, which is not decoded; and its pages."""
    pages = pages_of(image)
    return to_array(image) if image.mode in _WHOLE or image.mode == "F" else None, pages
