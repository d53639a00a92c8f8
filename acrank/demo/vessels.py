"""A procedural 2D target with masks: retinas and their vessels."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from acrank.demo import claim
from acrank.demo.canvas import Pixels, develop, grid, paint
from acrank.demo.fundus import FIELD_RADIUS, TARGET_CAMERA, background, illumination, optic_disc, vessel_tree
from acrank.demo.lesions import DARK_RED
from acrank.errors import UsageError

SIZE = 96
_STREAM = 4  # first word of the seed: no image is shared with other generators
_VESSEL = 0.4


def vessel_retina(seed: int, index: int, *, size: int = SIZE) -> tuple[Pixels, Pixels]:
    """A healthy retina [size, size, 3], uint8, and the mask of its vessels [size, size], uint8, 0 or 1.

    >>> image, mask = vessel_retina(0, 0)
    >>> image.shape, mask.shape, 0.03 < float(mask.mean()) < 0.3
    ((96, 96, 3), (96, 96), True)
    """
    rng = np.random.default_rng([_STREAM, seed, index])
    disc = np.array([rng.choice([-1.0, 1.0]) * rng.uniform(0.42, 0.62), rng.uniform(-0.12, 0.12)])
    macula = np.array([disc[0] - np.sign(disc[0]) * rng.uniform(0.55, 0.7), disc[1] + rng.uniform(-0.05, 0.1)])
    vessels = vessel_tree(rng, size, disc, branches=5)
    image = optic_disc(rng, background(rng, size, TARGET_CAMERA, macula=macula), disc)
    image = paint(image, vessels, DARK_RED, opacity=rng.uniform(0.45, 0.75)) * illumination(rng, size, TARGET_CAMERA)
    x, y = grid(size)
    seen = np.hypot(x, y) < FIELD_RADIUS  # the camera's field is round: no vessel is visible outside it
    return develop(rng, image, TARGET_CAMERA.noise), ((vessels > _VESSEL) & seen).astype(np.uint8)


def make_vessels(folder: str | os.PathLike[str], *, seed: int = 0, n: int = 24, size: int = SIZE) -> None:
    """Write `n` retinas and the masks of their vessels as PNG files in `folder/images` and `folder/masks`.

    Raises:
        UsageError: fewer than four images.
        OutputError: `folder` holds files already, or cannot be written.
    """
    if n < 4:
        raise UsageError(f"{n} images are too few to rank on", hint="ask for four or more")
    folder = claim(folder)
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for index in range(n):
        image, mask = vessel_retina(seed, index, size=size)
        Image.fromarray(image).save(folder / "images" / f"{index:03d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index:03d}.png")
