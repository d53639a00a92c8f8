"""The targets of the study: real and procedural, classification and segmentation, as small as a clinic's.

Half of them are for choosing among variants of scores, the other half is used once, for reporting. Halves were fixed
before any score was seen: kinds alternate, and targets made from the same images (`drive`, `vessel_patches`) are in one
half. No candidate is ranked on the data that it was trained on, see `Study.left_out`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from acrank.demo.sources import SOURCES
from acrank.finetuning import FinetuneSettings

_RATES = (0.2, 0.05, 0.0125)
#: 120 labelled images to train on; a part of the rest chooses the learning rate and epoch, the other tests.
IMAGES = FinetuneSettings(
    lrs=_RATES, epochs=10, patience=4, train_size=120, val_share=0.2, test_share=0.5,
    amp=True, allow_code=True, device="cpu",
)  # fmt: skip
MASKS = FinetuneSettings(
    lrs=_RATES, epochs=8, patience=3, patches=8, val_share=0.2, test_share=0.4,
    amp=True, allow_code=True, device="cpu",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """One target.

    Attributes:
        half: "choosing" or "reported".
        make: (shared data, where to write) -> nothing; writes images or masks in folders, or an .npz.
        settings: of finetuning.
        left_out: tags or ids of candidates that were trained on these data, or on data that these are derived from.
    """

    half: str
    make: Callable[[Path, Path], None]
    settings: FinetuneSettings = IMAGES
    left_out: tuple[str, ...] = ()


def copied(name: str) -> Callable[[Path, Path], None]:
    """Copy folders of the measuring data unchanged."""

    def make(data: Path, out: Path) -> None:
        shutil.copytree(data / name, out)

    return make


def crops(
    name: str, side: int, *, every: int = 1, zoom: int = 1, inverted: bool = False
) -> Callable[[Path, Path], None]:
    """The middle square, `side` px wide, of each `every`-th image and mask; masks become 0 and 1.

    With a `zoom` it is the square with most foreground, enlarged, so that the structures are not finer than the last
    maps of most networks.
    """

    def make(data: Path, out: Path) -> None:
        for path in sorted((data / name / "images").iterdir())[::every]:
            mask = (np.asarray(Image.open(data / name / "masks" / path.name)) > 0) != inverted
            image = Image.open(path).convert("RGB")
            middle = ((mask.shape[0] - side) // 2, (mask.shape[1] - side) // 2)
            top, left = fullest(mask, side) if zoom > 1 else middle
            box = (left, top, left + side, top + side)
            for folder, whole, how in (
                ("images", image, Image.Resampling.BICUBIC),
                ("masks", Image.fromarray(mask.astype(np.uint8)), Image.Resampling.NEAREST),
            ):
                (out / folder).mkdir(parents=True, exist_ok=True)
                whole.crop(box).resize((side * zoom,) * 2, how).save(out / folder / f"{path.stem}.png")

    return make


def fullest(mask: np.ndarray, side: int) -> tuple[int, int]:
    """The upper left corner of the square with most foreground; the first of equal ones."""
    sums = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    counts = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(counts.argmax(), counts.shape)
    return int(top), int(left)


def pneumonia(data: Path, out: Path) -> None:
    """600 chest X-rays of 28 px, 300 of each class."""
    arrays = np.load(data / "pneumoniamnist.npz")
    labels = arrays["train_labels"][:, 0]
    chosen = balanced(labels, range(2), 300, seed=0)
    write_images(out, arrays["train_images"][chosen], labels[chosen])


def cifar(classes: tuple[int, ...], each: int) -> Callable[[Path, Path], None]:
    """Images of some classes of CIFAR-10."""

    def make(data: Path, out: Path) -> None:
        arrays = np.load(data / "cifar10_jpeg_subset.npz")
        labels = arrays["train_labels"]
        chosen = balanced(labels, classes, each, seed=0)
        write_images(out, arrays["train_images"][chosen], labels[chosen])

    return make


def digits(_: Path, out: Path) -> None:
    """600 handwritten digits of 8 px (Alpaydin & Kaynak 1998, with scikit-learn)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    chosen = balanced(bunch.target, range(10), 60, seed=0)
    write_images(out, np.round(bunch.images[chosen] * 255 / 16).astype(np.uint8), bunch.target[chosen])


