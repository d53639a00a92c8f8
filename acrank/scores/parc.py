"""PARC: rank correlation of distances in features with distances in labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UndefinedScoreError
from acrank.scores.array_checks import Floats, as_classes, as_matrix, standardise


def parc(features: ArrayLike, labels: ArrayLike, *, seed: int = 0, max_images: int = 2000) -> float:
    """Spearman correlation, over pairs of images, of feature distance and label distance (1 - Pearson correlation).

    Features are standardised first. An image whose standardised features are all equal has no correlation with
    others; its distances are 1. The features are not reduced to 32 principal components first, as one of the
    paper's variants does.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes.
        seed: of the subsample above `max_images`, which keeps the memory for pairs bounded; otherwise without effect.
        max_images: 2000 images make 2 million pairs.

    Returns:
        The score, in [-1, 1] (the paper's code shows per cent); higher is better.

    Raises:
        UndefinedScoreError: one class, fewer than two features that vary, all distances equal, or non-finite values.

    Source: Bolya et al., Scalable Diverse Model Selection for Accessible Transfer Learning, NeurIPS 2021
    (arXiv 2111.06977), section 4.

    >>> parc([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], [0, 0, 1, 1])
    1.0
    """
    from scipy.stats import rankdata

    rows = as_matrix(features, "features")
    codes, _ = as_classes(labels, len(rows))
    if len(rows) > max_images:
        chosen = np.sort(np.random.default_rng(seed).choice(len(rows), max_images, replace=False))
        rows, codes = rows[chosen], as_classes(codes[chosen], max_images)[0]
    first, second = np.triu_indices(len(rows), 1)
    distances = rankdata(_distances(standardise(rows))[first, second])
    # one-hot labels of different classes correlate equally, so their distances have just two ranks
    different = (codes[first] != codes[second]).astype(np.float64)
    if np.ptp(distances) == 0 or np.ptp(different) == 0:
        raise UndefinedScoreError("all pairs of images are equally far apart, in features or in labels")
    return float(np.clip(np.corrcoef(distances, different)[0, 1], -1, 1))


def _distances(rows: Floats) -> Floats:
    if rows.shape[1] < 2:
        raise UndefinedScoreError("fewer than two features vary over the sample")
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = length <= 1e-12 * np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.where(flat, 0.0, centred / np.where(flat, 1.0, length))
    return np.round(1 - unit @ unit.T, 12)  # equal distances must stay ties after rounding errors
