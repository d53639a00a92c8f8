"""LEEP: log likelihood of the labels under the source head's probabilities, mapped to target classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.scores.array_checks import Codes, Floats, as_classes, as_matrix, one_hot


def leep(logits: ArrayLike, labels: ArrayLike) -> float:
    """Mean log likelihood of the labels under the empirical predictor p(y|x) = sum over z of P(y|z) p(z|x).

    Args:
        logits: [n, z] outputs of the source head before softmax; source classes without any probability are left out.
        labels: [n] classes.

    Returns:
        The score in nats, at most 0 (reached only when the source classes settle the labels); higher is better.

    Raises:
        UndefinedScoreError: one class, or non-finite logits.

    Source: Nguyen et al., LEEP, ICML 2020 (arXiv 2002.12462), eq. 2.

    >>> leep([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [0.0, 9.0]], [0, 0, 1, 1]) > -0.001
    True
    """
    from scipy.special import softmax

    values = as_matrix(logits, "logits")
    codes, _ = as_classes(labels, len(values))
    return float(np.log(likelihoods(softmax(values, axis=1), codes)).mean())


def likelihoods(probabilities: Floats, codes: Codes) -> Floats:
    """[n] p(y|x) of each image's own label, from source probabilities [n, z] and class codes [n]."""
    joint = one_hot(codes).T @ probabilities  # [C, z], times n
    mass = joint.sum(axis=0)
    present = mass > 0  # an unused source class would be 0 / 0
    conditional = joint[:, present] / mass[present]
    return np.asarray((probabilities[:, present] * conditional[codes]).sum(axis=1))
