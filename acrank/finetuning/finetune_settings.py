"""Everything a user chooses about finetuning, except what is finetuned, how often and where results go."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from acrank.errors import UsageError
from acrank.finetuning.tasks import LOSSES, METRICS
from acrank.system.streams import STREAMS

OPTIMISERS: dict[str, tuple[float, ...]] = {"sgd": (0.1, 0.03, 0.01), "adamw": (0.01, 0.003, 0.001)}
BATCH_SIZES = {"classification": 32, "segmentation": 8}
AUGMENTATIONS = ("none", "light")
SPLITTERS = ("seed", "target")
_SHARES = 0.9  # validation and test together leave at least a tenth for training


@dataclass(frozen=True)
class FinetuneSettings:
    """The choices of a run, resolved; use `of`.

    Attributes:
        lrs: learning rates to choose from on the validation split, each once.
        optimiser: "sgd" (momentum 0.9) or "adamw".
        weight_decay: of every trained parameter; L2-SP puts its own penalty in its place.
        epochs: at most; the cosine schedule ends there.
        patience: epochs without a better validation quality before training stops; 0 never stops early.
        batch_size: of training: images, or patches for segmentation.
        patches: for segmentation, patches of every training image in an epoch.
        train_size: images to train on, a stratified part of the training split; None takes all.
        val_share, test_share: of the target, where splits are made by seed.
        split_by: "seed" makes stratified splits, "target" takes the target's own train, val and test.
        metric: quality measure, one of METRICS.
        loss: "ce" (cross-entropy), or "dice-ce" (with soft Dice added) for segmentation.
        class_weights: whether the loss weighs classes inversely to their size.
        augment: "none", or "light": horizontal flips and shifts by up to a sixteenth.
        amp: whether networks run in mixed precision; None: on CUDA alone.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        allow_code: whether `factory:` entries may run code.
    """

    lrs: tuple[float, ...]
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

    @classmethod
    def of(
        cls,
        *,
        lrs: Iterable[float] = (),
        optimiser: str = "sgd",
        weight_decay: float = 1e-4,
        epochs: int = 20,
        patience: int = 5,
        batch_size: int | None = None,
        patches: int = 8,
        train_size: int | None = None,
        val_share: float = 0.2,
        test_share: float = 0.3,
        split_by: str = "seed",
        metric: str | None = None,
        loss: str | None = None,
        class_weights: bool = False,
        augment: str = "light",
        amp: bool | None = None,
        device: str = "auto",
        allow_code: bool = False,
    ) -> FinetuneSettings:
        """Checked settings; without `lrs` the optimiser's usual three. `for_task` settles what is None.

        Raises:
            UsageError: a value that makes no sense; the message names it.

        Example:
            >>> FinetuneSettings.of(optimiser="adamw").lrs
            (0.01, 0.003, 0.001)
        """
        _one_of("optimiser", optimiser, tuple(OPTIMISERS))
        settings = cls(
            _rates(tuple(lrs) or OPTIMISERS[optimiser]),
            optimiser,
            weight_decay,
            epochs,
            patience,
            batch_size,
            patches,
            train_size,
            val_share,
            test_share,
            split_by,
            metric,
            loss,
            class_weights,
            augment,
            amp,
            device,
            allow_code,
        )
        _check(settings)
        return settings

    def for_task(self, task: str) -> FinetuneSettings:
        """The settings with the task's own choices where none was made.

        Raises:
            UsageError: the metric or the loss is another task's.

        Example:
            >>> FinetuneSettings.of().for_task("segmentation").metric
            'dice'
        """
        metric, loss = self.metric or METRICS[task][0], self.loss or LOSSES[task][0]
        _one_of(f"{task} metric", metric, METRICS[task])
        _one_of(f"{task} loss", loss, LOSSES[task])
        size = self.batch_size or BATCH_SIZES[task]
        return dataclasses.replace(self, metric=metric, loss=loss, batch_size=size)

    def record(self) -> dict[str, Any]:
        """What a result depends on, as plain data; device and permission to run code are left out."""
        record = dataclasses.asdict(self)
        del record["device"], record["allow_code"]
        return {**record, "lrs": list(self.lrs), "streams": STREAMS}


def _check(settings: FinetuneSettings) -> None:
    for name, value, known in (("metric", settings.metric, METRICS), ("loss", settings.loss, LOSSES)):
        if value is not None:
            _one_of(name, value, tuple(one for each in known.values() for one in each))
    _one_of("augment", settings.augment, AUGMENTATIONS)
    _one_of("split-by", settings.split_by, SPLITTERS)
    _at_least("epochs", settings.epochs, 1)
    _at_least("patience", settings.patience, 0)
    if settings.batch_size is not None:
        _at_least("batch-size", settings.batch_size, 2)
    _at_least("patches", settings.patches, 1)
    if settings.train_size is not None:
        _at_least("train-size", settings.train_size, 1)
    _check_shares(settings.val_share, settings.test_share)
    if not (math.isfinite(settings.weight_decay) and settings.weight_decay >= 0):
        raise UsageError(f"weight decay is {settings.weight_decay}", hint="give a number of at least 0")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"there is no {name} {value!r}", hint=f"choose one of {', '.join(known)}")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"--{name} is {value}", hint=f"it must be at least {least}")


def _check_shares(val: float, test: float) -> None:
    if not (0 < val < 1 and 0 < test < 1 and val + test <= _SHARES):
        raise UsageError(
            f"a validation share of {val:g} and a test share of {test:g} leave too little to train on",
            hint=f"both must be positive and add up to at most {_SHARES}",
        )


def _rates(rates: tuple[float, ...]) -> tuple[float, ...]:
    for rate in rates:
        if not (math.isfinite(rate) and rate > 0):
            raise UsageError(f"a learning rate of {rate:g}", hint="give positive numbers, such as --lr 0.1,0.03,0.01")
    if len(set(rates)) < len(rates):
        raise UsageError("a learning rate is given twice", hint="name each once")
    return rates
