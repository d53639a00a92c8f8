"""Small sets of images written in the layouts that people use: trees of folders, images with masks, tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROWS = 24


def grey(count: int, *, size: int = 20) -> np.ndarray:
    """Noise, uint8 [count, size, size], each image another, brighter where its number is odd."""
    noise = np.random.default_rng(3).integers(0, 130, (count, size, size))
    return (noise + 100 * (np.arange(count) % 2)[:, None, None]).astype(np.uint8)


def tree(folder: Path, *folders: str, each: int = 3) -> Path:
    """Images of noise in every folder, each another."""
    images = iter(grey(each * len(folders)))
    for name in folders:
        (folder / name).mkdir(parents=True)
        for place in range(each):
            Image.fromarray(next(images)).save(folder / name / f"{place}.png")
    return folder


def masked_set(
    folder: Path,
    masks: Sequence[np.ndarray],
    *,
    folders: tuple[str, str] = ("images", "masks"),
    names: tuple[str, str] = ("{}", "{}"),
    first: int = 0,
) -> Path:
    """An image of noise for each mask, brighter in it; `names` are those of images and masks, with their number."""
    for place, mask in enumerate(masks):
        image = grey(first + len(masks), size=len(mask))[first + place] // 2 + (mask != mask.flat[0]) * np.uint8(60)
        for part, name, values in zip(folders, names, (image, mask), strict=True):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / part / f"{name.format(place)}.png")
    return folder


def table(
    folder: Path,
    cells: Sequence[str],
    *,
    header: str = "path,label",
    suffix: str = ".csv",
    folders: Sequence[str] = ("img",),
    stored: str = ".png",
    named: str = ".png",
    folderless: bool = False,
    rename: Callable[[str], str] = str,
) -> Path:
    """24 images in folders and a table beside them, whose further cells are repeated in turn.

    `stored` and `named` are the suffixes of the files and those in the table, which may lack the folders, too.
    """
    mark = next(mark for mark in "\t;," if mark in header)
    lines = [header]
    for place, image in enumerate(grey(ROWS)):
        name = f"{folders[place * len(folders) // ROWS]}/{place:03d}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{name}{stored}")
        cell = rename(f"{name.rpartition('/')[2] if folderless else name}{named}")
        lines.append(f"{cell}{mark}{cells[place % len(cells)]}")
    path = folder / f"labels{suffix}"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def boxes(count: int, *values: int, size: int = 20) -> list[np.ndarray]:
    """Masks with a box of each value but the first, which is around them."""
    found = []
    for place in range(count):
        mask = np.full((size, size), (values or (0, 255))[0], np.uint8)
        for number, value in enumerate((values or (0, 255))[1:]):
            mask[1 + 6 * (number % 3) : 6 + 6 * (number % 3), 2 + 8 * (number // 3) : 8 + place % 2] = value
        found.append(mask)
    return found


def saved(
    suffix: str, change: Callable[[Image.Image], Image.Image], *values: int, **how: Any
) -> Callable[[Path], Path]:
    """Images with round masks that are stored in a certain way."""

    def make(at: Path) -> Path:
        rows, columns = np.mgrid[:64, :64]
        masks = []
        for place in range(4):
            distance = (rows - 30) ** 2 + (columns - 28 - place) ** 2
            mask = np.full((64, 64), values[0], np.uint8)
            for value, radius in zip(values[1:], (15, 8), strict=False):
                mask[distance < radius**2] = value
            masks.append(mask)
        masked_set(at, masks)
        for path in (at / "masks").iterdir():
            change(Image.open(path)).save(path.with_suffix(suffix), **how)
            if suffix != ".png":
                path.unlink()
        return at

    return make


def bordered(mask: Image.Image) -> Image.Image:
    """Where a pixel of another value is beside it, a value between."""
    values = np.asarray(mask).astype(int)
    edge = np.zeros(values.shape, bool)
    edge[1:] |= values[1:] != values[:-1]
    return Image.fromarray(np.where(edge, 128, values).astype(np.uint8))


def same(mask: Image.Image) -> Image.Image:
    return mask
