"""Settings of finetuning: everything but the candidates, the target, the number of runs and where results go."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from acrank.errors import UsageError
from acrank.finetuning.tasks import LOSSES, METRICS
from acrank.system.streams import STREAMS
from acrank.system.words import closest

OPTIMISERS: dict[str, tuple[float, ...]] = {"sgd": (0.1, 0.03, 0.01), "adamw": (0.01, 0.003, 0.001)}
BATCH_SIZES = {"classification": 32, "segmentation": 8}
AUGMENTATIONS = ("none", "light")
SPLITTERS = ("seed", "target")
_MOST_HELD_OUT = 0.9  # validation and test together leave at least a tenth for training
_LEAST = {"epochs": 1, "patience": 0, "batch_size": 2, "patches": 1, "train_size": 1}


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How to finetune; every field is checked on construction.

    Attributes:
        lrs: learning rates to choose from on the validation split, each once; stored as a tuple. Empty takes the
            optimiser's usual three, see OPTIMISERS.
        optimiser: "sgd" (momentum 0.9) or "adamw".
        weight_decay: of every trained parameter; methods with `replaces_decay`, such as L2-SP, set it to 0.
        epochs: the most epochs of a trial; the cosine schedule ends there.
        patience: epochs without a better validation quality before training stops; 0 never stops early.
        batch_size: training images per step, or patches for segmentation; None takes the task's, see BATCH_SIZES.
        patches: for segmentation, patches of every training image in an epoch.
        train_size: number of training images, a stratified sample of the training split; None takes all.
        val_share, test_share: shares of the target that validate and test, where splits are made by seed.
        split_by: "seed" makes stratified splits, "target" takes the target's own train, val and test.
        metric: quality measure, one of METRICS; None takes the task's first.
        loss: "ce" (cross-entropy), or "dice-ce" (soft Dice added) for segmentation; None takes the task's first.
        class_weights: weigh classes in the loss inversely to their size.
        augment: "none", or "light": horizontal flips and shifts by up to a sixteenth.
        amp: run networks in mixed precision; None does so on CUDA only.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        allow_code: let `factory:` entries run code.

    Raises:
        UsageError: a value is unknown or out of range; the message names it.

    Example:
        >>> FinetuneSettings(optimiser="adamw").lrs
        (0.01, 0.003, 0.001)
    """

    lrs: Sequence[float] = ()
    optimiser: str = "sgd"
    weight_decay: float = 1e-4
    epochs: int = 20
    patience: int = 5
    batch_size: int | None = None
    patches: int = 8
    train_size: int | None = None
    val_share: float = 0.2
    test_share: float = 0.3
    split_by: str = "seed"
    metric: str | None = None
    loss: str | None = None
    class_weights: bool = False
    augment: str = "light"
    amp: bool | None = None
    device: str = "auto"
    allow_code: bool = False

    def __post_init__(self) -> None:
        _check_known("optimiser", self.optimiser, OPTIMISERS)
        object.__setattr__(self, "lrs", tuple(self.lrs) or OPTIMISERS[self.optimiser])
        _check_rates(self.lrs)
        for name, value, tasks in (("metric", self.metric, METRICS), ("loss", self.loss, LOSSES)):
            if value is not None:
                _check_known(name, value, [known for each in tasks.values() for known in each])
        _check_known("augment", self.augment, AUGMENTATIONS)
        _check_known("split-by", self.split_by, SPLITTERS)
        for name, least in _LEAST.items():
            _check_least(name, getattr(self, name), least)
        _check_shares(self.val_share, self.test_share)
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UsageError(f"weight decay is {self.weight_decay}", hint="give a number of at least 0")

    def for_task(self, task: str) -> FinetuneSettings:
        """These settings with the task's defaults for metric, loss and batch size where they are None.

        Raises:
            UsageError: the metric or the loss belongs to another task.

        Example:
            >>> FinetuneSettings().for_task("segmentation").metric
            'dice'
        """
        metric, loss = self.metric or METRICS[task][0], self.loss or LOSSES[task][0]
        _check_known(f"{task} metric", metric, METRICS[task])
        _check_known(f"{task} loss", loss, LOSSES[task])
        size = self.batch_size or BATCH_SIZES[task]
        return dataclasses.replace(self, metric=metric, loss=loss, batch_size=size)

    def record(self) -> dict[str, Any]:
        """The settings that results depend on, as plain data: all but device and allow_code."""
        record = dataclasses.asdict(self)
        del record["device"], record["allow_code"]
        return {**record, "lrs": list(self.lrs), "streams": STREAMS}


def _check_known(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise UsageError(f"unknown {name} {value!r}", hint=closest(value, known, f"choose one of {', '.join(known)}"))


def _check_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise UsageError(f"--{name.replace('_', '-')} is {value}", hint=f"it must be at least {least}")


def _check_shares(val: float, test: float) -> None:
    if not (0 < val < 1 and 0 < test < 1 and val + test <= _MOST_HELD_OUT):
        raise UsageError(
            f"a validation share of {val:g} and a test share of {test:g} leave too little to train on",
            hint=f"both must be positive and add up to at most {_MOST_HELD_OUT}",
        )


def _check_rates(rates: Sequence[float]) -> None:
    for rate in rates:
        if not (math.isfinite(rate) and rate > 0):
            raise UsageError(f"a learning rate of {rate:g}", hint="give positive numbers, such as --lr 0.1,0.03,0.01")
    if len(set(rates)) < len(rates):
        raise UsageError("a learning rate is given twice", hint="name each once")
