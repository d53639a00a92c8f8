"""How well finetuning will go: do the later layers tell the classes apart, do the affines move, do channels keep place?

The combination was chosen among several hundred variants on the choosing half of benchmarks/transferability, and then
held against the reported half once. It needs one candidate only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UsageError
from acrank.observed import LayerShift
from acrank.scores.affine import affine_drift
from acrank.scores.arrays import Floats, as_classes, as_matrix, one_hot
from acrank.scores.undefined import UndefinedScoreError

_SHARE = 1 / 3


def finetunability(
    gram: ArrayLike,
    gram_labels: ArrayLike,
    layers: Sequence[LayerShift],
    random: Sequence[LayerShift],
    *,
    step_size: float,
) -> float:
    """Kernel-target alignment times the cube root of (affine drift x the least channel alignment of a layer).

    Drift is that under a random head, alignment that under the head that knows the labels, both taken to a step of
    size 1 along the recorded gradient, so that the step size does not matter.

    Args:
        gram: [m, m], the Gram matrix of the later layers' outputs.
        gram_labels: [m], classes.
        layers, random: shifts of the same layers after one plain SGD step of `step_size`.
        step_size: > 0.

    Returns:
        At least 0, higher is better; 0 without any drift.

    Raises:
        UsageError: shapes do not fit.
        UndefinedScoreError: one class, a constant kernel, or no layer.

    Source: own, on the affine correlation of Zhang et al., arXiv 2307.15282.

    Example:
        >>> y, one = np.arange(4.0), np.ones(4)
        >>> moved = [LayerShift("bn", 0.0, one, y, one, y + 0.1, total=4.0, own=4.0)]
        >>> round(finetunability(np.eye(4), [0, 0, 1, 1], moved, moved, step_size=0.1), 4)
        0.4171
    """
    drift = affine_drift([at_unit_step(layer, step_size) for layer in random])
    return kernel_target_alignment(gram, gram_labels) * (drift * least_alignment(layers, step_size)) ** _SHARE


def kernel_target_alignment(gram: ArrayLike, gram_labels: ArrayLike) -> float:
    """Centred alignment of a kernel with that of the labels, in which every class counts as much.

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
    matrix = as_matrix(gram, "gram")
    if matrix.shape[0] != matrix.shape[1]:
        raise UsageError(f"gram has shape {matrix.shape}", hint="give a square matrix")
    codes, counts = as_classes(gram_labels, len(matrix))
    hot = (one_hot(codes) - counts / len(codes)) / np.sqrt(counts)
    centred = _centred(matrix)
    size = np.linalg.norm(centred)
    if size <= 1e-12 * np.linalg.norm(matrix):
        raise UndefinedScoreError("all images look the same to the later layers")
    target = hot @ hot.T
    return float(np.clip((centred * target).sum() / (size * np.linalg.norm(target)), 0.0, 1.0))


def least_alignment(layers: Sequence[LayerShift], step_size: float) -> float:
    """The smallest channel alignment of a layer after a step of size 1, in (0, 1]."""
    if not layers:
        raise UndefinedScoreError("no normalisation layer moved")
    moved = [at_unit_step(layer, step_size) for layer in layers]
    return min(layer.own / layer.total for layer in moved)


def at_unit_step(layer: LayerShift, step_size: float) -> LayerShift:
    """The shift that a step of size 1 in the same direction would have made.

    Raises:
        UndefinedScoreError: it would have left affines that are not finite.
    """
    import torch

    from acrank.norm import affine_overlap

    with np.errstate(over="ignore"):
        weight = layer.source_weight + (layer.target_weight - layer.source_weight) / step_size
        bias = layer.source_bias + (layer.target_bias - layer.source_bias) / step_size
    parts = (torch.from_numpy(part) for part in (layer.source_weight, layer.source_bias, weight, bias))
    try:
        found = affine_overlap(*parts, eps=layer.eps)
    except ValueError as error:
        raise UndefinedScoreError(f"layer {layer.name}: {error}") from error
    return replace(layer, target_weight=weight, target_bias=bias, total=found.total, own=found.own)


def _centred(matrix: Floats) -> Floats:
    return matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()
