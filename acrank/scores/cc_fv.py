"""CC-FV: are a class's features alike from image to image, and are the images apart?"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UsageError
from acrank.scores.arrays import Floats, as_classes, as_matrix
from acrank.scores.undefined import UndefinedScoreError


def cc_fv(features: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> float:
    """Class consistency with feature variety, for segmentation; higher is better, unbounded.

    log(F / C). C is the mean over foreground classes and pairs of images of the 2-Wasserstein distance between the
    class's features in both, taken as Gaussians: |m_i - m_j|² + tr(S_i + S_j - 2 (S_i^½ S_j S_i^½)^½), its root. F is
    the inverse of the hyperspherical energy of the images: the mean over pairs of 1 / |v_i - v_j|, where v is the mean
    feature of an image, on the unit sphere.

    Where this differs from the paper: it reads one feature map, the paper takes the mean of log(F / C) over several
    layers of the decoder; its F is the dispersion of sampled positions within an image's feature map, here it is that
    of the images' mean features, as in the authors' code (which neither puts them on the sphere nor inverts the
    energy, and adds 1e-3 to the squared distances); and it adds the classes' distances up, which on one target shifts
    every candidate by the same log of their number, as long as the same classes count.

    Args:
        features: [n, d], a row for each labelled position.
        labels: [n], class indices; 0 is the background, which does not count.
        groups: [n], the image that a row comes from.

    Raises:
        UsageError: not one group for each row.
        UndefinedScoreError: no class with two positions in each of two images, or images that do not differ.

    Source: Yang et al., Pick the Best Pre-trained Model, MICCAI 2023, arXiv 2307.11958.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(40, 3)) + np.arange(40)[:, None] % 4
        >>> round(cc_fv(features, np.arange(40) % 2, np.arange(40) // 10), 4)
        -2.452
    """
    rows = as_matrix(features, "features")
    as_classes(labels, len(rows))
    classes, images = np.asarray(labels), np.asarray(groups)
    if images.shape != (len(rows),):
        raise UsageError(f"groups have shape {images.shape}, labels {classes.shape}", hint="give one image a row")
    distances = [_consistency(rows, classes == name, images) for name in np.unique(classes) if name != 0]
    known = [distance for distance in distances if distance is not None]
    if not known:
        raise UndefinedScoreError("no foreground class with two positions in each of two images")
    consistency, energy = float(np.mean(known)), _energy(rows, images)
    if not (consistency > 0 and np.isfinite(energy)):
        raise UndefinedScoreError("the images' features do not differ")
    return float(-np.log(energy) - np.log(consistency))


def wasserstein(first: Floats, second: Floats) -> float:
    """2-Wasserstein distance between Gaussians with the mean and covariance (n - 1) of two samples [n, d], [m, d]."""
    roots = [_root(sample) for sample in (first, second)]
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    spread = sum(float((root**2).sum()) for root in roots)
    gap = float(((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum())
    return float(np.sqrt(max(gap + spread - 2 * shared, 0.0)))


def _root(sample: Floats) -> Floats:
    """R with RᵀR the covariance: tr((S_1^½ S_2 S_1^½)^½) is then the sum of the singular values of R_1 R_2ᵀ."""
    centred = (sample - sample.mean(axis=0)) / np.sqrt(len(sample) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred


def _consistency(rows: Floats, chosen: np.ndarray, images: np.ndarray) -> float | None:
    """Mean distance of a class over pairs of images; None where fewer than two images show it."""
    parts = [rows[chosen & (images == image)] for image in np.unique(images)]
    pairs = list(itertools.combinations([part for part in parts if len(part) > 1], 2))
    return float(np.mean([wasserstein(*pair) for pair in pairs])) if pairs else None


def _energy(rows: Floats, images: np.ndarray) -> float:
    means = np.stack([rows[images == image].mean(axis=0) for image in np.unique(images)])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise UndefinedScoreError("an image's mean feature is zero, which has no direction")
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(means / lengths, 2)]
    if not apart:
        raise UndefinedScoreError("one image only")
    with np.errstate(divide="ignore"):
        return float(np.mean(1 / np.array(apart)))
