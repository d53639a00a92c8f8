"""Finetunability: separation of the classes in the later layers, times the drift of the affines.

The form was chosen among several thousand on the choosing half of benchmarks/transferability; that the drift is one of
the checkpoint alone, on bundled images, and enters by the root of d / (d + 0.02), on the same half later. It needs one
candidate only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from acrank.norm import normalised_bias
from acrank.scores.inputs import LayerShift
from acrank.scores.kernels import kernel_ridge_accuracy, kernel_target_alignment

#: Of the drift d that counts as sqrt(d / (d + HALF)): large drifts, which differ between families of networks by orders
#: of magnitude, are drawn together.
HALF = 0.02
#: Drift that a network without affine parameters is taken to have: about the median over the study's candidates.
TYPICAL_DRIFT = 0.005


def finetunability(
    later_gram: ArrayLike,
    later_gram_labels: ArrayLike,
    later_gram_half: ArrayLike,
    random_head_shifts: Sequence[LayerShift],
    *,
    step_size: float,
) -> float:
    """Kernel-target alignment x kernel ridge accuracy x sqrt(d / (d + 0.02)), d the affine drift under a random head.

    The first two measure how well the later layers separate the classes, on the sample and beyond it; the last measures
    how easily the network moves. Drift is that of a step of size 1 along the recorded gradient, so it does not depend
    on the step size. A network without affine parameters is given a typical drift.

    Args:
        later_gram: [m, m], the Gram matrix of the later layers' outputs.
        later_gram_labels: [m], classes.
        later_gram_half: [m], bool, the half of the cross-fit that each row is in.
        random_head_shifts: shifts of the layers after plain SGD steps of `step_size` under random heads; none where the
            network has no affine parameters.
        step_size: > 0.

    Returns:
        In [0, 1), higher is better; 0 without any drift.

    Raises:
        UsageError: shapes do not fit.
        UndefinedScoreError: one class, or a constant kernel.

    Source: own, on the affines of Zhang et al., arXiv 2307.15282, and Cortes et al., JMLR 2012.

    Example:
        >>> x, y, one = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.arange(4.0), np.ones(4)
        >>> affines = {"source_weight": one, "source_bias": y, "target_weight": one, "target_bias": y + 0.02}
        >>> moved = [LayerShift(name="bn", eps=0.0, **affines, total=4.0, own=4.0)]
        >>> round(finetunability(x @ x.T, [0, 0, 1, 1], [True, False] * 2, moved, step_size=1.0), 6)
        0.707107
    """
    separated = kernel_target_alignment(later_gram, later_gram_labels) * kernel_ridge_accuracy(
        later_gram, later_gram_labels, later_gram_half
    )
    drift = TYPICAL_DRIFT
    if random_head_shifts:
        drift = drift_at_unit_step(random_head_shifts, step_size=step_size)
    return separated * sqrt(drift / (drift + HALF))


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
