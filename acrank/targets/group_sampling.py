"""Samples and halves that keep the images of a group, such as a patient, together."""

from __future__ import annotations

import numpy as np

from acrank.errors import TargetError

#: Class sizes are weighed in integers, so that rounding is the same on every platform.
_UNIT = 10**6
#: Orders of the groups that are tried for halves.
_TRIES = 8


def grouped_ranks(strata: np.ndarray, shares: np.ndarray, groups: np.ndarray, *, keys: np.ndarray) -> np.ndarray:
    """The rank of each sample within its stratum: group after group in random order.

    A group gives at most half of its stratum's share before the others had their turn, so that both halves of the
    sample can hold the stratum.

    Args:
        strata: int64 [N].
        shares: how many samples of each stratum will be taken, int64 [k].
        groups: int64 [N], from 0.
        keys: uint64 [N + number of groups], random: of the samples, then of the groups.

    Returns:
        int64 [N], from 0 within each stratum.
    """
    count = len(strata)
    own, of_groups = keys[:count], keys[count:][groups]
    cells = np.unique(strata * (int(groups.max()) + 1) + groups, return_inverse=True)[1].reshape(-1)
    within = _ranks(cells, [own])
    late = within >= np.maximum(1, (shares[strata] + 1) // 2)
    return _ranks(strata, [own, of_groups, late])


def grouped_halves(strata: np.ndarray, groups: np.ndarray, keys: np.ndarray, *, needed: bool) -> np.ndarray:
    """Two halves with every group in one of them, balanced by stratum as far as the groups allow.

    Args:
        strata: int64 [n].
        groups: int64 [n].
        keys: uint64 [n] or more, random.
        needed: whether both halves must hold every stratum.

    Returns:
        bool [n]: True marks the first half.

    Raises:
        TargetError: fewer than two groups; or `needed`, and a stratum comes from one group only.
    """
    places, codes = np.unique(groups, return_inverse=True)
    counts = _counts(strata, codes.reshape(-1))
    if len(places) < 2:
        raise TargetError("all sampled images are of one group", hint="groups can be kept apart only if there are two")
    if needed:
        _refuse_single(counts, "be in both halves of a sample")
    weights = _UNIT // counts.sum(axis=0)
    tried = []
    for turn in range(_TRIES):
        order = np.lexsort((np.roll(keys, turn)[: len(places)], -counts.sum(axis=1)))
        sides = _assigned(counts, order, weights)
        ahead = np.abs(np.where(sides[:, None], counts, -counts).sum(axis=0))
        lacking = int((ahead == counts.sum(axis=0)).sum())
        tried.append((lacking, int((ahead * weights).sum()), turn, sides))
    best = min(tried, key=lambda one: one[:3])
    if needed and best[0]:
        raise TargetError("the groups cannot be halved so that both halves hold every class", hint="sample more images")
    return np.asarray(best[3][codes.reshape(-1)])


def grouped_hold_out(
    labels: np.ndarray, share: float, groups: np.ndarray, *, keys: np.ndarray, leave: int
) -> np.ndarray:
    """Which samples are held out: whole groups, with about `share` of every class.

    Args:
        labels: int64 [n].
        share: of every class.
        groups: int64 [n].
        keys: uint64 [n], random.
        leave: of every class, at least this many groups are kept.

    Returns:
        bool [n].

    Raises:
        TargetError: a class has too few groups.
    """
    places, codes = np.unique(groups, return_inverse=True)
    codes = codes.reshape(-1)
    classes, strata = np.unique(labels, return_inverse=True)
    counts = _counts(strata.reshape(-1), codes)
    wanted = np.maximum(1, np.round(counts.sum(axis=0) * share).astype(np.int64))
    weights = _UNIT // wanted
    taken = np.zeros(len(places), dtype=bool)
    for one in np.argsort(keys[: len(places)], kind="stable"):
        missing = wanted - counts[taken].sum(axis=0)
        gain = (weights * (np.abs(missing) - np.abs(missing - counts[one]))).sum()
        taken[one] = gain > 0 and _may_go(counts, taken, one, leave=leave)
    for stratum in range(len(classes)):
        if not counts[taken, stratum].any():
            _take_smallest(counts, taken, stratum, leave=leave, number=int(classes[stratum]))
    return np.asarray(taken[codes])


def _take_smallest(counts: np.ndarray, taken: np.ndarray, stratum: int, *, leave: int, number: int) -> None:
    holders = np.flatnonzero(counts[:, stratum] > 0)
    for one in holders[np.argsort(counts[holders].sum(axis=1), kind="stable")]:
        if _may_go(counts, taken, one, leave=leave):
            taken[one] = True
            return
    raise TargetError(
        f"class number {number} has too few groups ({len(holders)}) to train, validate and test",
        hint="finetuning with groups needs three groups, such as patients, of every class",
    )


def _may_go(counts: np.ndarray, taken: np.ndarray, one: int, *, leave: int) -> bool:
    """Whether every class of a group keeps enough other groups."""
    kept = ~taken
    kept[one] = False
    left = (counts[kept] > 0).sum(axis=0)
    return bool((left[counts[one] > 0] >= leave).all())


def _assigned(counts: np.ndarray, order: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Which groups are in the first half: each goes where the strata are then more even."""
    ahead = np.zeros(counts.shape[1], dtype=np.int64)
    sides = np.zeros(len(counts), dtype=bool)
    for one in order:
        first, second = ahead + counts[one], ahead - counts[one]
        costs = [((weights * np.abs(now)).sum(), abs(int(now.sum()))) for now in (first, second)]
        sides[one] = costs[0] <= costs[1]
        ahead = first if sides[one] else second
    return sides


def _refuse_single(counts: np.ndarray, what: str) -> None:
    single = np.flatnonzero((counts > 0).sum(axis=0) < 2)
    if len(single):
        raise TargetError(
            f"class number {single[0]} comes from one group only, so it cannot {what}",
            hint="every class needs two groups; leave the class or the groups out",
        )


def _counts(strata: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Samples of each group and stratum, int64 [groups, strata]."""
    shape = (int(codes.max()) + 1, int(strata.max()) + 1)
    return np.bincount(codes * shape[1] + strata, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)


def _ranks(strata: np.ndarray, keys: list[np.ndarray]) -> np.ndarray:
    order = np.lexsort((*keys, strata))
    sizes = np.bincount(strata, minlength=1)
    starts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(strata), dtype=np.int64)
    ranks[order] = np.arange(len(strata)) - starts[strata[order]]
    return ranks
