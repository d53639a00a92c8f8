"""The plan of finetuning: which runs there are, and the images of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acrank.errors import TargetError, UsageError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.splits import Partition, make_partition
from acrank.finetuning.tasks import METRICS
from acrank.finetuning.tasks.segmentation import monai
from acrank.finetuning.work_folder import RunKey
from acrank.targets import Target
from acrank.zoo import Zoo


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """Every candidate by every method, on every split, with every seed; see `make_plan`.

    Attributes:
        zoo: the candidates.
        targets: from `open_splits`.
        partitions: one per split.
        settings: with the task's defaults filled in.
        keys: all runs in order.
        target_record: name, classes and fingerprints of the targets, as plain data.
    """

    zoo: Zoo
    targets: Mapping[str, Target]
    partitions: Sequence[Partition]
    settings: FinetuneSettings
    keys: Sequence[RunKey]
    target_record: dict[str, Any]

    @property
    def target(self) -> Target:
        """The first of the targets, whose task and classes all share."""
        return next(iter(self.targets.values()))

    @property
    def epochs_per_run(self) -> int:
        """Epochs of a run that never stops early."""
        return len(self.settings.lrs) * self.settings.epochs


def run_keys(zoo: Zoo, methods: Sequence[str], *, seeds: int, splits: int) -> list[RunKey]:
    """The runs of every candidate and method, in order; known before the target is read."""
    return [
        RunKey(model=candidate.id, method=method, split=split, seed=seed)
        for candidate in zoo.candidates
        for method in methods
        for split in range(splits)
        for seed in range(seeds)
    ]


def make_plan(
    zoo: Zoo,
    targets: Mapping[str, Target],
    methods: Sequence[str],
    *,
    settings: FinetuneSettings,
    seeds: int,
    splits: int,
) -> RunPlan:
    """The plan of `seeds` × `splits` runs for each candidate and method.

    Raises:
        UsageError: the settings do not fit the task, or several splits are asked of a target with its own.
        TargetError: the target cannot be finetuned on, or has too few images.
        MissingExtraError: it has masks, and MONAI is not installed.
    """
    _check_targets(targets, splits)
    first = next(iter(targets.values()))
    settings = settings.for_task(first.task)
    sizes = {name: getattr(settings, name) for name in ("val_share", "test_share", "train_size")}
    partitions = [make_partition(targets, split=split, **sizes) for split in range(splits)]
    keys = run_keys(zoo, methods, seeds=seeds, splits=splits)
    contents = {
        name: {"images": len(each), "fingerprint": each.fingerprint, "content": each.raw_digest(range(len(each)))}
        for name, each in targets.items()
    }
    record = {"name": first.name, "classes": list(first.classes), "parts": contents}
    return RunPlan(zoo=zoo, targets=targets, partitions=partitions, settings=settings, keys=keys, target_record=record)


def _check_targets(targets: Mapping[str, Target], splits: int) -> None:
    first = next(iter(targets.values()))
    for target in targets.values():
        if target.task not in METRICS:
            raise TargetError(
                f"finetuning does not support {target.task} targets", hint="give one class per image, or masks"
            )
        if target.classes != first.classes:
            raise TargetError("the splits of the target have different classes", hint="every split needs every class")
    if first.task == "segmentation":
        monai("losses")  # said before anything is written
    if len(first.classes) < 2:
        raise TargetError("the target has one class only", hint="finetuning needs at least two")
    if "val" in targets and splits > 1:
        raise UsageError("the target's own splits are one split", hint="leave out --splits, and give more --seeds")
