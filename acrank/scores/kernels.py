"""Scores of a kernel over the images: its alignment with the classes, the accuracy of kernel ridge regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UndefinedScoreError, UsageError
from acrank.scores.array_checks import Codes, Floats, as_classes, as_half, as_matrix, check_ridge, one_hot
from acrank.scores.knn import balanced_accuracy


def kernel_target_alignment(later_gram: ArrayLike, later_gram_labels: ArrayLike) -> float:
    """Centred alignment of a kernel with that of the labels, in which every class counts as much.

    Args:
        later_gram: [m, m], the Gram matrix of the later layers' outputs.
        later_gram_labels: [m], classes.

    Returns:
        In [0, 1], higher is better.

    Raises:
        UsageError: shapes do not fit.
        UndefinedScoreError: one class, a constant kernel, or values that are not finite.

    Source: Cortes et al., JMLR 2012, definition 4; after Cristianini et al., NIPS 2001.

    Example:
        >>> x = np.array([[1.0], [1.0], [-1.0], [-1.0]])
        >>> round(kernel_target_alignment(x @ x.T, ["a", "a", "b", "b"]), 6)
        1.0
    """
    matrix, codes, counts = _parts(later_gram, later_gram_labels)
    hot = (one_hot(codes) - counts / len(codes)) / np.sqrt(counts)
    centred, target = _centred(matrix), hot @ hot.T
    size = np.linalg.norm(centred) * np.linalg.norm(target)
    return float(np.clip((centred * target).sum() / size, 0.0, 1.0))


def kernel_ridge_accuracy(
    later_gram: ArrayLike, later_gram_labels: ArrayLike, later_gram_half: ArrayLike, *, ridge: float = 0.1
) -> float:
    """Balanced accuracy of kernel ridge regression on one-hot labels, fitted on one half and tested on the other.

    Args:
        later_gram: [m, m], the Gram matrix of the later layers' outputs; centred by the half that is fitted.
        later_gram_labels: [m], classes.
        later_gram_half: [m], bool: which half a row belongs to; both must occur.
        ridge: penalty, in units of the kernel's mean diagonal.

    Returns:
        The mean over classes of the share of rows classified correctly, in [0, 1]; higher is better.

    Raises:
        UsageError: shapes do not fit, ridge is not positive, or a half is empty.
        UndefinedScoreError: one class, a constant kernel, or values that are not finite.

    Source: two-fold cross-validation of kernel ridge regression (Saunders et al., ICML 1998).

    Example:
        >>> x = np.array([[1.0], [1.0], [-1.0], [-1.0]])
        >>> kernel_ridge_accuracy(x @ x.T, ["a", "a", "b", "b"], [True, False, True, False])
        1.0
    """
    from scipy.linalg import LinAlgError, solve

    matrix, codes, _ = _parts(later_gram, later_gram_labels)
    first = as_half(later_gram_half, len(codes))
    check_ridge(ridge)
    hot, predicted, penalty = one_hot(codes), np.empty_like(codes), ridge * np.trace(matrix) / len(matrix)
    for fit in (first, ~first):
        means, mean = matrix[np.ix_(fit, fit)].mean(axis=0), hot[fit].mean(axis=0)
        rows = matrix[:, fit]
        centred = rows - rows.mean(axis=1, keepdims=True) - means + means.mean()
        try:
            weights = solve(centred[fit] + penalty * np.eye(len(means)), hot[fit] - mean, assume_a="sym")
        except LinAlgError as error:
            raise UndefinedScoreError("the kernel of a half is singular") from error
        predicted[~fit] = (centred[~fit] @ weights + mean).argmax(axis=1)
    return balanced_accuracy(predicted, codes)


def _parts(later_gram: ArrayLike, later_gram_labels: ArrayLike) -> tuple[Floats, Codes, Codes]:
    """The kernel, which varies, and the classes with their counts."""
    matrix = as_matrix(later_gram, "later_gram")
    if matrix.shape[0] != matrix.shape[1]:
        raise UsageError(f"later_gram has shape {matrix.shape}", hint="give a square matrix")
    codes, counts = as_classes(later_gram_labels, len(matrix))
    if np.linalg.norm(_centred(matrix)) <= 1e-12 * np.linalg.norm(matrix):
        raise UndefinedScoreError("all images look the same to the later layers")
    return matrix, codes, counts


def _centred(matrix: Floats) -> Floats:
    return np.asarray(matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean())
