"""Finetunability: separation of the classes in the later layers and the features, times the drift of the affines.

The form was chosen among several thousand on the choosing half of benchmarks/transferability; that the drift is one of
the checkpoint alone, on bundled images, and enters by the root of d / (d + 0.02), on the same half later; that kNN and
a linear probe join in, on the choosing halves of both studies (study2/forms.md). It needs one candidate only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acrank.norm import normalised_bias
from acrank.scores.inputs import LayerShift
from acrank.scores.kernels import kernel_ridge_accuracy, kernel_target_alignment
from acrank.scores.knn import knn
from acrank.scores.linear_probe import linear_probe

#: Of the drift d that counts as sqrt(d / (d + HALF)): large drifts, which differ between families of networks by orders
#: of magnitude, are drawn together.
HALF = 0.02
#: Drift that a network without affine parameters is taken to have: about the median over the study's candidates.
TYPICAL_DRIFT = 0.005
#: That vote, where classes are large enough.
NEIGHBOURS = 5


def finetunability(
    *,
    later_gram: ArrayLike,
    later_gram_labels: ArrayLike,
    later_gram_half: ArrayLike,
    later_gram_features: ArrayLike,
    random_head_shifts: Sequence[LayerShift],
    step_size: float,
) -> float:
    """Alignment x kernel ridge accuracy x kNN accuracy x probe accuracy x sqrt(d / (d + 0.02)), d the affine drift.

    Kernel-target alignment and kernel ridge regression measure how well the later layers separate the classes, on the
    sample and beyond it; a vote of the five nearest neighbours and a linear probe how well the last features do; drift
    how easily the network moves under a random head. Drift is that of a step of size 1 along the recorded gradient, so
    the step size does not matter. A network without affine parameters is given a typical one. Where a class has less
    than four images on average, fewer neighbours vote: the others of its class could not win.

    Args:
        later_gram: [m, m], the Gram matrix of the later layers' outputs.
        later_gram_labels: [m], classes.
        later_gram_half: [m], bool, the half of the cross-fit that each row is in.
        later_gram_features: [m, d], the features of each row, of the layer before the head.
        random_head_shifts: shifts of the layers after plain SGD steps of `step_size` under random heads; none where the
            network has no affine parameters.
        step_size: > 0.

    Returns:
        In [0, 1), higher is better; 0 without any drift.

    Raises:
        UsageError: shapes do not fit.
        UndefinedScoreError: one class, constant features or a constant kernel, or non-finite features.

    Source: own, on the affines of Zhang et al., arXiv 2307.15282, and the sources of the four other scores.

    Example:
        >>> x, y, one = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.arange(4.0), np.ones(4)
        >>> affines = {"source_weight": one, "source_bias": y, "target_weight": one, "target_bias": y + 0.02}
        >>> moved = [LayerShift(name="bn", eps=0.0, **affines, total=4.0, own=4.0)]
        >>> rows = {"later_gram_labels": [0, 0, 1, 1], "later_gram_half": [True, False] * 2, "later_gram_features": x}
        >>> round(finetunability(later_gram=x @ x.T, **rows, random_head_shifts=moved, step_size=1.0), 6)
        0.707107
    """
    separated = kernel_target_alignment(later_gram, later_gram_labels) * kernel_ridge_accuracy(
        later_gram, later_gram_labels, later_gram_half
    )
    voting = voters(np.asarray(later_gram_labels))
    together = knn(later_gram_features, later_gram_labels, neighbours=voting) * linear_probe(
        later_gram_features, later_gram_labels
    )
    drift = TYPICAL_DRIFT
    if random_head_shifts:
        drift = drift_at_unit_step(random_head_shifts, step_size=step_size)
    return separated * together * sqrt(drift / (drift + HALF))


def voters(labels: NDArray[np.generic]) -> int:
    """How many neighbours vote: as many as the other images of a class of mean size can outvote, at most NEIGHBOURS.

    Args:
        labels: [n], classes.

    >>> voters(np.array(list("aabb"))), voters(np.array(list("aaabbb"))), voters(np.array(list("aaaabbbb")))
    (1, 3, 5)
    """
    size = len(labels) // max(1, len(np.unique(labels)))
    return min(max(1, 2 * size - 3), NEIGHBOURS)


def drift_at_unit_step(shifts: Sequence[LayerShift], *, step_size: float) -> float:
    """The affine drift, see `affine_drift`, of a step of size 1 in the direction of the step that was taken.

    Args:
        shifts: of at least one layer.
        step_size: > 0, of the step.

    >>> one, moved = np.ones(2), np.array([0.1, 0.3])
    >>> affines = {"source_weight": one, "source_bias": 0 * one, "target_weight": one, "target_bias": moved}
    >>> drift_at_unit_step([LayerShift(name="bn", eps=0.0, **affines, total=2.0, own=1.0)], step_size=0.5)
    0.4
    """
    source_weight, source_bias, target_weight, target_bias = (
        np.concatenate([getattr(layer, name) for layer in shifts])  # all layers at once: many are small
        for name in ("source_weight", "source_bias", "target_weight", "target_bias")
    )
    eps = np.repeat([layer.eps for layer in shifts], [layer.channels for layer in shifts])
    before = normalised_bias(source_weight, source_bias, eps)
    weight = source_weight + (target_weight - source_weight) / step_size
    bias = source_bias + (target_bias - source_bias) / step_size
    return float(np.median(np.abs(normalised_bias(weight, bias, eps) - before)))
