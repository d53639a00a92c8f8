"""CC-FV: consistency of a class's features between images, and variety of an image's positions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UndefinedScoreError, UsageError
from acrank.scores.array_checks import Codes, Floats, as_classes, as_matrix

#: Added to the squared distances of the energy: positions that coincide would make it infinite.
SOFTENING = 1e-3
_ROUNDING = 1e-6  # a distance this small beside the features is that of equal ones

#: Features [m, d], for each row its place among the labels [m], and the patch that it is of [m].
Map = tuple[ArrayLike, ArrayLike, ArrayLike]


def cc_fv(maps: Sequence[Map], labels: ArrayLike, groups: ArrayLike) -> float:
    """Class consistency with feature variety, for segmentation; higher is better, unbounded.

    The mean of log(F / C) over the maps of a decoder. C is the mean over foreground classes and pairs of images of the
    2-Wasserstein distance between the class's features in both, taken as Gaussians: |m_i - m_j|² + tr(S_i + S_j -
    2 (S_i^½ S_j S_i^½)^½), its root. F is the mean over patches of the inverse of the hyperspherical energy of a
    patch's positions: of the mean over pairs of 1 / |v_i - v_j|, where v are the features on the unit sphere; features
    that are zero stay zero.

    Where this differs from the paper: 1e-3 is added to the squared distances of the energy, as in the authors' code,
    since features that coincide, as of an empty background, would make it infinite; the energy is a mean over pairs,
    where the paper adds them up, for several positions may share a cell of a map; and the classes' distances are
    averaged too. Both sums would shift every candidate by the same amount, as long as the same positions and classes
    count. Maps on which no class can be compared, as where one has a single cell in most images, are left out.

    Args:
        maps: for each map its features [m, d], the places of their labels [m] and the patches they are of [m].
        labels: [n], class indices; 0 is the background, which does not count for C.
        groups: [n], the image that a label is of.

    Raises:
        UsageError: not one group for each label, no maps, or places that are not among the labels.
        UndefinedScoreError: on no map a class with two positions in each of two images, or images that do not differ.

    Source: Yang et al., Pick the Best Pre-trained Model, MICCAI 2023, arXiv 2307.11958.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(40, 3)) + np.arange(40)[:, None] % 4
        >>> images = np.arange(40) // 10
        >>> round(cc_fv([(features, np.arange(40), images)], np.arange(40) % 2, images), 4)
        -1.1694
    """
    classes, images = np.asarray(labels), np.asarray(groups)
    as_classes(classes, len(classes))
    if not maps or images.shape != classes.shape:
        raise UsageError(
            f"{len(maps)} maps, groups of shape {images.shape}, labels of shape {classes.shape}",
            hint="give a map or more, and one image a label",
        )
    values = [_of_map(one, classes, images) for one in maps]
    known = [value for value in values if value is not None]
    if not known:
        raise UndefinedScoreError("no foreground class with two positions in each of two images")
    return float(np.mean(known))


def wasserstein(first: Floats, second: Floats) -> float:
    """2-Wasserstein distance between Gaussians with the mean and covariance (n - 1) of two samples [n, d], [m, d]."""
    return _apart(_gaussian(first), _gaussian(second))


def variety(features: Floats) -> float:
    """Inverse of the hyperspherical energy of positions [n, d], n > 1; positive, at most about 2."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    sphere = features / np.where(lengths > 0, lengths, 1.0)
    squares = (sphere**2).sum(axis=1)
    first, second = np.triu_indices(len(sphere), k=1)
    distances = (squares[:, None] + squares - 2 * sphere @ sphere.T)[first, second]
    return float(1 / np.mean(1 / np.sqrt(np.maximum(distances, 0.0) + SOFTENING)))


def _of_map(one: Map, classes: np.ndarray, images: np.ndarray) -> float | None:
    """log(F / C) of one map; None where no class can be compared on it."""
    rows, places, patches = as_matrix(one[0], "a map's features"), np.asarray(one[1]), np.asarray(one[2])
    if not (places.shape == patches.shape == (len(rows),)) or places.min() < 0 or places.max() >= len(classes):
        raise UsageError(
            f"a map of {len(rows)} rows has places {places.shape} among {len(classes)} labels, patches {patches.shape}",
            hint="give a place and a patch a row",
        )
    parts = [part for part in (rows[patches == patch] for patch in np.unique(patches)) if len(part) > 1]
    names, sources = classes[places], images[places]
    distances = [_consistency(rows[names == name], sources[names == name]) for name in np.unique(names) if name != 0]
    known = [distance for distance in distances if distance is not None]
    if not (known and parts):
        return None
    consistency = float(np.mean(known))
    if not consistency > _ROUNDING * np.linalg.norm(rows) / np.sqrt(len(rows)):
        raise UndefinedScoreError("the images' features do not differ")
    return float(np.log(np.mean([variety(part) for part in parts])) - np.log(consistency))


def _consistency(rows: Floats, sources: Codes) -> float | None:
    """Mean distance of a class over pairs of images; None where fewer than two images show it."""
    parts = [rows[sources == image] for image in np.unique(sources)]
    found = [_gaussian(part) for part in parts if len(part) > 1]
    pairs = list(itertools.combinations(found, 2))
    return float(np.mean([_apart(*pair) for pair in pairs])) if pairs else None


def _gaussian(sample: Floats) -> tuple[Floats, Floats]:
    """Mean, and R with RᵀR the covariance."""
    centre = sample.mean(axis=0)
    centred = (sample - centre) / np.sqrt(len(sample) - 1)
    return centre, np.asarray(np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred


def _apart(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> float:
    """The distance: tr((S_1^½ S_2 S_1^½)^½) is the sum of the singular values of R_1 R_2ᵀ."""
    shared = np.linalg.svd(first[1] @ second[1].T, compute_uv=False).sum()
    spread = float((first[1] ** 2).sum() + (second[1] ** 2).sum())
    gap = float(((first[0] - second[0]) ** 2).sum())
    return float(np.sqrt(max(gap + spread - 2 * shared, 0.0)))
