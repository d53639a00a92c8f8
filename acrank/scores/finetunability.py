"""Finetunability: separation of the classes in the later layers, times the drift of the affines.

The form was chosen among several thousand on the choosing half of benchmarks/transferability; that the drift is one of
the checkpoint alone, on bundled images, and enters by the root of d / (d + 0.02), on the same half later. It needs one
candidate only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from numpy.typing import ArrayLike

from acrank.scores.affine import affine_drift
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
        >>> import numpy as np
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
        drift = affine_drift([at_unit_step(layer, step_size) for layer in random_head_shifts])
    return separated * sqrt(drift / (drift + HALF))


def at_unit_step(layer: LayerShift, step_size: float) -> LayerShift:
    """The shift after a step of size 1 in the same direction; its correlation (total, own) is not computed: NaN."""
    weight, bias = (
        before + (after - before) / step_size
        for before, after in ((layer.source_weight, layer.target_weight), (layer.source_bias, layer.target_bias))
    )
    return replace(layer, target_weight=weight, target_bias=bias, total=float("nan"), own=float("nan"))
