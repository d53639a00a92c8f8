"""Stored images as float32 [C, H, W] in [0, 1]: files of the kinds listed here, read by Pillow, and arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.item_axes import item_axes_of
from acrank.targets.stores.reading import MOST_OF_IMAGE, check_decoded, damage_of, read_stored

if TYPE_CHECKING:
    from PIL import Image

#: Suffixes of image files, lower case.
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".tga", ".avif"}
)
#: Pillow's names of these kinds; it tries no other, such as EPS, for which it would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000", "TGA", "AVIF")
#: Bytes that a pixel takes while it is decoded: three as stored and three as an array, or float32 of three channels.
_BYTES_OF_PIXEL = 15
_TO_GREY = frozenset({"1", "LA", "La"})
_SIXTEEN_BIT = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})
_ONE = 1.001  # interpolation leaves values slightly above 1


@dataclass(frozen=True)
class FileStore:
    """Image files below a folder; `paths` are relative to it, with forward slashes."""

    root: Path
    paths: tuple[str, ...]

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        return decode_image(self.root / self.paths[index])

    def raw(self, index: int) -> bytes:
        return read_stored(self.root / self.paths[index])


def decode_image(path: Path) -> tuple[np.ndarray, str | None]:
    """Decode an image file: orientation applied, alpha dropped, palettes and CMYK as RGB, first frame only.

    Args:
        path: 8-bit, 16-bit (0 to 65535) or float ([0, 1], or [0, 255] if values exceed 1).

    Returns:
        float32 [C, H, W] in [0, 1] with C 1 (grey) or 3 (colour), and for float images a note on the assumed range.

    Raises:
        TargetError: not a readable image, values out of range, or more pixels than MOST_OF_IMAGE allows.
    """
    array = read_with_pillow(path, "image", _to_array)
    image = np.ascontiguousarray(item_axes_of(array.shape, str(path)).to_channels_first(array))
    del array
    return rescale_by_dtype(image, where=str(path))


def read_with_pillow(path: Path, kind: str, convert: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    """The array that `convert` makes of an image file; `kind` is the file's name in messages, "image" or "mask".

    Raises:
        TargetError: the file or its values cannot be read, or its header declares too many pixels.
    """
    from PIL import Image

    hint = "replace the file, or take it out of the target"
    with damage_of(path, f"cannot read the {kind} {path}", hint=hint), Image.open(path, formats=_formats()) as file:
        width, height = file.size
        check_decoded(_BYTES_OF_PIXEL * width * height, f"the {kind} {path}", most=MOST_OF_IMAGE)
        return convert(file)


@functools.cache
def _formats() -> list[str]:
    """Those of _FORMATS that this build of Pillow knows."""
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _to_array(image: Image.Image) -> np.ndarray:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"values from {values.min()} to {values.max()} do not fit in 16 bits")
        return values.astype(np.uint16)
    if image.mode in _TO_GREY:
        image = image.convert("L")
    elif image.mode not in ("L", "RGB", "F"):
        image = image.convert("RGB")
    return np.asarray(image)


def rescale_by_dtype(array: np.ndarray, *, where: str, top: float | None = None) -> tuple[np.ndarray, str | None]:
    """Values as float32 in [0, 1], by dtype: bool, uint8 / 255, uint16 / 65535, floats / `top`.

    Args:
        array: any shape.
        where: the image, for messages.
        top: for floats, the value of full intensity, 1 or 255; None infers it from the values.

    Returns:
        The array, and for floats a note on the assumed range.

    Raises:
        TargetError: another dtype, or floats that are not finite or outside [0, 1] and [0, 255].

    Example:
        >>> rescale_by_dtype(np.array([0, 51, 255], dtype=np.uint8), where="x")[0].tolist()
        [0.0, 0.20000000298023224, 1.0]
    """
    if array.dtype == np.bool_:
        return array.astype(np.float32), None
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        scaled = array.astype(np.float32)
        scaled /= np.float32(np.iinfo(array.dtype).max)  # in place: large images take their memory once
        return scaled, None
    if array.dtype.kind != "f":
        raise TargetError(
            f"{where}: images of {array.dtype} have no known range", hint="store uint8, uint16, or floats in [0, 1]"
        )
    top = top or float_top(array, where)
    _refuse_outside(array, top, where)
    scaled = array.astype(np.float32)
    scaled /= np.float32(top)
    return np.clip(scaled, 0.0, 1.0, out=scaled), float_note(top)


def float_top(array: np.ndarray, where: str) -> float:
    """The value of full intensity in a float image: 1, or 255 if values exceed 1.

    Raises:
        TargetError: values are not finite, negative, or above 255.
    """
    top = 1.0 if array.max() <= _ONE else 255.0
    _refuse_outside(array, top, where)
    return top


def float_note(top: float) -> str:
    """The note on the assumed range of float images."""
    return f"float images: assumed range [0, {top:g}]"


def _refuse_outside(array: np.ndarray, top: float, where: str) -> None:
    low, high = float(array.min()), float(array.max())  # NaN when any value is
    if not (low >= 0.0 and high <= top * _ONE):
        expected = "[0, 1] or [0, 255]" if top == 255.0 or not low >= 0.0 else "[0, 1]"
        raise TargetError(
            f"{where}: float values from {low:g} to {high:g} instead of {expected}",
            hint="rescale the images to [0, 1], all by the same rule",
        )
