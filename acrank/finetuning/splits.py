"""Train, validation and test images of a target: stratified partitions by seed, or the target's own splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acrank.errors import NoSplitError, TargetError, UsageError
from acrank.system.streams import Purpose, stream
from acrank.targets import LAYOUTS, Target, TargetOptions, open_target
from acrank.targets.doubts import split_leaks
from acrank.targets.examination import Examination, ImageFacts
from acrank.targets.group_sampling import grouped_hold_out
from acrank.targets.grouping import group_codes
from acrank.targets.sampling import draw_sample
from acrank.targets.target import first_few
from acrank.targets.understanding import Understanding, understand

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """Some images of a target: `indices` int64 [n] into it, ascending."""

    target: Target
    indices: Indices

    @property
    def labels(self) -> Indices:
        """Their labels, int64 [n]."""
        labels: Indices = self.target.labels[self.indices]
        return labels

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def groups(self) -> int | None:
        """How many groups its images are in; None where they are not known."""
        groups = self.target.groups
        return None if groups is None else len({groups[index] for index in self.indices.tolist()})

    @classmethod
    def whole(cls, target: Target) -> Part:
        """All images of a target."""
        return cls(target, np.arange(len(target), dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Partition:
    """Images to train, validate and test on; no image is in two parts."""

    train: Part
    val: Part
    test: Part


def open_splits(path: str | Path, options: TargetOptions | None = None, *, split_by: str = "seed") -> dict[str, Target]:
    """The target as one, or as its own splits: the mapping that `make_partition` takes.

    Args:
        path: as for `open_target`.
        options: how to read the target; `split` is ignored.
        split_by: "seed" joins all splits of the target into "all"; "target" opens its "train" and "test", in any
            spelling, and its "val" if it has one.

    Raises:
        TargetError, UsageError: as `open_target`; or the target has no splits of its own.
    """

    def opened(split: str | None) -> Target:
        return open_target(path, options, split=split)

    if split_by == "seed":
        try:
            whole = opened(None)
        except NoSplitError:  # such as a column of splits without one called train: all are joined anyway
            return {"all": opened("all")}
        return {"all": whole if whole.split is None else opened("all")}
    try:
        targets = {"train": opened("train"), "test": opened("test")}
    except (TargetError, UsageError) as error:
        text = f"{path} has no splits of its own to finetune on: {error.message}"
        raise type(error)(text, hint="use --split-by seed") from error
    try:
        targets["val"] = opened("val")
    except NoSplitError:  # the note says so
        note = "the target has no validation split: part of its training images validates instead"
        targets["train"].notes.append(note)
    _warn_of_shared_groups(targets, _groups_of_splits(targets, path, options or TargetOptions()))
    return targets


def _groups_of_splits(targets: Mapping[str, Target], path: str | Path, options: TargetOptions) -> list[set[str]]:
    """The groups of every split, by names that mean the same in all of them.

    Patients of DICOM files are numbered whenever a target is opened: one that holds all splits says who is who.
    """
    own = [set(target.groups or ()) for target in targets.values()]
    by_user = options.group_pattern or options.group_column or options.group_table
    if by_user or "dicom" not in LAYOUTS[targets["train"].layout].uses:
        return own
    try:
        whole = open_target(path, options, split="all")
    except TargetError:  # such as images that are there in several splits, under several labels
        return []
    known = dict(zip(whole.ids, whole.groups or (), strict=False))
    return [{known[name] for name in target.ids if name in known} for target in targets.values()]


def _warn_of_shared_groups(targets: Mapping[str, Target], found: Sequence[set[str]]) -> None:
    """Note groups that are in several of the target's own splits."""
    shared = sorted({one for place, groups in enumerate(found) for other in found[:place] for one in groups & other})
    if shared:
        targets["train"].notes.append(
            f"warning: {len(shared)} groups are in several of the target's own splits: {first_few(shared, 3)}"
        )


