"""H-score with Ledoit-Wolf shrinkage: between-class spread relative to the feature covariance."""

from __future__ import annotations

from numpy.typing import ArrayLike

from acrank.scores.array_checks import Floats, as_classes, as_matrix, centre, one_hot
from acrank.scores.linear import compact, directions


def h_score(features: ArrayLike, labels: ArrayLike) -> float:
    """(1 - a) tr(S⁻¹ B): S the Ledoit-Wolf covariance with shrinkage a, B the covariance of the class means.

    As published, S divides by n and B by n - 1.

    The pseudo-inverse of the first H-score returns C - 1 for every checkpoint once n <= d; the shrunk covariance
    can be inverted, and says something there.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes.

    Returns:
        The score, from 0 to (C - 1) n / (n - 1); higher is better.

    Raises:
        UndefinedScoreError: one class, all features constant, or non-finite values.

    Source: Ibrahim et al., Newer is not always better, ECML-PKDD 2022 (arXiv 2110.06893), eq. 8; Bao et al., An
    Information-Theoretic Approach to Transferability, ICIP 2019.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(90, 4))
    >>> h_score(x, x[:, 0] > 0) > h_score(x[:, 1:], x[:, 0] > 0)
    True
    """
    centred = centre(as_matrix(features, "features"))
    codes, counts = as_classes(labels, len(centred))
    n, d = centred.shape
    rows = compact(centred)
    shrinkage = ledoit_wolf(rows, d)
    basis = directions(rows)
    # class means lie in the span of the rows, so their share along each direction is all that counts
    shares = (one_hot(codes).T @ basis.left) ** 2 / counts[:, None]
    ridge = shrinkage * basis.power.sum() / d
    kept = (1 - shrinkage) * basis.power
    return float((shares.sum(axis=0) * kept / (kept + ridge)).sum() * n / (n - 1))


def ledoit_wolf(centred: Floats, dimensions: int) -> float:
    """Ledoit and Wolf's shrinkage of the covariance towards a multiple of the identity, in [0, 1].

    It depends on inner products of the images alone, so `centred` may be `compact`; `dimensions` is d before that.
    (scikit-learn forms d × d blocks: half a second at d = 2048.)
    """
    n = len(centred)
    lengths = (centred**2).sum(axis=1)
    gram = centred @ centred.T if n < centred.shape[1] else centred.T @ centred
    power = float((gram**2).sum()) / n**2
    distance = power - float(lengths.sum() / n) ** 2 / dimensions  # from the covariance to the multiple of the identity
    noise = (float((lengths**2).sum()) / n - power) / n
    if distance <= 1e-12 * power:  # the covariance is a multiple of the identity already, as always for d = 1
        return 0.0
    return max(min(noise / distance, 1.0), 0.0)
