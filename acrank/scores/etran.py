"""ETran: energy of the features plus separation by a linear discriminant, relative to the pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from acrank.scores.array_checks import as_classes, as_matrix, centre, min_max_sum
from acrank.scores.discriminant import adaptive_shrinkage, posterior
from acrank.scores.energy import energy
from acrank.scores.linear import compact


def etran(features: ArrayLike, labels: ArrayLike, *, shrinkage: float | None = None) -> tuple[float, float]:
    """One candidate's part: (energy of its features, mean probability of the own class under a discriminant).

    Both are put on [0, 1] over the pool and added by `etran_pool`, so ETran has a value only among candidates.

    Args:
        features: [n, d], float32 or float64; the energy is theirs, since the target has no head yet.
        labels: [n] classes.
        shrinkage: of the within-class covariance; None as in `sfda`.

    Returns:
        Energy (any real number) and probability (in [0, 1]).

    Raises:
        UndefinedScoreError: one class, all features constant, or non-finite values.

    Source: Gholami et al., ETran: Energy-Based Transferability Estimation, ICCV 2023 (arXiv 2308.02027), eq. 4-10. The
    published code keeps an orthonormal basis and so classifies by the nearest class mean; here the discriminant is
    whitened by the within-class covariance, as in the text.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(90, 4))
    >>> response, separation = etran(x, x[:, 0] > 0)
    >>> 0.5 < separation < 1
    True
    """
    rows = as_matrix(features, "features")
    codes, _ = as_classes(labels, len(rows))
    centred = compact(centre(rows))
    share = adaptive_shrinkage(centred, codes) if shrinkage is None else shrinkage
    separation = posterior(centred, codes, share, dimensions=rows.shape[1])[np.arange(len(codes)), codes].mean()
    return energy(rows), float(separation)


def etran_pool(parts: Sequence[tuple[float, float]]) -> list[float]:
    """The parts of all candidates as values in [0, 2], higher is better; NaN for a pool of one.

    >>> etran_pool([(1.0, 0.5), (3.0, 0.9), (2.0, 0.9)])
    [0.0, 2.0, 1.5]
    """
    return min_max_sum(parts, (1.0, 1.0))
