"""PACTran-Gaussian: a PAC-Bayesian bound on the loss of a linear head."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from acrank.scores.array_checks import Codes, Floats, as_classes, as_matrix, centre
from acrank.scores.linear import compact

_NEWTON = 300  # weights up to which the head is found by Newton's method


def pactran(
    features: ArrayLike, labels: ArrayLike, *, weight_decay: float = 1.0, prior_variance: float = 100.0
) -> float:
    """Minus the bound L + |W|² / (2 λ s) + KD / (2 λ) · log(1 + λ s / KD · tr H).

    L is the mean cross-entropy of the best linear head W (with intercept) under the penalty, H its Hessian in W, K
    classes, D features, s the variance of the prior and λ the weight of the data, with λ s = n / weight_decay and
    s = prior_variance / D.

    Args:
        features: [n, d], float32 or float64; they are centred.
        labels: [n] classes.
        weight_decay: n / (λ s).
        prior_variance: s · D.

    Features with standard deviations of hundreds make the penalty so weak that the head of a large problem is found
    to three digits only.

    Returns:
        The score in nats, at most 0; higher is better (the paper's bound has the other sign).

    Raises:
        UndefinedScoreError: one class, all features constant, or non-finite values.

    Source: Ding et al., PACTran: PAC-Bayesian Metrics for Estimating the Transferability of Pretrained Models to
    Classification Tasks, ECCV 2022 (arXiv 2203.05126), PACTran-Gaussian. The published code sums the Hessian over
    images instead of averaging it, and counts the intercepts in it; this follows the formula.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(90, 4))
    >>> pactran(x, x[:, 0] > 0) > pactran(x[:, 1:], x[:, 0] > 0)
    True
    """
    rows = as_matrix(features, "features")
    n, d = rows.shape
    rows = compact(centre(rows))
    codes, counts = as_classes(labels, n)
    risk, probabilities = _penalised_risk(rows, codes, weight_decay)
    trace = float(((rows**2).sum(axis=1) * (probabilities * (1 - probabilities)).sum(axis=1)).mean())
    weights, strength = len(counts) * d, n / weight_decay  # KD and λ s
    complexity = weights * prior_variance / d / (2 * strength) * np.log1p(strength / weights * trace)
    return -(risk + float(complexity))


def _penalised_risk(rows: Floats, codes: Codes, weight_decay: float) -> tuple[float, Floats]:
    """The smallest mean cross-entropy plus weight_decay · |W|² / (2 n), and its class probabilities [n, C]."""
    from scipy.special import log_softmax
    from sklearn.linear_model import LogisticRegression

    # for two classes scikit-learn fits one weight vector, the difference of the two: its penalty is half as large
    two = codes.max() == 1
    # Newton's method converges at any scale of the features, but its Hessian has a row for each weight
    solver = "newton-cholesky" if rows.shape[1] * (codes.max() + 1) <= _NEWTON else "lbfgs"
    model = LogisticRegression(C=(2 if two else 1) / weight_decay, tol=1e-8, max_iter=10_000, solver=solver)
    with warnings.catch_warnings():  # at an ill-conditioned Hessian the solver takes other steps, and says so
        warnings.filterwarnings("ignore", r"[\s\S]*lbfgs instead")
        warnings.filterwarnings("ignore", "An ill-conditioned matrix detected")
        scores = model.fit(rows, codes).decision_function(rows)
    log_probabilities = log_softmax(np.stack([-scores, scores], axis=1) / 2 if two else scores, axis=1)
    loss = -log_probabilities[np.arange(len(codes)), codes].mean()
    power = float((model.coef_**2).sum()) / (2 if two else 1)
    return float(loss + weight_decay * power / (2 * len(rows))), np.exp(log_probabilities)
