"""Quality measures of a classifier's logits, higher is better, computed by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]


def accuracy(logits: Floats, labels: Integers) -> float:
    """Share of samples whose largest logit is that of their class, in [0, 1].

    Args:
        logits: [n, c]; of equal ones the first counts.
        labels: [n], in [0, c).

    Example:
        >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), np.array([0, 1, 1]))
        0.6666666666666666
    """
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, logits.argmax(1)))


def mean_recall(logits: Floats, labels: Integers) -> float:
    """Balanced accuracy: the mean recall over the classes that occur, in [0, 1]; chance is one over their number.

    Args:
        logits: [n, c]; labels: [n].

    Example:
        >>> mean_recall(np.array([[2.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 0, 1, 1]))
        0.75
    """
    from sklearn.metrics import recall_score

    # balanced_accuracy_score would warn about predicted classes that do not occur
    return float(recall_score(labels, logits.argmax(1), labels=np.unique(labels), average="macro"))


def auc(logits: Floats, labels: Integers) -> float:
    """Area under the ROC curve (Hanley & McNeil 1982), in [0, 1].

    Of two classes that of the second; of more the mean of each class against the rest, over the classes that occur.

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

    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError("the area under the ROC curve needs two classes")
    probabilities = softmax(np.asarray(logits, dtype=np.float64), axis=1)
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(labels == 1, probabilities[:, 1]))
    return float(np.mean([roc_auc_score(labels == one, probabilities[:, one]) for one in classes]))


def kappa(logits: Floats, labels: Integers) -> float:
    """Quadratic-weighted kappa (Cohen 1968), for ordered classes, in [-1, 1]; chance is 0.

    If all labels and predictions are one class, kappa is undefined and 0 is returned.

    Args:
        logits: [n, c], classes in order; labels: [n].

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
    "balanced_accuracy": mean_recall,
    "auc": auc,
    "kappa": kappa,
}
