"""Linear discriminant analysis with a shrunk within-class covariance, on the smaller side of the features."""

from __future__ import annotations

import numpy as np

from acrank.errors import UndefinedScoreError
from acrank.scores.array_checks import Codes, Floats, class_means

_LEAST = 1e-10  # the least shrinkage, as in the SFDA paper's code
_RATE = 5.0  # how fast shrinkage falls with the largest within-class variance, as there
_NOTHING = 1e-20  # a share of the features' power that is rounding


def posterior(features: Floats, codes: Codes, shrinkage: float, dimensions: int) -> Floats:
    """[n, C] class probabilities of the very images that the discriminant is fitted to.

    Args:
        features: [n, k], in any basis that keeps distances (see `compact`).
        codes: [n] class codes.
        shrinkage: share of the identity, scaled to the mean variance, in the within-class covariance.
        dimensions: d of the features before `compact`, over which the mean variance is taken.
    """
    from scipy.linalg import cho_factor, cho_solve
    from scipy.special import softmax

    means = class_means(features, codes)
    within = within_covariance(features, codes)
    covariance = (1 - shrinkage) * within
    covariance[np.diag_indices_from(covariance)] += shrinkage * np.trace(within) / dimensions
    weights = cho_solve(cho_factor(covariance), means.T)  # [k, C]
    offset = np.log(np.bincount(codes) / len(codes)) - (means.T * weights).sum(axis=0) / 2
    return np.asarray(softmax(features @ weights + offset, axis=1))


def adaptive_shrinkage(features: Floats, codes: Codes) -> float:
    """exp(-5 · largest within-class variance), at least 1e-10: SFDA's shrinkage, which depends on the scale."""
    largest = np.linalg.eigvalsh(within_covariance(features, codes))[-1]
    return float(max(np.exp(-_RATE * largest), _LEAST))


def within_covariance(features: Floats, codes: Codes) -> Floats:
    """[k, k] covariance about the class means, divided by n.

    Raises:
        UndefinedScoreError: there is none, beyond rounding.
    """
    within = features - class_means(features, codes)[codes]
    if (within**2).sum() <= _NOTHING * (features**2).sum():
        raise UndefinedScoreError("all images equal their class mean: no variability within classes")
    return np.asarray(within.T @ within / len(features))
