"""Stratified, seeded samples of a target's images, and their halves for cross-fitting."""

from __future__ import annotations

import numpy as np

from acrank.errors import TargetError
from acrank.system.streams import Purpose, stream
from acrank.targets.group_sampling import grouped_halves, grouped_ranks
from acrank.targets.target_options import Task

_BINS = 10


def draw_sample(
    labels: np.ndarray,
    size: int | None,
    *,
    seed: int,
    repeat: int,
    task: Task,
    purpose: Purpose = Purpose.DRAW,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Indices of a stratified sample, ascending; they depend only on the labels' order, the seed and the repeat.

    Classes get shares proportional to their size (largest remainder), but at least two images each if they have two
    and `size` allows it, else at least one. A sample contains the smaller samples of the same seed and repeat, except
    for a few images where shares shift.

    Multilabel samples are stratified by each image's rarest label, regression by up to ten bins of equal count.

    Args:
        labels: as in `Target.labels`, [N] or [N, k].
        size: number of images; None, or at least N, takes all, and then repeats do not differ.
        seed: any non-negative integer.
        repeat: 0, 1, ...: each draws another sample.
        task: the task of the labels.
        purpose: the use of the images; each purpose has its own random streams.
        groups: int64 [N], numbered from 0; images of one group are drawn together as far as the shares allow.

    Returns:
        int64 [min(size, N)].

    Raises:
        TargetError: fewer images than classes (multilabel: strata), or only one class.

    Example:
        >>> draw_sample(np.array([0, 0, 0, 0, 1, 1]), 4, seed=0, repeat=0, task="classification").tolist()
        [0, 3, 4, 5]
    """
    count = len(labels)
    take = count if size is None else min(size, count)
    strata = _strata(labels, task, take)
    _refuse_few(strata, take, task, is_draw=purpose is Purpose.DRAW)
    if take == count:
        return np.arange(count, dtype=np.int64)
    shares = allocate(np.bincount(strata), take)
    source = stream(purpose, seed, repeat)
    if groups is None:
        ranks = _ranks_within(strata, _keys(count, source))
    else:
        ranks = grouped_ranks(strata, shares, groups, keys=_keys(count + int(groups.max()) + 1, source))
    return np.asarray(np.flatnonzero(ranks < shares[strata]), dtype=np.int64)


def halves(labels: np.ndarray, *, seed: int, repeat: int, task: Task, groups: np.ndarray | None = None) -> np.ndarray:
    """Split a sample into two stratified halves, for cross-fitting: True marks the first.

    Each class is halved; its odd image goes to the half that is smaller so far, so the halves differ by at most one.

    Args:
        labels: the sample's labels, as in `Target.labels`, [n] or [n, k].
        seed, repeat: those of the draw; the halves come from another stream.
        task: the task of the labels.
        groups: int64 [n]; each group is then in one half, and the halves are as even as the groups allow.

    Returns:
        bool [n].

    Raises:
        TargetError: the groups cannot be halved: a class comes from one of them only.

    Example:
        >>> halves(np.array([0, 0, 0, 1, 1]), seed=0, repeat=0, task="classification").sum()
        np.int64(3)
    """
    strata = _strata(labels, task, len(labels))
    source = stream(Purpose.HALVES, seed, repeat)
    if groups is not None:
        return grouped_halves(strata, groups, _keys(len(labels), source), needed=task == "classification")
    sizes = np.bincount(strata, minlength=1)
    odd = sizes % 2
    first = sizes // 2 + odd * (np.cumsum(odd) % 2)  # odd images alternate: first, second, first, ...
    ranks = _ranks_within(strata, _keys(len(labels), source))
    return np.asarray(ranks < first[strata])


def allocate(sizes: np.ndarray, total: int) -> np.ndarray:
    """Divide `total` among strata in proportion to their sizes, by largest remainder, with a floor.

    The floor is two, or the stratum's size if smaller; one if `total` is too small for that. Ties go to the first.
    All arithmetic is in integers, so that rounding is the same on every platform.

    Args:
        sizes: int64 [k], all positive.
        total: from k to the sum of the sizes.

    Returns:
        int64 [k] that adds up to `total`, between the floor and the size.

    Example:
        >>> allocate(np.array([90, 8, 2]), 20).tolist()
        [16, 2, 2]
    """
    sizes = sizes.astype(np.int64)
    population = int(sizes.sum())
    floor = np.minimum(sizes, 2)
    floor = floor if floor.sum() <= total else np.ones_like(sizes)
    shares: np.ndarray = np.clip(sizes * total // population, floor, sizes)
    while shares.sum() != total:
        # how far each stratum lies below its exact share, in units of 1 / population
        missing = sizes * total - shares * population
        if shares.sum() < total:
            shares[np.argmax(np.where(shares < sizes, missing, np.iinfo(np.int64).min))] += 1
        else:
            shares[np.argmin(np.where(shares > floor, missing, np.iinfo(np.int64).max))] -= 1
    return shares


def _strata(labels: np.ndarray, task: Task, take: int) -> np.ndarray:
    """The stratum of each sample, int64 [N], numbered from 0 without gaps; `take` images will be drawn."""
    if task == "regression":
        bins = max(1, min(_BINS, take // 2))
        places = np.argsort(np.argsort(labels, kind="stable"), kind="stable")
        raw = places * bins // max(1, len(labels))
    elif task == "multilabel":
        raw = _rarest(labels)
    elif task == "segmentation":
        raw = np.zeros(len(labels), dtype=np.int64)
    else:
        raw = labels
    return np.unique(raw, return_inverse=True)[1].reshape(-1)


def _rarest(labels: np.ndarray) -> np.ndarray:
    """The rarest label of each sample, k for a sample without labels."""
    counts = labels.sum(axis=0)
    rarity = np.where(labels.astype(bool), counts, len(labels) + 1)
    return np.asarray(np.where(labels.any(axis=1), rarity.argmin(axis=1), labels.shape[1]))


def _refuse_few(groups: np.ndarray, take: int, task: Task, *, is_draw: bool) -> None:
    classes = int(groups.max()) + 1 if len(groups) else 0
    if task == "classification" and classes < 2:
        raise TargetError(
            f"the target has {'no images' if not classes else 'one class only'}",
            hint="ranking needs at least two classes",
        )
    if task == "classification" and len(groups) == classes and is_draw:
        raise TargetError(
            f"each of the {classes} classes has one image only",
            hint="ranking needs classes of several images; are the labels classes?",
        )
    needed = max(classes, 2)
    if take < needed:
        strata = {"classification": "classes", "multilabel": "groups of labels", "regression": "parts of the range"}
        raise TargetError(
            f"a sample of {take} images is too small for {needed} {strata.get(task, 'halves')}",
            hint=f"sample at least {2 * needed} images",
        )


def _keys(count: int, source: np.random.SeedSequence) -> np.ndarray:
    """One random uint64 per sample. NumPy promises this stream for every version, unlike that of `permutation`."""
    return np.asarray(np.random.PCG64(source).random_raw(count))


def _ranks_within(groups: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The rank of each sample within its stratum, by key, from 0."""
    order = np.lexsort((keys, groups))
    sizes = np.bincount(groups, minlength=1)
    starts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - starts[groups[order]]
    return ranks
