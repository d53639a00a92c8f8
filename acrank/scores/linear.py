"""Linear algebra that several scores share, on the smaller side of the feature matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acrank.scores.array_checks import Floats


@dataclass(frozen=True)
class Directions:
    """The part of a matrix that is not zero: left singular vectors [n, k] and squared singular values [k] > 0."""

    left: Floats
    power: Floats


def compact(features: Floats) -> Floats:
    """The same rows in at most n dimensions: all inner products and distances are kept.

    Costs a QR decomposition where d > n, and nothing otherwise.
    """
    from scipy.linalg import qr

    n, d = features.shape
    if d <= n:
        return features
    (triangle,) = qr(features.T, mode="r", check_finite=False)
    return np.ascontiguousarray(triangle[:n].T)


def directions(features: Floats) -> Directions:
    """Thin singular value decomposition without what is zero up to rounding (relative to the largest)."""
    left, singular = _thin_svd(compact(features))
    keep = singular > singular[0] * max(features.shape) * np.finfo(float).eps
    return Directions(left[:, keep], singular[keep] ** 2)


def _thin_svd(rows: Floats) -> tuple[Floats, Floats]:
    """Left singular vectors and singular values.

    LAPACK's quick driver gives up on some finite, well-conditioned matrices (seen: 4096 x 96); the slower one does not.
    """
    from scipy.linalg import LinAlgError, svd

    try:
        left, singular, _ = svd(rows, full_matrices=False, check_finite=False)
    except LinAlgError:
        left, singular, _ = svd(rows, full_matrices=False, check_finite=False, lapack_driver="gesvd")
    return left, singular


def log_det_identity_plus(features: Floats, factor: float) -> float:
    """log det(I + factor · featuresᵀ features), on the smaller side."""
    n, d = features.shape
    gram = features @ features.T if n < d else features.T @ features
    triangle = np.linalg.cholesky(np.eye(len(gram)) + factor * gram)
    return float(2 * np.log(np.diag(triangle)).sum())
