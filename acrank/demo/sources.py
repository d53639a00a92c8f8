"""Procedural source data sets for pretraining: each generator draws one image of a given class.

They differ more and more from the target of `acrank.demo.make_target`: retinas with other lesions, retinas with
another label, ultrasound, cells, textures, shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from acrank.demo.canvas import Floats, Pixels, Stencil, develop, grid, paint, smooth_noise
from acrank.demo.fundus import OTHER_CAMERA, draw_fundus, graded_lesions
from acrank.demo.lesions import Lesions

Generator = Callable[[np.random.Generator, int, int], Pixels]


@dataclass(frozen=True)
class Source:
    """A generator `draw(rng, label, size) -> uint8 [size, size, 3]`, and its number of classes."""

    draw: Generator
    classes: int


def fundus_lesions(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """Kind of lesion, by another camera than the target's: 0 none, 1 drusen, 2 cotton wool, 3 dots, 4 blots."""
    count = int(rng.integers(2, 11))
    lesions = (
        Lesions(),
        Lesions(drusen=2 * count),
        Lesions(cotton_wool=1 + count // 3),
        Lesions(microaneurysms=2 * count),
        Lesions(haemorrhages=count, exudates=count // 4),
    )[label]
    return draw_fundus(rng, size=size, lesions=lesions, camera=OTHER_CAMERA)


def fundus_vessels(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """Density of the vessels: 0 sparse, 1 usual, 2 dense; lesions are independent of it."""
    branches = 7 * label + int(rng.integers(0, 4))
    return draw_fundus(rng, size=size, lesions=_any_lesions(rng), camera=OTHER_CAMERA, branches=branches)


def fundus_disc(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """Side of the optic disc: 0 left, 1 right."""
    return draw_fundus(rng, size=size, lesions=_any_lesions(rng), camera=OTHER_CAMERA, disc_right=bool(label))


def fundus_rotation(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """Rotation of a retina in quarter turns, 0 to 3, with the disc on the right: a self-supervised task."""
    upright = draw_fundus(rng, size=size, lesions=_any_lesions(rng), camera=OTHER_CAMERA, disc_right=True)
    return np.ascontiguousarray(np.rot90(upright, label))


def ultrasound(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """Speckle over layered tissue: 0 no mass, 1 a smooth one, 2 an irregular one with a shadow beneath it."""
    x, y = grid(size)
    tissue = 0.45 + 0.12 * np.sin(rng.uniform(3, 7) * y + 0.4 * smooth_noise(rng, size, 0.15)) - 0.1 * y
    if label:
        centre, radius = rng.uniform(-0.35, 0.35, 2), rng.uniform(0.18, 0.38)
        stencil = Stencil(size)
        stencil.polygon(_blob(rng, centre, radius, roughness=0.05 if label == 1 else 0.22, corners=24))
        tissue = tissue * (1 - 0.75 * stencil.mask(size / 96))
        if label == 2:
            shadow = (np.abs(x - centre[0]) < 0.7 * radius) & (y > centre[1] + 0.6 * radius)
            tissue = tissue * (1 - 0.4 * gaussian_filter(shadow.astype(np.float64), size / 48))
    speckle = gaussian_filter(rng.rayleigh(size=(size, size)), (0.6 * size / 96, 1.1 * size / 96))
    return develop(rng, np.repeat((tissue * speckle / speckle.mean())[..., None], 3, axis=2), 0.01)


def cells(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """Stained cells: 0 few, 1 many, 2 with large nuclei, 3 with two nuclei."""
    count = int(rng.integers(4, 9)) if label == 0 else int(rng.integers(12, 22))
    centres, radii = rng.uniform(-0.9, 0.9, (count, 2)), rng.uniform(0.1, 0.18, count)
    bodies, nuclei = Stencil(size), Stencil(size)
    for centre, radius in zip(centres, radii, strict=True):
        bodies.polygon(_blob(rng, centre, radius, roughness=0.08, corners=16))
        offset = rng.normal(scale=0.1, size=2) if label < 3 else rng.choice([-1, 1], 2) * 0.35
        share = 0.7 if label == 2 else 0.35
        for side in (-1, 1) if label == 3 else (1,):
            nuclei.dots((centre + side * radius * offset)[None], np.array([radius * share]))
    ground = np.array([0.93, 0.86, 0.90]) * (1 + 0.04 * smooth_noise(rng, size, 0.1))[..., None]
    image = paint(ground, bodies.mask(0.5 * size / 96), rng.uniform([0.7, 0.45, 0.6], [0.9, 0.65, 0.8]), opacity=0.8)
    image = paint(image, nuclei.mask(0.3 * size / 96), rng.uniform([0.25, 0.1, 0.4], [0.45, 0.25, 0.6]), opacity=0.9)
    return develop(rng, image, 0.025)


def textures(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """Patterns of two random colours: 0 coarse grating, 1 fine grating, 2 checks, 3 spots, 4 fine noise, 5 clouds."""
    x, y = grid(size)
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = -np.sin(angle) * x + np.cos(angle) * y
    coarse, fine = rng.uniform(6, 14), rng.uniform(22, 40)
    wave = (
        lambda: np.sin(coarse * along + phase),
        lambda: np.sin(fine * along + phase),
        lambda: np.sign(np.sin(fine / 2 * along + phase) * np.sin(fine / 2 * across)),
        lambda: np.sin(fine / 2 * along + phase) + np.sin(fine / 2 * across) - 0.5,
        lambda: smooth_noise(rng, size, 0.01),
        lambda: smooth_noise(rng, size, 0.08),
    )[label]()
    share = np.clip(0.5 + 0.5 * wave, 0, 1)[..., None]
    first, second = rng.uniform(0, 1, (2, 3))
    return develop(rng, first * share + second * (1 - share), 0.04)


def shapes(rng: np.random.Generator, label: int, size: int) -> Pixels:
    """One coloured shape on a coloured background: 0 disc, 1 ring, 2 triangle, 3 square, 4 star, 5 cross."""
    stencil, centre, radius = Stencil(size), rng.uniform(-0.4, 0.4, 2), rng.uniform(0.25, 0.5)
    turn = rng.uniform(0, 2 * np.pi)
    if label < 2:
        stencil.dots(centre[None], np.array([radius]))
    elif label == 5:
        arm = radius * np.array([np.cos(turn), np.sin(turn)])
        for step in (arm, np.array([-arm[1], arm[0]])):
            stencil.line(np.stack([centre - step, centre + step]), 0.4 * radius)
    else:
        stencil.polygon(_corners(centre, radius, turn, n={2: 3, 3: 4, 4: 5}[label], star=label == 4))
    mask = stencil.mask()
    if label == 1:
        hole = Stencil(size)
        hole.dots(centre[None], np.array([0.6 * radius]))
        mask = mask * (1 - hole.mask())
    ground = rng.uniform(0, 1, 3) * np.ones((size, size, 3))
    return develop(rng, paint(ground, mask, rng.uniform(0, 1, 3), opacity=1.0), 0.03)


def _any_lesions(rng: np.random.Generator) -> Lesions:
    return graded_lesions(rng, int(rng.integers(5)))


def _blob(rng: np.random.Generator, centre: Floats, radius: float, roughness: float, corners: int) -> Floats:
    """A closed outline [corners, 2] around `centre`, whose radius varies by `roughness`."""
    angles = np.arange(corners) * 2 * np.pi / corners
    radii = radius * np.clip(1 + rng.normal(scale=roughness, size=corners), 0.4, 1.6)
    outline: Floats = centre + radii[:, None] * np.stack(
        [np.cos(angles), rng.uniform(0.7, 1.0) * np.sin(angles)], axis=1
    )
    return outline


def _corners(centre: Floats, radius: float, turn: float, n: int, *, star: bool) -> Floats:
    count = 2 * n if star else n
    angles = turn + np.arange(count) * 2 * np.pi / count
    radii = np.where(np.arange(count) % 2, 0.4 * radius, radius) if star else np.full(count, radius)
    outline: Floats = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return outline


SOURCES: dict[str, Source] = {
    "fundus_lesions": Source(fundus_lesions, 5),
    "fundus_vessels": Source(fundus_vessels, 3),
    "fundus_disc": Source(fundus_disc, 2),
    "fundus_rotation": Source(fundus_rotation, 4),
    "ultrasound": Source(ultrasound, 3),
    "cells": Source(cells, 4),
    "textures": Source(textures, 6),
    "shapes": Source(shapes, 6),
}
