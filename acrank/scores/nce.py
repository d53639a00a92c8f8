"""NCE: conditional entropy of the labels given the source head's decisions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.scores.array_checks import as_classes, as_matrix, one_hot


def nce(logits: ArrayLike, labels: ArrayLike) -> float:
    """Negative conditional entropy -H(labels | source decisions), the decision being the highest logit.

    Args:
        logits: [n, z] outputs of the source head; only their order within a row counts (first of equals).
        labels: [n] classes.

    Returns:
        The score in nats, from -log(C) to 0; higher is better.

    Raises:
        UndefinedScoreError: one class, or non-finite logits.

    Source: Tran et al., Transferability and Hardness of Supervised Classification Tasks, ICCV 2019
    (arXiv 1908.08142), eq. 4.

    >>> nce([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0]], [0, 0, 1, 1])
    0.0
    """
    from scipy.special import xlogy

    values = as_matrix(logits, "logits")
    codes, _ = as_classes(labels, len(values))
    _, decisions = np.unique(values.argmax(axis=1), return_inverse=True)
    joint = one_hot(codes).T @ one_hot(decisions) / len(values)  # [C, decisions]
    return float(xlogy(joint, joint).sum() - xlogy(joint.sum(axis=0), joint.sum(axis=0)).sum()) + 0.0
