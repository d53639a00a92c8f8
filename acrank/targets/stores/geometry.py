"""Where the voxels of a volume lie, and how far two grids are apart."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from acrank.targets.stores.size_words import XYZ, size_text

#: Grids whose corners are closer than this, in voxels, are equal: headers hold single precision.
EQUAL = 0.01
#: Up to this distance, in voxels, grids differ slightly: no voxel's nearest neighbour changes.
SLIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid of voxels in space.

    Attributes:
        shape: voxels along each of three axes.
        affine: float64 [4, 4], from voxel indices to millimetres (right, anterior, superior).
    """

    shape: tuple[int, ...]
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres between voxels, along each axis."""
        return tuple(float(step) for step in np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)))

    @property
    def directions(self) -> np.ndarray:
        """Unit vectors of the three axes, float64 [3, 3], one per column."""
        return np.asarray(self.affine[:3, :3] / np.maximum(self.spacing, 1e-12))


def distance(one: Grid, other: Grid) -> float:
    """How far corners of the first grid lie from the same voxels of the second, at most, in voxels of the first.

    Example:
        >>> one = Grid((5, 5, 5), np.eye(4))
        >>> distance(one, Grid((5, 5, 5), np.diag([1.0, 1.0, 1.5, 1.0])))
        2.0
    """
    corners = np.array([(*at, 1) for at in itertools.product(*((0, size - 1) for size in one.shape))], dtype=float).T
    moved = np.linalg.inv(one.affine) @ other.affine @ corners
    return float(np.abs(moved - corners)[:3].max())


def place_differences(one: Grid, other: Grid) -> list[str]:
    """What tells two grids apart, in words: size, direction, spacing, origin.

    Example:
        >>> place_differences(Grid((5, 5, 5), np.eye(4)), Grid((5, 5, 5), np.diag([-1.0, 1.0, 2.0, 1.0])))
        ['direction (x reversed)', 'spacing 1 × 1 × 1 and 1 × 1 × 2 mm']
    """
    found = []
    if one.shape != other.shape:
        found.append(f"size {size_text(one.shape)} and {size_text(other.shape)} ({XYZ})")
    cosines = (one.directions * other.directions).sum(axis=0)
    if cosines.min() < 1 - 1e-4:
        turned = [f"{name} {_turn(cosine)}" for name, cosine in zip("xyz", cosines, strict=True) if cosine < 1 - 1e-4]
        found.append(f"direction ({', '.join(turned)})")
    if not np.allclose(one.spacing, other.spacing, rtol=1e-3):
        found.append(f"spacing {millimetres(one.spacing)} and {millimetres(other.spacing)} mm")
    origins = one.affine[:3, 3], other.affine[:3, 3]
    if np.abs(origins[0] - origins[1]).max() > EQUAL * min(one.spacing):
        shown = (", ".join(f"{value:.4g}" for value in origin) for origin in origins)
        found.append(f"origin ({') and ('.join(shown)}) mm")
    return found


def millimetres(steps: tuple[float, ...]) -> str:
    """A spacing in words.

    >>> millimetres((1.0, 1.0, 2.5))
    '1 × 1 × 2.5'
    """
    return " × ".join(f"{step:.3g}" for step in steps)


def _turn(cosine: float) -> str:
    return "reversed" if cosine < -0.999 else f"turned by {np.degrees(np.arccos(np.clip(cosine, -1, 1))):.3g} degrees"
