"""How good a classifier's logits are. Every measure is higher-is-better and computed by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]


def accuracy(logits: Floats, labels: Integers) -> float:
    """Share of samples whose largest logit is at their class, in [0, 1].

    Args:
        logits: [n, c]; the first of equal ones counts.
        labels: [n], in [0, c).

    Example:
        >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), np.array([0, 1, 1]))
        0.6666666666666666
    """
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, logits.argmax(1)))


def balanced_accuracy(logits: Floats, labels: Integers) -> float:
    """Mean over the classes that occur of the share found of each, in [0, 1]; chance is one over their number.

    Args:
        logits: [n, c]; labels: [n].

    Example:
        >>> balanced_accuracy(np.array([[2.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 0, 1, 1]))
        0.75
    """
    from sklearn.metrics import recall_score

    # not balanced_accuracy_score, which warns of predicted classes that do not occur
    return float(recall_score(labels, logits.argmax(1), labels=np.unique(labels), average="macro"))


def auc(logits: Floats, labels: Integers) -> float:
    """Area under the ROC curve, in [0, 1]: of the second class, or the mean of each class against the rest.

    Classes that do not occur, or that alone occur, have no curve and are left out of the mean (Hanley & McNeil 1982).

    Args:
        logits: [n, c], compared as softmax probabilities; labels: [n].

    Raises:
        ValueError: only one class occurs.

    Example:
        >>> auc(np.array([[2.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.5]]), np.array([0, 0, 1, 1]))
        1.0
    """
    from scipy.special import softmax
    from sklearn.metrics import roc_auc_score

    there = np.unique(labels)
    if len(there) < 2:
        raise ValueError("the area under the ROC curve needs two classes")
    shares = softmax(np.asarray(logits, dtype=np.float64), axis=1)
    if shares.shape[1] == 2:
        return float(roc_auc_score(labels == 1, shares[:, 1]))
    return float(np.mean([roc_auc_score(labels == one, shares[:, one]) for one in there]))


def kappa(logits: Floats, labels: Integers) -> float:
    """Quadratic-weighted kappa (Cohen 1968), for ordered classes, in [-1, 1]; chance is 0.

    Where labels and predictions are one and the same class, kappa is undefined and counts as 0.

    Args:
        logits: [n, c], classes in their order; labels: [n].

    Example:
        >>> kappa(np.eye(3), np.array([0, 1, 2]))
        1.0
    """
    from sklearn.metrics import cohen_kappa_score

    predicted = logits.argmax(1)
    if len(np.unique(np.concatenate([predicted, labels]))) < 2:
        return 0.0
    return float(cohen_kappa_score(labels, predicted, labels=np.arange(logits.shape[1]), weights="quadratic"))


#: Name -> (logits [n, c], labels [n]) -> float, higher is better.
QUALITY: dict[str, Callable[[Floats, Integers], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "auc": auc,
    "kappa": kappa,
}