def grades(_: Path, out: Path) -> None:
    """500 procedural retinas of five grades."""
    from acrank.demo import make_target

    make_target(out, n=500, seed=1)


def cells(_: Path, out: Path) -> None:
    """400 procedural pictures of cells of four kinds."""
    source = SOURCES["cells"]
    for index in range(400):
        image = source.draw(np.random.default_rng((11, index)), index % source.classes, 64)
        (out / f"{index % source.classes}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(out / f"{index % source.classes}" / f"{index:04d}.png")


def nodules(_: Path, out: Path) -> None:
    """16 procedural slices of lungs of 96 px with their nodules: of each scan the slice with most nodule pixels."""
    from acrank.demo.nodules import nodule_scan

    for index in range(16):
        scan, mask = nodule_scan(1, index, size=96)
        best = int(mask.sum((1, 2)).argmax())
        image = np.clip((scan[best].astype(np.float32) + 1000) / 1400, 0, 1) * 255
        for name, pixels in (("images", image), ("masks", mask[best])):
            (out / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(pixels).astype(np.uint8)).save(out / name / f"{index:02d}.png")


def vessel_patches(data: Path, out: Path) -> None:
    """800 patches of 32 px of DRIVE's retinas; the class says whether the middle lies on a vessel."""
    rng = np.random.default_rng(0)
    for path in sorted((data / "drive" / "images").iterdir()):
        image = np.asarray(Image.open(path).convert("RGB"))
        mask = np.asarray(Image.open(data / "drive" / "masks" / path.name)) > 0
        for label in (0, 1):
            inside = image.sum(2)[16:-16, 16:-16] > 90
            ys, xs = np.nonzero((mask[16:-16, 16:-16] == bool(label)) & inside)
            (out / f"{label}").mkdir(parents=True, exist_ok=True)
            for number, place in enumerate(rng.choice(len(ys), 20, replace=False)):
                y, x = int(ys[place]), int(xs[place])
                patch = image[y : y + 32, x : x + 32]
                Image.fromarray(patch).save(out / f"{label}" / f"{path.stem}_{number:02d}.png")


def balanced(labels: np.ndarray, classes: range | tuple[int, ...], each: int, *, seed: int) -> np.ndarray:
    """Ascending indices of `each` samples of each class."""
    rng = np.random.default_rng(seed)
    return np.sort(np.concatenate([rng.choice(np.flatnonzero(labels == one), each, replace=False) for one in classes]))


def write_images(out: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Class folders of PNG files."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (out / f"{int(label)}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(out / f"{int(label)}" / f"{number:04d}.png")


ANIMALS, VEHICLES = (2, 3, 4, 5, 6, 7), (0, 1, 8, 9)
STUDIES: Mapping[str, Study] = {
    "busi": Study("choosing", copied("busi"), left_out=("busi",)),
    "pneumonia": Study("reported", pneumonia, left_out=("pneumonia",)),
    "cifar_animals": Study("choosing", cifar(ANIMALS, 120), left_out=("cifar10",)),
    "cifar_vehicles": Study("reported", cifar(VEHICLES, 150), left_out=("cifar10",)),
    "digits": Study("reported", digits, left_out=("digits",)),
    "grades": Study("choosing", grades),
    "cells": Study("choosing", cells, left_out=("byobnet-cells",)),
    "vessel_patches": Study("choosing", vessel_patches),
    "drive": Study("choosing", crops("drive", 64, zoom=2), MASKS),
    "isbi_em": Study("reported", crops("isbi_em", 128, every=2, inverted=True), MASKS),
    "nodules": Study("reported", nodules, MASKS),
}
