"""SFDA: Fisher discriminant analysis of features that were mixed to make their classes harder to separate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.scores.array_checks import Codes, Floats, as_classes, as_matrix, centre, class_means
from acrank.scores.discriminant import adaptive_shrinkage, posterior
from acrank.scores.linear import compact


def sfda(features: ArrayLike, labels: ArrayLike, *, shrinkage: float | None = None) -> float:
    """Mean probability of the own class after self-challenging Fisher discriminant analysis.

    A first discriminant gives each image a confidence; every image is mixed with the mean of the other classes by
    its lack of confidence; the score is what a second discriminant says of the mixed images.

    Args:
        features: [n, d], float32 or float64; the input is not changed.
        labels: [n] classes.
        shrinkage: of the within-class covariance, in [0, 1]; None takes exp(-5 · its largest eigenvalue), at
            least 1e-10, as in the paper (there by three steps of a power iteration, here exactly).

    Returns:
        The score, in [0, 1]; higher is better. With n <= d it reaches 1 for any checkpoint.

    Raises:
        UndefinedScoreError: one class, all features constant, images that equal their class mean, or non-finite
            values.

    Source: Shao et al., Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher
    Space, ECCV 2022 (arXiv 2207.03036), eq. 4-9.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(90, 4))
    >>> 0.5 < sfda(x, x[:, 0] > 0) < 1
    True
    """
    rows = as_matrix(features, "features")
    d = rows.shape[1]
    rows = compact(centre(rows))
    codes, _ = as_classes(labels, len(rows))
    share = adaptive_shrinkage(rows, codes) if shrinkage is None else shrinkage
    mixed = _mixed(rows, codes, posterior(rows, codes, share, dimensions=d))
    return float(posterior(mixed, codes, share, dimensions=d)[np.arange(len(codes)), codes].mean())


def _mixed(features: Floats, codes: Codes, probabilities: Floats) -> Floats:
    """Each image pulled towards the mean of the other classes' means by its lack of confidence."""
    from scipy.special import softmax

    confidence = softmax(probabilities, axis=1)[np.arange(len(codes)), codes][:, None]  # softened once more
    means = class_means(features, codes)
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    return np.asarray(confidence * features + (1 - confidence) * others[codes])
