"""LogME: the maximum evidence of a Bayesian linear model from features to labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UndefinedScoreError
from acrank.scores.array_checks import Floats, as_matrix, as_targets
from acrank.scores.linear import Directions, directions

_EXACT = 1e-12  # share of a target's power; a residual below it is rounding
_MARGIN = 14.0  # the search covers a factor e^14 beyond the smallest and largest squared singular value


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """Log of the maximum evidence per image, averaged over the target columns.

    Each column y (one-hot class, finding, or quantity) is modelled as y ~ N(0, (I + F Fᵀ / t) / b) with noise
    precision b and the ratio t of weight to noise precision. The evidence is exact for n < d as well: the
    directions without data contribute nothing. For a given t the best b has a closed form, so the maximum is
    searched over t alone, from a grid and then by Brent's method. The features are taken as they are: LogME has
    no intercept.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes, [n] real values, or [n, t] columns; constant columns of a matrix are left out.

    Returns:
        The score in nats per image; any real number, higher is better.

    Raises:
        UndefinedScoreError: one class, non-finite values, features all zero, or n > rank and a column that is an
            exact linear function of the features (its evidence is infinite).

    Source: You et al., LogME, ICML 2021 (arXiv 2102.11005), eq. 2; You et al., Ranking and Tuning Pre-trained
    Models, JMLR 2022 (arXiv 2110.10545).

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> logme(x, x[:, 0] > 0) > logme(x[:, 1:], x[:, 0] > 0)
    True
    """
    rows = as_matrix(features, "features")
    targets = as_targets(labels, len(rows))
    if not rows.any():
        raise UndefinedScoreError("all features are zero")
    basis = directions(rows)
    return float(np.mean([_max_evidence(basis, column) for column in targets.T]) / len(rows))


def _max_evidence(basis: Directions, target: Floats) -> float:
    """The maximum over t, from a grid and then by Brent's method around its best point."""
    from scipy.optimize import minimize_scalar

    captured, rest = _split(basis, target)

    def loss(log_t: float) -> float:
        return -_evidence(basis.power * np.exp(-log_t), captured, rest, n=len(target))

    grid = np.linspace(np.log(basis.power.min()) - _MARGIN, np.log(basis.power.max()) + _MARGIN, 128)
    losses = [loss(log_t) for log_t in grid]
    best = int(np.argmin(losses))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-8})
    return -min(float(found.fun), losses[best])


def _split(basis: Directions, target: Floats) -> tuple[Floats, float]:
    """The target's power along each direction, and what no direction can express."""
    captured = (basis.left.T @ target) ** 2
    if len(basis.power) == len(target):
        return captured, 0.0
    rest = float(target @ target - captured.sum())
    if rest <= _EXACT * float(target @ target):
        raise UndefinedScoreError("a label column is an exact linear function of the features: infinite evidence")
    return captured, rest


def _evidence(gain: Floats, captured: Floats, rest: float, n: int) -> float:
    """Log N(y; 0, (I + F Fᵀ / t) / b) with the best b; `gain` holds the squared singular values over t."""
    residual = rest + float((captured / (1 + gain)).sum())
    return float(-0.5 * n * (np.log(2 * np.pi * residual / n) + 1) - 0.5 * np.log1p(gain).sum())
