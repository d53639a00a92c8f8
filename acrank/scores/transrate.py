"""TransRate: mutual information of features and labels, by coding rates."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UsageError
from acrank.scores.array_checks import Floats, as_classes, as_matrix, centre, class_means
from acrank.scores.linear import compact, log_det_identity_plus


def transrate(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: float = 1e-4,
    dialect: Literal["scaled", "raw"] = "scaled",
    centring: Literal["sample", "class"] = "sample",
) -> float:
    """Coding rate of all (centred) features minus the mean coding rate of the classes.

    The rate of m rows Z is ½ log det(I + ZᵀZ / (m epsilon)).

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes.
        epsilon: squared distortion.
        dialect: "scaled" divides the centred features by the root of their total power, so that checkpoints
            with larger features do not win by it; "raw" takes them as they are (then the value depends on their
            scale, and epsilon has to be chosen with it).
        centring: "sample" takes the classes about the mean of all images, as published; two classes of equal size
            and spread then have the rate of the whole, so the score is near 0 however far apart they are.
            "class" takes each about its own mean, which is the spread that the labels leave unexplained.

    Returns:
        The score in nats, any real number; higher is better.

    Raises:
        UsageError: unknown dialect or centring, or epsilon not positive.
        UndefinedScoreError: one class, all features constant, or non-finite values.

    Source: Huang et al., Frustratingly Easy Transferability Estimation, ICML 2022 (arXiv 2106.09362), eq. 3-5.

    >>> import numpy as np
    >>> y = np.arange(90) % 3
    >>> x = np.random.default_rng(0).normal(size=(90, 4)) + 5 * np.eye(3, 4)[y]
    >>> transrate(x, y) > transrate(x, np.arange(90) // 30)
    True
    """
    _check(dialect, centring, epsilon)
    rows = compact(centre(as_matrix(features, "features")))
    codes, counts = as_classes(labels, len(rows))
    if dialect == "scaled":
        rows = rows / np.linalg.norm(rows)
    within = rows - class_means(rows, codes)[codes] if centring == "class" else rows
    return _rate(rows, epsilon) - float(np.mean([_rate(within[codes == c], epsilon) for c in range(len(counts))]))


def _check(dialect: str, centring: str, epsilon: float) -> None:
    if dialect not in ("scaled", "raw"):
        raise UsageError(f"unknown TransRate dialect {dialect!r}", hint='choose "scaled" or "raw"')
    if centring not in ("sample", "class"):
        raise UsageError(f"unknown TransRate centring {centring!r}", hint='choose "sample" or "class"')
    if not epsilon > 0:
        raise UsageError(f"TransRate epsilon must be positive, got {epsilon}", hint="the paper takes 1e-4")


def _rate(rows: Floats, epsilon: float) -> float:
    return log_det_identity_plus(rows, 1 / (len(rows) * epsilon)) / 2
