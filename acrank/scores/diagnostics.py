"""Diagnostics of a sample: properties that make its scores undefined or unreliable, as sentences."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.scores import Score
from acrank.scores.array_checks import varying
from acrank.scores.linear import directions

FEW = 5  # images per class below which leave-one-out and covariances are unreliable
_END = 1e-6  # a value this near the end of its range is saturated


def diagnose(
    features: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    logits: ArrayLike | None = None,
    *,
    classes: int | None = None,
) -> list[str]:
    """Properties of the arrays that make scores undefined or suspicious; empty if there is none.

    Args:
        features: [n, d].
        labels: [n] classes, [n] real values, or [n, t] columns.
        logits: [n, z] of the source head.
        classes: number of classes of the whole target, to find those that the sample lacks.

    Returns:
        One sentence per finding; bad values raise no error.

    >>> diagnose([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]], [0, 0, 1], classes=3)[0]
    '1 of 2 features constant over the sample'
    """
    notes: list[str] = []
    if features is not None:
        notes += _about_features(np.asarray(features, dtype=np.float64))
    if labels is not None:
        notes += _about_labels(np.asarray(labels), classes)
    if logits is not None:
        notes += _about_logits(np.asarray(logits, dtype=np.float64))
    return notes


def saturation(score: Score, value: float) -> str | None:
    """A note if a value is at an end of its score's range, where candidates are indistinguishable; else None.

    >>> from acrank.scores import SCORES
    >>> saturation(SCORES["sfda"], 1.0)
    'saturated: at the end of its range (1)'
    >>> saturation(SCORES["sfda"], 0.9)
    """
    ends = [end for end in score.range if end is not None]
    near = [end for end in ends if abs(value - end) <= _END]
    return f"saturated: at the end of its range ({near[0]:g})" if near else None


def _about_features(features: np.ndarray) -> list[str]:
    n, d = features.shape
    bad = int((~np.isfinite(features)).any(axis=1).sum())
    if bad:
        return [f"features: NaN or infinite values in {bad} of {n} rows"]
    notes = []
    constant = int((~varying(features)).sum())
    if constant:
        notes.append(f"{constant} of {d} features constant over the sample")
    if n <= d:
        notes.append(f"no more images ({n}) than features ({d}): scores that fit the sample can saturate")
    if constant < d:
        rank, most = len(directions(features - features.mean(axis=0)).power), min(n - 1, d - constant)
        if rank < most:
            notes.append(f"features have rank {rank} where {most} is possible")
    copies = n - len(np.unique(features, axis=0))
    if copies:
        notes.append(f"{copies} images have the features of another one: leave-one-out scores are too high")
    return notes


def _about_labels(labels: np.ndarray, classes: int | None) -> list[str]:
    if labels.ndim == 2 or labels.dtype.kind == "f":
        return _about_columns(labels.reshape(len(labels), -1).astype(np.float64))
    _, counts = np.unique(labels, return_counts=True)
    notes = []
    if len(counts) < 2:
        notes.append("only one class in the sample")
    if classes is not None and len(counts) < classes:
        notes.append(f"{classes - len(counts)} of {classes} classes missing from the sample")
    few = int((counts < FEW).sum())
    if few:
        notes.append(f"{few} of {len(counts)} classes with fewer than {FEW} images (least: {counts.min()})")
    return notes


def _about_columns(columns: np.ndarray) -> list[str]:
    if not np.isfinite(columns).all():
        return ["labels: NaN or infinite values"]
    constant = int((np.ptp(columns, axis=0) == 0).sum())
    return [f"{constant} of {columns.shape[1]} label columns constant over the sample"] if constant else []


def _about_logits(logits: np.ndarray) -> list[str]:
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        return [f"logits: NaN or infinite values in {bad} of {len(logits)} rows"]
    decisions = len(np.unique(logits.argmax(axis=1)))
    if decisions == 1:
        return ["the source head gives all images the same class"]
    return []
