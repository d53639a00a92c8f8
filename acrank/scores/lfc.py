"""LFC: correlation of similarity in features with equality of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UndefinedScoreError
from acrank.scores.array_checks import as_classes, as_matrix, one_hot


def lfc(features: ArrayLike, labels: ArrayLike) -> float:
    """Correlation, over all pairs of images, of F Fᵀ with the label matrix (1 for the same class, else -1).

    The n × n matrices are never made: only sums over classes and the Gram matrix of the smaller side are needed.

    Args:
        features: [n, d], float32 or float64, taken as they are.
        labels: [n] classes.

    Returns:
        The score, in [-1, 1]; higher is better.

    Raises:
        UndefinedScoreError: one class, all images with the same features, or non-finite values.

    Source: Deshpande et al., A linearized framework and a new benchmark for model selection for fine-tuning, 2021
    (arXiv 2102.00084), section 4.

    >>> round(lfc([[1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, 1.0]], [0, 0, 1, 1]), 6)
    1.0
    """
    rows = as_matrix(features, "features")
    codes, counts = as_classes(labels, len(rows))
    n = len(rows)
    sums = one_hot(codes).T @ rows
    total = float((sums.sum(axis=0) ** 2).sum())  # sum of F Fᵀ
    mean_label = 2 * float((counts**2).sum()) / n**2 - 1
    together = 2 * float((sums**2).sum()) - total - total * mean_label
    power = _gram_power(rows) - (total / n) ** 2
    if power <= 1e-12 * (total / n) ** 2:
        raise UndefinedScoreError("all images have the same similarity to each other")
    return float(together / np.sqrt(power * (n**2 * (1 - mean_label**2))))


def _gram_power(rows: np.ndarray) -> float:
    """Squared Frobenius norm of F Fᵀ, from the smaller Gram matrix."""
    gram = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows
    return float((gram**2).sum())
