"""Lesions of a diseased retina, drawn onto a procedural fundus photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acrank.demo.canvas import Floats, Stencil, paint

DARK_RED = np.array([0.30, 0.05, 0.04])
YELLOW = np.array([0.98, 0.90, 0.55])
WHITE = np.array([0.95, 0.93, 0.85])
BROWN = np.array([0.22, 0.13, 0.08])


@dataclass(frozen=True)
class Lesions:
    """Number of lesions of each kind."""

    microaneurysms: int = 0
    haemorrhages: int = 0
    exudates: int = 0
    new_vessels: int = 0
    drusen: int = 0
    cotton_wool: int = 0
    pigment: int = 0


def draw_lesions(rng: np.random.Generator, image: Floats, lesions: Lesions, macula: Floats) -> Floats:
    """`image` [h, w, 3] with the lesions; drusen lie around the `macula` (x, y), the others anywhere."""
    fine = image.shape[0] / 96
    for stencil, colour, opacity, blur in (
        (_drusen(rng, image, lesions.drusen, macula=macula), YELLOW, (0.25, 0.5), 0.5),
        (_cotton_wool(rng, image, lesions.cotton_wool), WHITE, (0.45, 0.75), 1.5),
        (_exudates(rng, image, lesions.exudates), YELLOW, (0.55, 0.9), 0.0),
        (_pigment(rng, image, lesions.pigment), BROWN, (0.5, 0.8), 0.7),
        (_microaneurysms(rng, image, lesions.microaneurysms), DARK_RED, (0.55, 0.9), 0.0),
        (_haemorrhages(rng, image, lesions.haemorrhages), DARK_RED, (0.6, 0.9), 0.4),
        (_new_vessels(rng, image, lesions.new_vessels), DARK_RED, (0.6, 0.85), 0.0),
    ):
        image = paint(image, stencil.mask(blur * fine), colour, opacity=rng.uniform(*opacity))
    return image


def _somewhere(rng: np.random.Generator, n: int, reach: float = 0.82) -> Floats:
    """`n` positions [n, 2], uniform over the field of view."""
    radius, angle = reach * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _around(rng: np.random.Generator, centres: Floats, each: int, width: float) -> Floats:
    """`each` positions around every one of `centres` [n, 2], as [n * each, 2]."""
    return np.repeat(centres, each, axis=0) + rng.normal(scale=width, size=(len(centres) * each, 2))


def _dots(rng: np.random.Generator, image: Floats, centres: Floats, radii: tuple[float, float]) -> Stencil:
    stencil = Stencil(image.shape[0])
    stencil.dots(centres, rng.uniform(*radii, len(centres)))
    return stencil


def _microaneurysms(rng: np.random.Generator, image: Floats, n: int) -> Stencil:
    return _dots(rng, image, _somewhere(rng, n), radii=(0.018, 0.034))


def _haemorrhages(rng: np.random.Generator, image: Floats, n: int) -> Stencil:
    return _dots(rng, image, _around(rng, _somewhere(rng, n), 4, width=0.028), radii=(0.030, 0.055))


def _exudates(rng: np.random.Generator, image: Floats, n: int) -> Stencil:
    return _dots(rng, image, _around(rng, _somewhere(rng, n, reach=0.6), 8, width=0.06), radii=(0.014, 0.034))


def _drusen(rng: np.random.Generator, image: Floats, n: int, macula: Floats) -> Stencil:
    return _dots(rng, image, macula + rng.normal(scale=0.18, size=(n, 2)), radii=(0.015, 0.04))


def _cotton_wool(rng: np.random.Generator, image: Floats, n: int) -> Stencil:
    return _dots(rng, image, _around(rng, _somewhere(rng, n, reach=0.65), 3, width=0.03), radii=(0.04, 0.07))


def _pigment(rng: np.random.Generator, image: Floats, n: int) -> Stencil:
    return _dots(rng, image, _around(rng, _somewhere(rng, n), 2, width=0.02), radii=(0.025, 0.06))


def _new_vessels(rng: np.random.Generator, image: Floats, n: int) -> Stencil:
    """Nests of fine, tortuous vessels."""
    stencil = Stencil(image.shape[0])
    for centre in _somewhere(rng, n, reach=0.6):
        for _ in range(5):
            angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(scale=0.7, size=14))
            steps = 0.026 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            stencil.line(centre + np.cumsum(steps, axis=0), 0.016)
    return stencil
