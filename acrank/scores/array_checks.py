"""What scores share: checked inputs (shapes, finite float64 values, class codes), class means, scaling, pools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acrank.errors import UndefinedScoreError, UsageError

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

#: Labels that vary by less count as constant: their squares would be 0, or lose their digits.
_LEAST_SPREAD = 1e-140
_OTHERS = "`acrank scores` lists the scores for findings or quantities; classes are integers or names"


def as_matrix(values: ArrayLike, name: str) -> Floats:
    """`values` as a finite float64 matrix; copied only where the type changes.

    Raises:
        UsageError: not two-dimensional, or empty.
        UndefinedScoreError: NaN or infinite entries.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.size == 0:
        raise UsageError(f"{name} has shape {matrix.shape}", hint=f"give {name} as a filled matrix, one row per image")
    if not np.isfinite(matrix).all():
        rows = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        raise UndefinedScoreError(f"{name}: NaN or infinite values in {len(rows)} of {len(matrix)} rows")
    return matrix


def as_classes(labels: ArrayLike, n: int) -> tuple[Codes, NDArray[np.intp]]:
    """Labels of n images as codes 0..C-1 in sorted order, and how many images each class has.

    Class names may be anything that sorts: integers, strings, booleans.

    Raises:
        UsageError: not one label for each image, or labels that are not classes.
        UndefinedScoreError: fewer than two classes in the sample.
    """
    names = np.asarray(labels)
    if names.ndim == 2:
        raise UsageError("labels have several columns, but this score needs one class per image", hint=_OTHERS)
    if names.shape != (n,):
        raise UsageError(f"labels have shape {names.shape}, but there are {n} images", hint="give one class per image")
    if names.dtype.kind == "f":
        raise UsageError("labels are real numbers, but this score needs classes", hint=_OTHERS)
    _, codes, counts = np.unique(names, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise UndefinedScoreError("only one class in the sample")
    return codes, counts


def as_targets(labels: ArrayLike, n: int) -> Floats:
    """Labels as the targets of a linear model, columns [n, t].

    One integer, boolean or string per image is a class and becomes one-hot columns; one real number per image is a
    regression target; a matrix is taken as it is (one column for each finding or quantity) but for columns that are
    constant over the sample, which are left out. So are those that vary by less than 1e-140, whose squares vanish.

    Raises:
        UsageError: the labels do not match n images.
        UndefinedScoreError: fewer than two classes, only constant columns, or non-finite values.
    """
    values = np.asarray(labels)
    if values.ndim == 1 and values.dtype.kind != "f":
        return one_hot(as_classes(values, n)[0])
    if values.ndim not in (1, 2) or len(values) != n:
        raise UsageError(f"labels have shape {values.shape}, but there are {n} images", hint="give one row per image")
    columns = as_matrix(values[:, None] if values.ndim == 1 else values, "labels")
    spread = np.ptp(columns, axis=0)
    varies = spread > _LEAST_SPREAD
    if not varies.any():
        what = f"they vary by less than {_LEAST_SPREAD:g}" if spread.any() else "the same value for all images"
        raise UndefinedScoreError(f"labels: {what}")
    return columns[:, varies]


def as_half(half: ArrayLike, n: int) -> NDArray[np.bool_]:
    """`half` as n booleans, both of which occur.

    Raises:
        UsageError: another shape, or one half is empty.
    """
    first = np.asarray(half, dtype=bool)
    if first.shape != (n,) or first.all() or not first.any():
        raise UsageError("half does not split the sample in two", hint="give one boolean per row, both True and False")
    return first


def check_ridge(ridge: float) -> None:
    """Raise a UsageError unless `ridge` is positive."""
    if not ridge > 0:
        raise UsageError(f"ridge must be positive, got {ridge}", hint="try 0.1")


def one_hot(codes: Codes) -> Floats:
    """[n, C] indicator columns of class codes 0..C-1."""
    return np.eye(codes.max() + 1)[codes]


def class_means(features: Floats, codes: Codes) -> Floats:
    """[C, d] mean of each class."""
    indicator = one_hot(codes)
    return np.asarray(indicator.T @ features / indicator.sum(axis=0)[:, None])


def centre(features: Floats) -> Floats:
    """Features minus their mean.

    Raises:
        UndefinedScoreError: every feature is constant over the sample.
    """
    if not varying(features).any():
        raise UndefinedScoreError("all features are constant over the sample")
    return np.asarray(features - features.mean(axis=0))


def varying(features: Floats) -> NDArray[np.bool_]:
    """[d] which features vary over the sample beyond the rounding of their size."""
    size = np.abs(features).max(axis=0)
    return np.asarray(np.ptp(features, axis=0) > 1e-10 * size)


def standardise(features: Floats) -> Floats:
    """Varying features with mean 0 and standard deviation 1 (population); constant ones are left out.

    Raises:
        UndefinedScoreError: every feature is constant over the sample.
    """
    centred = centre(features)[:, varying(features)]
    return np.asarray(centred / centred.std(axis=0))


def min_max_sum(parts: Sequence[Sequence[float]], signs: Sequence[float]) -> list[float]:
    """Each column of parts [candidates, k] scaled to [0, 1] over the candidates, then summed with signs.

    A column that is equal for all candidates counts 0 for each. A pool of one has no values: NaN.
    """
    if len(parts) < 2:
        return [float("nan")] * len(parts)
    columns: Floats = np.asarray(parts, dtype=np.float64)
    low, width = columns.min(axis=0), np.ptp(columns, axis=0)
    unit = (columns - low) / np.where(width > 0, width, 1.0)
    return [float(value) for value in unit @ np.asarray(signs, dtype=np.float64)]
