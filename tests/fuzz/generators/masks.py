"""Folders of images and masks under any names: values, modes, sizes and pairs that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz import bombs
from fuzz.case import Case
from fuzz.materials import pixels
from fuzz.odd import HOSTILE, WORDS, damaged, instead_of_file
from fuzz.workspace import Workspace, move

#: Where images and masks lie, and what their names end in.
_DIALECTS = (
    ("images", "masks", "", ""),
    ("JPEGImages", "SegmentationClass", "", ""),
    ("Original", "Ground Truth", "", ""),
    ("train/images", "train/masks", "", ""),
    ("images/train", "masks/train", "", ""),
    ("images", "masks", "", "_mask"),
    ("imgs", "gts", "img_", "gt_"),
    (".", ".", "", "_mask"),
)


def _mask(index: int, top: int = 255) -> np.ndarray:
    mask = np.zeros((24, 24), np.uint8)
    mask[4:12, 4 + index % 5 : 16] = top
    return mask


def _folder(
    w: Workspace, *, count: int = 8, top: int = 255, plain: bool = False
) -> tuple[Path, list[Path], list[Path]]:
    """A sound set in one of the dialects: its folder, images and masks."""
    first, second, before, after = _DIALECTS[0] if plain else w.random.choice(_DIALECTS)
    data = w.folder / "data"
    images, masks = [], []
    for index in range(count):
        image = data / first / f"{before}{index}.png"
        mask = data / second / (f"{after}{index}.png" if after.endswith("_") else f"{index}{after}.png")
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(0, index)).save(image)
        Image.fromarray(_mask(index, top)).save(mask)
        images.append(image)
        masks.append(mask)
    return data, images, masks


def _score(w: Workspace, data: object, *more: object, **known: Any) -> Case:
    where = ("--zoo", w.materials.zoo, "--data", data, "--model", "a")
    return w.case("score", *where, "--samples", 8, "--repeats", 1, "-o", "run.json", *more, **known)


@move
def sound(w: Workspace) -> Case:
    """Every dialect, masks of 0 and 255 or of 0 and 1."""
    data, _, _ = _folder(w, top=w.random.choice((1, 255)))
    return _score(w, data, sound=True)


@move
def odd_masks(w: Workspace) -> Case:
    """Masks of other modes, values, sizes and kinds."""
    data, _, masks = _folder(w)
    noise = w.rng
    kinds: tuple[Callable[[Path], object], ...] = (
        lambda path: Image.fromarray(_mask(0)).convert("RGB").save(path),
        lambda path: Image.fromarray(_mask(0)).convert("RGBA").save(path),
        lambda path: Image.fromarray(_mask(0)).convert("P").save(path),
        lambda path: Image.fromarray(_mask(0)).convert("1").save(path),
        lambda path: Image.fromarray(noise.integers(0, 256, (24, 24)).astype(np.uint8)).save(path),
        lambda path: Image.fromarray(noise.integers(0, 65_536, (24, 24)).astype(np.uint16)).save(path),
        lambda path: Image.fromarray(np.zeros((24, 24), np.uint8)).save(path),
        lambda path: Image.fromarray(np.full((24, 24), 255, np.uint8)).save(path),
        lambda path: Image.fromarray(_mask(0)[:9, :7]).save(path),
        lambda path: Image.fromarray(_mask(0)).resize((1, 1)).save(path),
        lambda path: Image.fromarray(_mask(0)).resize((30, 30), Image.Resampling.BICUBIC).save(path),
        lambda path: path.write_bytes(bombs.png_of(20_000, 20_000, colour=0)),
        lambda path: path.write_bytes(damaged(path.read_bytes(), w.random)),
        lambda path: instead_of_file(path, w.random),
        lambda path: path.unlink(),
        lambda path: Image.fromarray(_mask(0)).save(path, "JPEG", quality=20),
    )
    change = w.random.choice(kinds)
    for path in masks[: w.random.choice((1, 1, 4, 99))]:
        change(path)
    return _score(w, data, *w.random.choice(((), (), ("--ignore-value", "255"), ("--ignore-value", "none"))))


@move
def odd_images(w: Workspace) -> Case:
    """Images that are damaged, enormous, gone, or no files beside sound masks."""
    data, images, _ = _folder(w)
    kinds: tuple[Callable[[Path], object], ...] = (
        lambda path: path.write_bytes(damaged(path.read_bytes(), w.random)),
        lambda path: path.unlink(),
        lambda path: instead_of_file(path, w.random),
        lambda path: path.write_bytes(bombs.png_of(20_000, 20_000)),
        lambda path: path.write_bytes(b""),
        lambda path: Image.new("RGB", (7, 9)).save(path),
    )
    change = w.random.choice(kinds)
    for path in images[: w.random.choice((1, 1, 4, 99))]:
        change(path)
    return _score(w, data, *w.random.choice(((), ("--bad-images", "skip-all"), ("--bad-images", "fail"))))


@move
def odd_pairs(w: Workspace) -> Case:
    """Masks that several images could have, several masks of an image, or none."""
    data, images, masks = _folder(w, plain=True)
    kind = w.random.randrange(6)
    if kind == 0:
        for path in masks:
            path.rename(path.with_name(f"{path.stem}0.png"))
    elif kind == 1:
        for path in masks[:3]:
            for number in range(40):
                path.with_name(f"{path.stem}_mask_{number}.png").write_bytes(path.read_bytes())
    elif kind == 2:
        masks[0].with_suffix(".tif").write_bytes(masks[0].read_bytes())
        images[0].with_suffix(".jpg").write_bytes(images[0].read_bytes())
    elif kind == 3:
        for path in images:
            path.rename(path.with_name(w.random.choice(HOSTILE).replace("/", "_") + path.name))
    elif kind == 4:
        (data / "masks").rename(data / w.random.choice(("Masks", "labels", "x", "mask\x1b[31m")))
    else:
        for name in ("labels", "annotations", "gt"):
            (data / name).mkdir()
            (data / name / "0.png").write_bytes(masks[0].read_bytes())
    return _score(w, data)


@move
def links(w: Workspace) -> Case:
    """The folder of masks, or one of them, is a link that leads outside or in a circle."""
    data, _, masks = _folder(w, plain=True)
    outside = w.folder / "outside"
    (data / "masks").rename(outside)
    (outside / "0.png").write_bytes(w.random.choice((b"xyzzyplugh", masks[0].name.encode())))
    target = w.random.choice(("../outside", "masks", ".", "nothing", "images"))
    if w.random.random() < 0.5:
        (data / "masks").symlink_to(target)
    else:
        (data / "masks").mkdir()
        for path in outside.iterdir():
            (data / "masks" / path.name).symlink_to(path)
    return _score(w, data, *w.random.choice(((), ("--allow-outside",))), secret="xyzzyplugh")


@move
def odd_values(w: Workspace) -> Case:
    """Values to ignore that are none, and tasks that masks are not for."""
    data, _, _ = _folder(w)
    words = w.random.choice(("0", "255", "1", "-1", "nan", "1e9", "none", "x", *WORDS))
    more = w.random.choice((("--ignore-value", words), ("--task", "classification"), ("--geometry", "header")))
    return _score(w, data, *more)


@move
def too_few(w: Workspace) -> Case:
    """No image, one, or masks alone."""
    data, images, _ = _folder(w, count=w.random.choice((1, 8)), plain=True)
    if len(images) > 1:
        for path in images:
            path.unlink()
    return _score(w, data, nonsense=len(images) > 1)
