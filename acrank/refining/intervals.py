"""The interval of a validation quality, by a bootstrap over images, or over groups of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_RESAMPLES = 999
_BATCH = 100  # resamples at a time: they are held in memory


def quality_interval(
    by_image: Floats, groups: npt.NDArray[np.int64] | None = None, *, binary: bool
) -> tuple[float, float] | None:
    """The 95% interval of a mean over images, then over classes; None for fewer than two images or groups.

    A percentile bootstrap (`scipy.stats.bootstrap`) that resamples whole groups, where there are some. Where images are
    right or wrong, one of each is added to every class before (Agresti & Coull 1998 add two): images that are all
    right have an interval, too. That would draw values to a half, so the interval is moved back by as much.

    Args:
        by_image: float64 [n, classes], NaN where an image adds nothing to a class; see `Quality`.
        groups: int64 [n].
        binary: whether values are 0 or 1.

    Returns:
        Both ends, in the range of the values.

    Example:
        >>> low, high = quality_interval(np.array([[1.0]] * 10), binary=True)
        >>> 0.5 < low < high == 1.0
        True
    """
    from scipy.stats import bootstrap

    sums, counts = _by_group(by_image, groups)
    if len(sums) < 2:
        return None
    quality = float(_mean_of_classes(sums, counts))
    if binary:
        one_of_each = np.eye(by_image.shape[1])
        sums = np.concatenate([sums, one_of_each, np.zeros_like(one_of_each)])
        counts = np.concatenate([counts, one_of_each, one_of_each])

    def statistic(places: npt.NDArray[np.int64], axis: int) -> Floats:
        return _mean_of_classes(sums[places], counts[places])

    found = bootstrap(
        (np.arange(len(sums)),),
        statistic,
        n_resamples=_RESAMPLES,
        batch=_BATCH,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    if not np.isfinite([found.low, found.high]).all():
        return None
    moved = quality - float(_mean_of_classes(sums, counts))
    low, high = float(found.low) + moved, float(found.high) + moved
    return (max(0.0, low), min(1.0, high)) if binary else (low, high)


def _by_group(by_image: Floats, groups: npt.NDArray[np.int64] | None) -> tuple[Floats, Floats]:
    """Sums of what is known of each group and class, and how many values they are of: [groups, classes]."""
    known = ~np.isnan(by_image)
    codes = np.arange(len(by_image)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    sums = np.zeros((int(codes.max(initial=-1)) + 1, by_image.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, codes, np.where(known, by_image, 0.0))
    np.add.at(counts, codes, known)
    return sums, counts


def _mean_of_classes(sums: Floats, counts: Floats) -> Floats:
    """The mean over groups of each class, and over the classes that occur: [..., groups, classes] -> [...]."""
    total = counts.sum(axis=-2)
    means = np.divide(sums.sum(axis=-2), total, out=np.full(total.shape, np.nan), where=total > 0)
    known = ~np.isnan(means)
    count = known.sum(axis=-1)
    total = np.where(known, means, 0.0).sum(axis=-1)
    found: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return found
