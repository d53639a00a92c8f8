"""Scores of the affines: pure functions of the layers' shifts.

`ac_corr` is the published quantity; the others are built on the same single step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acrank.errors import UndefinedScoreError
from acrank.scores.inputs import LayerShift


def ac_corr(shifts: Sequence[LayerShift], *, per_channel: bool = True) -> float:
    """AC-Corr: the mean over layers of sum_ij C_ij, per channel in (0, 1], raw in (0, C].

    Untouched layers tie everywhere, which puts them at the maximum without any information: they are left out.

    Returns:
        The mean over the informative layers; lower is taken as better. In benchmarks/transferability the published
        protocol bears that out on the choosing half, over all candidates and among CIFAR ResNets; elsewhere, and after
        one step, intervals reach zero.

    Raises:
        UndefinedScoreError: every layer is untouched, or there is none.

    Source: Zhang et al., arXiv 2307.15282 (their script: the raw sum of one layer).

    Example:
        >>> y, one = np.arange(4.0), np.ones(4)
        >>> affines = {"source_weight": one, "source_bias": y, "target_weight": one, "target_bias": y}
        >>> ac_corr([LayerShift(name="bn", eps=0.0, **affines, total=3.2, own=3.2)])
        0.8
    """
    values = [layer.total / (layer.channels if per_channel else 1) for layer in shifts if not layer.untouched]
    if not values:
        raise UndefinedScoreError("every normalisation layer is untouched (all its affines are equal)")
    return float(np.mean(values))


def channel_alignment(shifts: Sequence[LayerShift]) -> float:
    """The share of the correlation that stays on the own channel: mean over layers of sum_i C_ii / sum_ij C_ij.

    Returns:
        In (0, 1], higher is better; 1/C from an untouched layer.

    Raises:
        UndefinedScoreError: there is no layer.

    Example:
        >>> y, one = np.arange(4.0), np.ones(4)
        >>> affines = {"source_weight": one, "source_bias": y, "target_weight": one, "target_bias": y}
        >>> channel_alignment([LayerShift(name="bn", eps=0.0, **affines, total=3.2, own=1.6)])
        0.5
    """
    return float(np.mean([layer.own / layer.total for layer in _some(shifts)]))


def affine_drift(shifts: Sequence[LayerShift]) -> float:
    """Median over all channels of |y_t - y_s|: how far the step moved the affines, in units of a channel's own scale.

    Returns:
        At least 0, proportional to the step size for small steps, higher is better.

    Raises:
        UndefinedScoreError: there is no layer.

    Example:
        >>> one, moved = np.ones(2), np.array([0.1, 0.3])
        >>> affines = {"source_weight": one, "source_bias": 0 * one, "target_weight": one, "target_bias": moved}
        >>> affine_drift([LayerShift(name="bn", eps=0.0, **affines, total=2.0, own=1.0)])
        0.2
    """
    return float(np.median(np.concatenate([layer.drift for layer in _some(shifts)])))


def gradient_norm(shifts: Sequence[LayerShift], *, step_size: float) -> float:
    """Euclidean norm of the loss gradient at all affines, recovered from one plain SGD step.

    Returns:
        At least 0, in units of the loss per unit of affine; higher is better.

    Raises:
        UndefinedScoreError: there is no layer.

    Example:
        >>> g, b = np.ones(1), np.zeros(1)
        >>> affines = {"source_weight": g, "source_bias": b, "target_weight": g - 0.375, "target_bias": b + 0.5}
        >>> gradient_norm([LayerShift(name="bn", eps=0.0, **affines, total=1.0, own=1.0)], step_size=0.125)
        5.0
    """
    moves = [layer.target_weight - layer.source_weight for layer in _some(shifts)]
    moves += [layer.target_bias - layer.source_bias for layer in shifts]
    return float(np.linalg.norm(np.concatenate(moves))) / step_size


def _some(shifts: Sequence[LayerShift]) -> Sequence[LayerShift]:
    if not shifts:
        raise UndefinedScoreError("no normalisation layer moved")
    return shifts
