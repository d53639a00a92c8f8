"""A contact sheet: some images of each class with their labels, masks laid over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from acrank.system.words import from_to
from acrank.targets.examination import spread
from acrank.targets.target import IGNORED, Target

if TYPE_CHECKING:
    from PIL import Image

#: Images of each class, classes, and pixels of an image on the sheet.
_EACH, _MOST_CLASSES, _SIDE = 6, 24, 128
_MARGIN, _TEXT = 6, 14
#: Colours of foreground classes, and of ignored positions.
_COLOURS = ((230, 60, 60), (60, 160, 240), (80, 200, 90), (240, 180, 40), (190, 90, 220), (60, 210, 210))
_VOID = (128, 128, 128)


def contact_sheet(target: Target) -> Image.Image:
    """Some images of each class, a row for each; of volumes the middle slice.

    Args:
        target: without images that cannot be decoded, or with few: those are shown as empty frames.

    Returns:
        An RGB image.
    """
    from PIL import Image, ImageDraw

    rows = _rows_of(target)
    width = _MARGIN + _EACH * (_SIDE + _MARGIN)
    height = _MARGIN + len(rows) * (_SIDE + 2 * _TEXT + _MARGIN)
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    # in the order of the store: of a compressed array going back would inflate all from its beginning again
    tiles = {place: _tile(target, place) for place in sorted({place for _, places in rows for place in places})}
    for row, (title, places) in enumerate(rows):
        top = _MARGIN + row * (_SIDE + 2 * _TEXT + _MARGIN)
        pen.text((_MARGIN, top), _fitting(title, width), fill="black")
        for column, place in enumerate(places):
            left = _MARGIN + column * (_SIDE + _MARGIN)
            sheet.paste(tiles[place], (left, top + _TEXT))
            pen.text((left, top + _TEXT + _SIDE), _fitting(target.ids[place], _SIDE), fill="gray")
    return sheet


def _rows_of(target: Target) -> list[tuple[str, list[int]]]:
    """(title, places of images) of each row."""
    if target.task == "classification":
        groups = [(name, np.flatnonzero(target.labels == place)) for place, name in enumerate(target.classes)]
    elif target.task == "multilabel":
        groups = [(name, np.flatnonzero(target.labels[:, place])) for place, name in enumerate(target.classes)]
    elif target.task == "regression":
        parts = np.array_split(np.argsort(target.labels, kind="stable"), min(4, len(target)))
        groups = [(from_to(target.labels[part[0]], target.labels[part[-1]]), part) for part in parts]
    else:
        parts = np.array_split(np.arange(len(target)), min(4, len(target)))
        groups = [(f"with masks: {', '.join(target.classes)}" if not i else "", part) for i, part in enumerate(parts)]
    return [
        (f"{name} ({len(part)} images)" if name and target.task != "segmentation" else name, _some(part))
        for name, part in groups[:_MOST_CLASSES]
    ]


def _some(places: npt.NDArray[np.int64]) -> list[int]:
    return [int(places[one]) for one in spread(len(places), _EACH)]


def _tile(target: Target, index: int) -> Image.Image:
    from PIL import Image

    image, mask = _plane(target, index)
    grey = image if len(image) == 3 and target.colour else np.repeat(image[:1], 3, axis=0)
    pixels = (np.clip(grey, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    if mask is not None:
        pixels = _overlaid(pixels, mask)
    tile = Image.fromarray(pixels)
    tile.thumbnail((_SIDE, _SIDE))
    if (times := _SIDE // max(tile.size)) > 1:  # small images in large pixels
        tile = tile.resize((times * tile.width, times * tile.height), Image.Resampling.NEAREST)
    frame = Image.new("RGB", (_SIDE, _SIDE), "lightgray")
    frame.paste(tile, ((_SIDE - tile.width) // 2, (_SIDE - tile.height) // 2))
    return frame


def _plane(target: Target, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16] | None]:
    """An image [C, H, W] with its mask; of a volume the slice with the most foreground, else the middle one."""
    mask = target.mask_store.mask(index) if target.task == "segmentation" else None
    if target.axes == 2 and (mask is None or not target.slices):
        return target.read(index), mask
    store: Any = target.images
    shape = tuple(store.shape(index))
    axis = 0 if target.slices else int(getattr(store, "slice_axis", 0))
    place = shape[axis] // 2
    if mask is not None:
        place = int((np.moveaxis(mask, axis, 0) > 0).reshape(shape[axis], -1).sum(axis=1).argmax())
    where = [slice(0, size) for size in shape]
    where[axis] = slice(place, place + 1)
    image = store.crop(index, tuple(where))[0]
    flat = image if target.slices else image.squeeze(axis + 1)
    return _upright(flat, axis), None if mask is None else _upright(np.moveaxis(mask, axis, 0)[place], axis)


def _upright(plane: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    """An axial slice [..., X, Y] of a RAS+ volume with anterior at the top; other slices as they are."""
    return plane.swapaxes(-1, -2)[..., ::-1, ::-1] if axis == 2 else plane


def _overlaid(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """The pixels with half of the colour of their class."""
    out = pixels.copy()
    present: Sequence[int] = [int(value) for value in np.unique(mask) if value not in (0,)]
    for value in present:
        colour = _VOID if value == IGNORED else _COLOURS[(value - 1) % len(_COLOURS)]
        where = mask == value
        out[where] = (out[where] // 2 + np.array(colour, np.uint8) // 2).astype(np.uint8)
    return out


def _fitting(text: str, width: int) -> str:
    """The text, its middle left out where it is wider; characters of the built-in font are six pixels wide."""
    text = text.encode("latin-1", "replace").decode("latin-1")
    most = max(4, width // 6)
    return text if len(text) <= most else f"{text[: most // 2 - 1]}..{text[-(most // 2 - 1) :]}"
