"""Which images train, validate and test: stratified partitions by seed, or the target's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError
from acrank.system.streams import Purpose, stream
from acrank.targets import Target
from acrank.targets.sampling import draw_sample

PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Part:
    """Some images of a target: `indices` int64 [n] into it, ascending."""

    target: Target
    indices: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """Their labels, int64 [n]."""
        return self.target.labels[self.indices]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, eq=False)
class Partition:
    """The three parts of one split; no image is in two."""

    train: Part
    val: Part
    test: Part


def partition(labels: np.ndarray, *, split: int, val_share: float, test_share: float) -> dict[str, np.ndarray]:
    """Indices of a stratified partition: every class is in every part, in proportion to the shares.

    Args:
        labels: int64 [n].
        split: number of the partition; each draws another.
        val_share, test_share: of every class, rounded, but at least one image; the rest trains.

    Returns:
        "train", "val" and "test": int64, ascending, together 0 … n - 1.

    Raises:
        TargetError: a class has fewer than three images.

    Example:
        >>> parts = partition(np.array([0] * 10 + [1] * 5), split=0, val_share=0.2, test_share=0.2)
        >>> {name: len(part) for name, part in parts.items()}
        {'train': 9, 'val': 3, 'test': 3}
    """
    rest, test = hold_out(labels, test_share, source=stream(Purpose.TEST_SPLIT, split), leave=2)
    left, val = hold_out(labels[rest], val_share / (1 - test_share), source=stream(Purpose.VAL_SPLIT, split), leave=1)
    return {"train": rest[left], "val": rest[val], "test": test}


def hold_out(
    labels: np.ndarray, share: float, *, source: np.random.SeedSequence, leave: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of what stays and of what is held out: `share` of every class, rounded, at least one image.

    Raises:
        TargetError: a class would keep fewer than `leave` images.

    Example:
        >>> hold_out(np.array([0, 0, 0, 0, 1, 1]), 0.5, source=stream(Purpose.TEST_SPLIT, 0), leave=1)[1].size
        3
    """
    keys = np.random.PCG64(source).random_raw(len(labels))  # NumPy promises this stream for every version
    taken = np.zeros(len(labels), dtype=bool)
    for one in np.unique(labels):
        members = np.flatnonzero(labels == one)
        count = max(1, round(len(members) * share))
        if len(members) < leave + 1:
            raise TargetError(
                f"class number {one} has too few images ({len(members)}) to train, validate and test",
                hint="finetuning needs at least three images of every class, or three with masks",
            )
        taken[members[np.argsort(keys[members], kind="stable")[: min(count, len(members) - leave)]]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def make_partition(
    parts: Mapping[str, Target], *, split: int, val_share: float, test_share: float, train_size: int | None
) -> Partition:
    """The partition number `split` of a target, or of its own parts.

    Args:
        parts: {"all": target}, or "train" and "test" and, where there is one, "val". Without "val" a share of the
            training images validates.
        split, val_share, test_share: as in `partition`.
        train_size: take a stratified sample of so many training images; None or more than there are takes all.

    Raises:
        TargetError: too few images of a class, or `train_size` does not reach for the classes.
    """
    if "all" in parts:
        indices = partition(parts["all"].labels, split=split, val_share=val_share, test_share=test_share)
        train, val, test = (Part(parts["all"], indices[name]) for name in PARTS)
    else:
        train, test = _whole(parts["train"]), _whole(parts["test"])
        if "val" in parts:
            val = _whole(parts["val"])
        else:
            left, taken = hold_out(train.labels, val_share, source=stream(Purpose.VAL_SPLIT, split), leave=1)
            train, val = Part(train.target, left), Part(train.target, taken)
    if train_size is not None and train_size < len(train):
        chosen = draw_sample(
            train.labels, train_size, seed=0, repeat=split, task="classification", purpose=Purpose.TRAIN_PART
        )
        train = Part(train.target, train.indices[chosen])
    return Partition(train, val, test)


def _whole(target: Target) -> Part:
    return Part(target, np.arange(len(target), dtype=np.int64))