def examine_splits(targets: Mapping[str, Target]) -> tuple[dict[str, Target], dict[str, Understanding], list[str]]:
    """The parts of a target without images that cannot be decoded, what was understood, and images in several parts.

    Every image is decoded once: finetuning reads them all.

    Raises:
        TargetError: too many images cannot be decoded, or the target cannot be right.
    """
    sound: dict[str, Target] = {}
    understood: dict[str, Understanding] = {}
    facts: dict[str, ImageFacts] = {}
    parts: dict[str, str] = {}
    for name, target in targets.items():
        examination = Examination()
        sound[name] = examination.look(target, range(len(target)))
        understood[name] = understand(sound[name], examination)
        facts.update({f"{name}: {each}": fact for each, fact in examination.facts.items()})
        parts.update({f"{name}: {each}": name for each in examination.facts})
    return sound, understood, split_leaks(facts, parts)


def make_partition(
    targets: Mapping[str, Target], *, split: int, val_share: float, test_share: float, train_size: int | None
) -> Partition:
    """The partition number `split` of a target, or of its own splits.

    Args:
        targets: {"all": target}, or "train" and "test" and optionally "val". Without "val", `val_share` of the
            training images validates.
        split, val_share, test_share: as in `partition_indices`.
        train_size: size of a stratified sample of the training images; None, or at least their number, takes all.

    Raises:
        TargetError: a class has too few images, or `train_size` is too small for the classes.
    """
    if "all" in targets:
        whole = targets["all"]
        groups = group_codes(whole.groups)
        indices = partition_indices(
            whole.labels, split=split, val_share=val_share, test_share=test_share, groups=groups
        )
        train, val, test = (Part(whole, indices[name]) for name in ("train", "val", "test"))
    else:
        train, test = Part.whole(targets["train"]), Part.whole(targets["test"])
        if "val" in targets:
            val = Part.whole(targets["val"])
        else:
            source, groups = stream(Purpose.VAL_SPLIT, split), group_codes(train.target.groups)
            kept, held_out = hold_out(train.labels, val_share, source=source, leave=1, groups=groups)
            train, val = Part(train.target, kept), Part(train.target, held_out)
    if train_size is not None and train_size < len(train):
        chosen = draw_sample(
            train.labels, train_size, seed=0, repeat=split, task=train.target.task, purpose=Purpose.TRAIN_PART
        )
        train = Part(train.target, train.indices[chosen])
    return Partition(train, val, test)


def partition_indices(
    labels: Indices, *, split: int, val_share: float, test_share: float, groups: Indices | None = None
) -> dict[str, Indices]:
    """Indices of a stratified partition: every class is in every part, in proportion to the shares.

    Args:
        labels: int64 [n].
        split: number of the partition; each number gives another one.
        val_share, test_share: shares of every class, rounded, but at least one image; the rest trains.
        groups: int64 [n]: images of one group are in one part, and shares are met as far as the groups allow.

    Returns:
        "train", "val" and "test": int64, ascending, together 0 … n - 1.

    Raises:
        TargetError: a class has fewer than three images, or groups.

    Example:
        >>> parts = partition_indices(np.array([0] * 10 + [1] * 5), split=0, val_share=0.2, test_share=0.2)
        >>> {name: len(part) for name, part in parts.items()}
        {'train': 9, 'val': 3, 'test': 3}
    """
    rest, test = hold_out(labels, test_share, source=stream(Purpose.TEST_SPLIT, split), leave=2, groups=groups)
    source, left = stream(Purpose.VAL_SPLIT, split), None if groups is None else groups[rest]
    train, val = hold_out(labels[rest], val_share / (1 - test_share), source=source, leave=1, groups=left)
    return {"train": rest[train], "val": rest[val], "test": test}


def hold_out(
    labels: Indices, share: float, *, source: np.random.SeedSequence, leave: int, groups: Indices | None = None
) -> tuple[Indices, Indices]:
    """Indices of the images kept and of those held out: `share` of every class, rounded, at least one image.

    With groups, whole groups are held out, and the share is met as far as they allow.

    Raises:
        TargetError: a class would keep fewer than `leave` images, or groups.

    Example:
        >>> hold_out(np.array([0, 0, 0, 0, 1, 1]), 0.5, source=stream(Purpose.TEST_SPLIT, 0), leave=1)[1].size
        3
    """
    keys = np.random.PCG64(source).random_raw(len(labels))  # NumPy promises this stream for every version
    if groups is not None:
        taken = grouped_hold_out(labels, share, groups, keys=keys, leave=leave)
        return np.flatnonzero(~taken), np.flatnonzero(taken)
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
