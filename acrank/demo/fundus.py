"""Procedural colour fundus photographs, graded by diabetic retinopathy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acrank.demo.canvas import Floats, Pixels, Stencil, develop, grid, paint, smooth_noise
from acrank.demo.lesions import DARK_RED, YELLOW, Lesions, draw_lesions

FIELD_RADIUS = 0.94


@dataclass(frozen=True)
class Camera:
    """A camera: mean colour of the retina (r, g, b in [0, 1]), its spread, sensor noise, strongest vignetting."""

    colour: tuple[float, float, float] = (0.74, 0.38, 0.19)
    spread: float = 0.05
    noise: float = 0.03
    vignette: float = 0.45


TARGET_CAMERA = Camera()
OTHER_CAMERA = Camera(colour=(0.62, 0.42, 0.30), spread=0.09, noise=0.02, vignette=0.3)


def fundus(rng: np.random.Generator, grade: int, size: int) -> Pixels:
    """A fundus photograph [size, size, 3], uint8, of retinopathy `grade` 0 (none) to 4 (proliferative).

    The grades overlap in the number of lesions, as in a clinic, and healthy retinas have a few drusen or pigment spots
    too, so no classifier reaches 100%.

    >>> fundus(np.random.default_rng(0), 2, 96).shape
    (96, 96, 3)
    """
    return draw_fundus(rng, size=size, lesions=graded_lesions(rng, grade))


def graded_lesions(rng: np.random.Generator, grade: int) -> Lesions:
    """Random numbers of lesions for `grade` 0 to 4; the ranges loosely follow the international scale."""
    aneurysms = ((0, 1), (2, 6), (4, 12), (10, 22), (3, 18))[grade]
    haemorrhages = ((0, 0), (0, 0), (1, 4), (5, 12), (0, 8))[grade]
    exudates = ((0, 0), (0, 0), (0, 3), (1, 4), (0, 4))[grade]
    new_vessels = ((0, 0), (0, 0), (0, 0), (0, 0), (1, 3))[grade]
    return Lesions(
        microaneurysms=_between(rng, aneurysms),
        haemorrhages=_between(rng, haemorrhages),
        exudates=_between(rng, exudates),
        new_vessels=_between(rng, new_vessels),
        drusen=_between(rng, (1, 6)) if rng.random() < 0.25 else 0,
        pigment=_between(rng, (1, 3)) if rng.random() < 0.2 else 0,
    )


def draw_fundus(
    rng: np.random.Generator,
    *,
    size: int,
    lesions: Lesions,
    camera: Camera = TARGET_CAMERA,
    branches: int = 5,
    disc_right: bool | None = None,
) -> Pixels:
    """A retina [size, size, 3], uint8, with given `lesions`, `branches` per vessel arcade, and the disc on one side.

    `disc_right=None` chooses the side at random.
    """
    right = bool(rng.integers(2)) if disc_right is None else disc_right
    disc = np.array([(1 if right else -1) * rng.uniform(0.42, 0.62), rng.uniform(-0.12, 0.12)])
    macula = np.array([disc[0] - np.sign(disc[0]) * rng.uniform(0.55, 0.7), disc[1] + rng.uniform(-0.05, 0.1)])
    image = background(rng, size, camera, macula=macula)
    image = optic_disc(rng, image, disc)
    image = paint(image, vessel_tree(rng, size, disc, branches=branches), DARK_RED, opacity=rng.uniform(0.45, 0.75))
    image = draw_lesions(rng, image, lesions, macula=macula)
    return develop(rng, image * illumination(rng, size, camera), camera.noise)


def _between(rng: np.random.Generator, limits: tuple[int, int]) -> int:
    return int(rng.integers(limits[0], limits[1], endpoint=True))


def background(rng: np.random.Generator, size: int, camera: Camera, macula: Floats) -> Floats:
    """The retina without vessels and disc, [size, size, 3]: mottled, darker at the macula."""
    colour = np.clip(np.array(camera.colour) + rng.normal(scale=camera.spread, size=3), 0.08, 0.95)
    mottling = 1 + 0.05 * smooth_noise(rng, size, 0.03) + 0.05 * smooth_noise(rng, size, 0.12)
    x, y = grid(size)
    shade = 1 - 0.35 * np.exp(-((x - macula[0]) ** 2 + (y - macula[1]) ** 2) / 0.03)
    image: Floats = colour * (mottling * shade)[..., None]
    return image


def optic_disc(rng: np.random.Generator, image: Floats, centre: Floats) -> Floats:
    """`image` with the bright optic disc and its cup at `centre` [2]."""
    size, radius = image.shape[0], rng.uniform(0.13, 0.19)
    for share, opacity in ((1.0, 0.6), (rng.uniform(0.35, 0.6), 0.5)):  # the disc, then its cup
        stencil = Stencil(size)
        stencil.dots(centre[None], np.array([radius * share]))
        image = paint(image, stencil.mask(size / 96), YELLOW, opacity=opacity)
    return image


def vessel_tree(rng: np.random.Generator, size: int, disc: Floats, branches: int) -> Floats:
    """The mask [size, size] of four arcades from the disc, up and down on both sides, with thinner branches."""
    stencil = Stencil(size)
    for vertical in (-1.0, 1.0):
        for towards in (-1.0, 1.0):
            trunk = _arcade(rng, disc, vertical, side=towards * -np.sign(disc[0]))
            stencil.line(trunk, rng.uniform(0.025, 0.04))
            for _ in range(branches):
                start = int(rng.integers(3, len(trunk) - 3))
                heading = trunk[start + 1] - trunk[start - 1]
                stencil.line(_twig(rng, trunk[start], heading), rng.uniform(0.008, 0.02))
    return stencil.mask(0.4 * size / 96)


def _arcade(rng: np.random.Generator, disc: Floats, vertical: float, side: float) -> Floats:
    t = np.linspace(0, 1, 16)
    reach, height = rng.uniform(0.9, 1.4) if side * disc[0] < 0 else rng.uniform(0.3, 0.6), rng.uniform(0.45, 0.75)
    wobble = np.cumsum(rng.normal(scale=0.012, size=(16, 2)), axis=0)
    arc = np.stack([side * reach * t**1.3, vertical * height * np.sin(t * rng.uniform(1.6, 2.4))], axis=1)
    return disc + arc + wobble


def _twig(rng: np.random.Generator, start: Floats, heading: Floats) -> Floats:
    angle = np.arctan2(heading[1], heading[0]) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)
    angles = angle + np.cumsum(rng.normal(scale=0.15, size=12))
    steps = rng.uniform(0.02, 0.05) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return start + np.vstack([np.zeros(2), np.cumsum(steps, axis=0)])


def illumination(rng: np.random.Generator, size: int, camera: Camera) -> Floats:
    """Brightness of each pixel [size, size, 1]: uneven within the round field of view, black outside it."""
    x, y = grid(size)
    tilt = 1 + rng.uniform(-0.2, 0.2) * x + rng.uniform(-0.2, 0.2) * y
    vignette = 1 - rng.uniform(0.1, camera.vignette) * (x**2 + y**2)
    field = np.clip((FIELD_RADIUS - np.hypot(x, y)) * size / 4, 0, 1)
    light: Floats = (rng.uniform(0.75, 1.1) * tilt * vignette * field)[..., None]
    return light
