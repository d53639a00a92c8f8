"""Procedural volumes with masks, to pretrain on: nodules in lungs, bright tubes, and shells around cavities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from acrank.demo.nodules import nodule_scan

Values, Mask = NDArray[np.float32], NDArray[np.uint8]
Generator = Callable[[int, int], tuple[Values, Mask]]
SEED = 2000  # no target is made with it


def nodules(index: int, size: int) -> tuple[Values, Mask]:
    """A scan of lungs in [0, 1], and its nodules."""
    scan, mask = nodule_scan(SEED, index, size=size)
    return np.clip((scan.astype(np.float32) + 1000) / 2000, 0, 1), mask


def tubes(index: int, size: int) -> tuple[Values, Mask]:
    """Bright crooked tubes in a cloudy background, and where they are."""
    rng = np.random.default_rng((SEED, 1, index))
    mask = np.zeros((size,) * 3, dtype=bool)
    for _ in range(int(rng.integers(2, 6))):
        steps = rng.normal(size=(4 * size, 3)).cumsum(axis=0) * 0.7 + np.linspace(0, size, 4 * size)[:, None]
        places = np.round(steps + rng.uniform(-size / 3, size / 3, size=3)).astype(int)
        places = places[((places >= 0) & (places < size)).all(axis=1)]
        mask[tuple(places.T)] = True
    mask = gaussian_filter(mask.astype(np.float32), rng.uniform(0.8, 1.4)) > 0.12
    return _photographed(rng, mask * rng.uniform(0.25, 0.5)), mask.astype(np.uint8)


def shells(index: int, size: int) -> tuple[Values, Mask]:
    """Dark shells around bright cavities, stretched along the last axis, and the shells."""
    rng = np.random.default_rng((SEED, 2, index))
    where = np.stack(np.meshgrid(*[np.linspace(-1, 1, size)] * 3, indexing="ij"))
    light, found = np.zeros((size,) * 3), np.zeros((size,) * 3, dtype=bool)
    for _ in range(int(rng.integers(1, 3))):
        middle, radii = rng.uniform(-0.4, 0.4, size=3), rng.uniform(0.25, 0.5, size=3) * [1, 1, 1.8]
        far = np.sqrt((((where - middle[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(axis=0))
        wall = (far >= rng.uniform(0.6, 0.75)) & (far < 1)
        light += np.where(wall, -0.2, np.where(far < 1, rng.uniform(0.2, 0.4), 0))
        found |= wall
    return _photographed(rng, light), found.astype(np.uint8)


def _photographed(rng: np.random.Generator, light: NDArray[np.float64]) -> Values:
    """With a cloudy background, blurred and noisy, in [0, 1]."""
    cloud = gaussian_filter(rng.normal(size=light.shape), 3)
    values = 0.4 + 0.12 * cloud / cloud.std() + gaussian_filter(light, 0.6) + rng.normal(scale=0.05, size=light.shape)
    return np.clip(values, 0, 1).astype(np.float32)


VOLUMES: dict[str, Generator] = {"nodules": nodules, "tubes": tubes, "shells": shells}


def volumes(draw: Generator, count: int, size: int) -> tuple[Tensor, Tensor]:
    """`count` volumes, float32 [n, 1, size, size, size] in [0, 1], and their masks, int64 [n, size, size, size]."""
    found = [draw(index, size) for index in range(count)]
    return (
        torch.from_numpy(np.stack([values for values, _ in found]))[:, None],
        torch.from_numpy(np.stack([mask for _, mask in found]).astype(np.int64)),
    )
