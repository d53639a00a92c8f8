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


def ridge_fit(features: Floats, targets: Floats, penalty: float) -> tuple[Floats, Floats]:
    """What ridge regression on centred features makes of centred targets, and the leverages, without an intercept.

    With the hat matrix H = X (Xᵀ X + penalty I)⁻¹ Xᵀ: H targets and the diagonal of H, by a Cholesky factor on the
    smaller side.

    Args:
        features: [n, d].
        targets: [n, t].
        penalty: > 0.
    """
    from scipy.linalg import cho_factor, cho_solve

    n, d = features.shape
    if n > d:
        factor = cho_factor(features.T @ features + penalty * np.eye(d), check_finite=False)
        solved = cho_solve(factor, features.T, check_finite=False)
        return features @ (solved @ targets), np.einsum("ij,ji->i", features, solved)
    factor = cho_factor(features @ features.T + penalty * np.eye(n), check_finite=False)
    left = penalty * cho_solve(factor, np.eye(n), check_finite=False)  # I - H
    return targets - left @ targets, 1 - np.diag(left)


def log_det_identity_plus(features: Floats, factor: float) -> float:
    """log det(I + factor · featuresᵀ features), on the smaller side."""
    n, d = features.shape
    gram = features @ features.T if n < d else features.T @ features
    triangle = np.linalg.cholesky(np.eye(len(gram)) + factor * gram)
    return float(2 * np.log(np.diag(triangle)).sum())
