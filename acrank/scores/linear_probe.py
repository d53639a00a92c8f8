"""Linear probe: accuracy of a ridge classifier on images that it was not fitted to, in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UsageError
from acrank.scores.array_checks import Floats, as_half, as_matrix, as_targets, centre, check_ridge, standardise
from acrank.scores.knn import balanced_accuracy
from acrank.scores.linear import ridge_fit
from acrank.system.imports import gc_paused


def linear_probe(features: ArrayLike, labels: ArrayLike, *, ridge: float = 0.1) -> float:
    """Balanced accuracy of ridge regression on one-hot labels, each image left out of its own fit.

    Features are standardised over the whole sample; the intercept is not penalised. The leave-one-out predictions
    come from the hat matrix, (ŷ - h y) / (1 - h), without refitting.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes, or [n, t] findings of 0 and 1 (then the mean over findings; constant ones are left out).
        ridge: penalty, in units of n.

    Returns:
        The mean over classes of the share of images classified correctly, in [0, 1]; higher is better.

    Raises:
        UsageError: regression targets, or ridge not positive.
        UndefinedScoreError: one class, all features constant, or non-finite values.

    Source: Hoerl and Kennard, Ridge Regression, Technometrics 1970; leave-one-out by Allen's PRESS, Technometrics 1974.

    >>> linear_probe([[0.0], [0.2], [1.0], [1.2]], [0, 0, 1, 1])
    1.0
    """
    rows = standardise(as_matrix(features, "features"))
    targets = _indicators(labels, len(rows))
    check_ridge(ridge)
    mean = targets.mean(axis=0)
    fitted, leverage = ridge_fit(rows, targets - mean, ridge * len(rows))
    leverage = leverage + 1 / len(rows)  # of the intercept
    return _accuracy((mean + fitted - leverage[:, None] * targets) / (1 - leverage)[:, None], targets, labels)


def probe_accuracy(features: ArrayLike, labels: ArrayLike, half: ArrayLike, *, ridge: float = 0.1) -> float:
    """Balanced accuracy of ridge regression on one-hot labels, fitted on one half and tested on the other.

    The same head that gives the one-step protocol its gradient. Each half is standardised by the half that is fitted.

    Args:
        features: [n, d], float32 or float64.
        labels: [n] classes, or [n, t] findings of 0 and 1 (then the mean over findings; constant ones are left out).
        half: [n], bool, the half of each image; both must occur.
        ridge: penalty, in units of the images fitted.

    Returns:
        The mean over classes of the share of images classified correctly, in [0, 1]; higher is better.

    Raises:
        UsageError: regression targets, ridge not positive, or a half without images.
        UndefinedScoreError: one class, all features of a half constant, or non-finite values.

    Source: two-fold cross-validation (Stone, Journal of the Royal Statistical Society B 1974) of ridge regression.

    >>> probe_accuracy([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]], [0, 0, 0, 1, 1, 1], [True, False] * 3)
    1.0
    """
    with gc_paused():
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

    rows = as_matrix(features, "features")
    targets = _indicators(labels, len(rows))
    check_ridge(ridge)
    first = as_half(half, len(rows))
    predicted = np.empty_like(targets)
    for fit in (first, ~first):
        centre(rows[fit])  # nothing to fit to where all features of a half are constant
        model = make_pipeline(StandardScaler(), Ridge(alpha=ridge * fit.sum(), solver="cholesky"))
        predicted[~fit] = model.fit(rows[fit], targets[fit]).predict(rows[~fit]).reshape(-1, targets.shape[1])
    return _accuracy(predicted, targets, labels)


def _indicators(labels: ArrayLike, n: int) -> Floats:
    values = np.asarray(labels)
    targets = as_targets(values, n)
    if not np.isin(targets, (0, 1)).all() or (values.ndim == 1 and values.dtype.kind == "f"):
        raise UsageError("labels are quantities, but a probe's accuracy is for classes", hint="give classes")
    return targets


def _accuracy(predicted: Floats, targets: Floats, labels: ArrayLike) -> float:
    if np.asarray(labels).ndim == 1:
        return balanced_accuracy(predicted.argmax(axis=1), targets.argmax(axis=1))
    found = (predicted > 0.5).astype(np.intp)
    return float(np.mean([balanced_accuracy(f, t.astype(np.intp)) for f, t in zip(found.T, targets.T, strict=True)]))
