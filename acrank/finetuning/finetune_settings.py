"""Settings of finetuning: everything but the candidates, the target, the number of runs and where results go."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from acrank.errors import UsageError
from acrank.finetuning.tasks import LOSSES, METRICS
from acrank.system.memory import bytes_of
from acrank.system.option_fields import MOST_IMAGES, Opt, check_options
from acrank.system.streams import STREAMS
from acrank.system.words import closest

OPTIMISERS: dict[str, tuple[float, ...]] = {"sgd": (0.1, 0.03, 0.01), "adamw": (0.01, 0.003, 0.001)}
BATCH_SIZES = {"classification": 32, "segmentation": 8}
#: Panels of `acrank finetune --help` beside that of the class.
_SPLITS, _RUNNING = "Splits", "How to run"
_MOST_HELD_OUT = 0.9  # validation and test together leave at least a tenth for training


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
        memory: the most that the process may use, as "4GB"; None takes what is free.
        allow_code: let `factory:` entries run code.
        allow_download: let libraries download weights of their own.

    Raises:
        UsageError: a value is unknown or out of range; the message names it.

    Example:
        >>> FinetuneSettings(optimiser="adamw").lrs
        (0.01, 0.003, 0.001)
    """

    PANEL: ClassVar = "Training"

    lrs: Annotated[
        tuple[float, ...],
        Opt(
            help="Learning rates to choose from. [sgd: 0.1,0.03,0.01, adamw: 0.01,0.003,0.001]",
            flag="--lr",
            most=1e6,
            metavar="RATE,…",
        ),
    ] = ()
    optimiser: Annotated[str, Opt(help="sgd has momentum 0.9.", choices=tuple(OPTIMISERS))] = "sgd"
    weight_decay: Annotated[float, Opt(help="Of all that trains; not under l2-sp.", least=0, most=1e6)] = 1e-4
    epochs: Annotated[int, Opt(help="At most; the cosine schedule ends there.", least=1, most=10**5)] = 20
    patience: Annotated[int, Opt(help="Epochs without improvement before stopping; 0: never.", least=0, most=10**6)] = 5
    batch_size: Annotated[
        int | None, Opt(help="Images per step, or patches. [32; segmentation: 8]", least=2, most=10**6)
    ] = None
    patches: Annotated[
        int, Opt(help="Segmentation: patches of every training image in an epoch.", least=1, most=10**5)
    ] = 8
    train_size: Annotated[
        int | None, Opt(help="Train on this many images only. [all]", least=1, most=MOST_IMAGES, panel=_SPLITS)
    ] = None
    val_share: Annotated[float, Opt(help="Share of the images that validates.", most=1, panel=_SPLITS)] = 0.2
    test_share: Annotated[float, Opt(help="Share of the images that tests.", most=1, panel=_SPLITS)] = 0.3
    split_by: Annotated[
        str,
        Opt(
            help="seed: stratified partitions. target: the target's own train, val and test.",
            choices=("seed", "target"),
            panel=_SPLITS,
        ),
    ] = "seed"
    metric: Annotated[
        str | None,
        Opt(
            help="kappa is quadratic-weighted. [balanced_accuracy; segmentation: dice]",
            choices=tuple(dict.fromkeys(name for known in METRICS.values() for name in known)),
        ),
    ] = None
    loss: Annotated[
        str | None,
        Opt(
            help="ce: cross-entropy; dice-ce: with soft Dice. [ce; segmentation: dice-ce]",
            choices=tuple(dict.fromkeys(name for known in LOSSES.values() for name in known)),
        ),
    ] = None
    class_weights: Annotated[bool, Opt(help="Weight classes inversely to their size in the loss.")] = False
    augment: Annotated[str, Opt(help="light: flips, and shifts by up to a sixteenth.", choices=("none", "light"))] = (
        "light"
    )
    amp: Annotated[
        bool | None,
        Opt(help="Run networks in mixed precision. [on CUDA only]", flag="--amp/--no-amp", panel=_RUNNING),
    ] = None
    device: Annotated[str, Opt(help="auto, cpu, cuda, cuda:N or mps.", panel=_RUNNING)] = "auto"
    memory: Annotated[
        str | None, Opt(help="Most memory to use, such as 4GB. [what is free]", metavar="SIZE", panel=_RUNNING)
    ] = None
    allow_code: Annotated[bool, Opt(help="Let the manifest's `factory:` entries run code.", panel=_RUNNING)] = False
    allow_download: Annotated[bool, Opt(help="Let libraries download weights of their own.", panel=_RUNNING)] = False

    def __post_init__(self) -> None:
        check_options(self)
        object.__setattr__(self, "lrs", tuple(self.lrs) or OPTIMISERS[self.optimiser])
        if self.memory is not None:
            bytes_of(self.memory)
        _check_rates(self.lrs)
        _check_shares(self.val_share, self.test_share)
        if not math.isfinite(self.weight_decay):
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
        """The settings that results depend on, as plain data: all but device, memory and what is allowed."""
        record = dataclasses.asdict(self)
        del record["device"], record["memory"], record["allow_code"], record["allow_download"]
        return {**record, "lrs": list(self.lrs), "streams": STREAMS}


def _check_known(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise UsageError(f"unknown {name} {value!r}", hint=closest(value, known, f"choose one of {', '.join(known)}"))


def _check_shares(val: float, test: float) -> None:
    if not (0 < val < 1 and 0 < test < 1 and val + test <= _MOST_HELD_OUT):
        raise UsageError(
            f"a validation share of {val:g} and a test share of {test:g} leave too little to train on",
            hint=f"both must be positive and add up to at most {_MOST_HELD_OUT}",
        )


def _check_rates(rates: tuple[float, ...]) -> None:
    for rate in rates:
        if not (math.isfinite(rate) and rate > 0):
            raise UsageError(f"a learning rate of {rate:g}", hint="give positive numbers, such as --lr 0.1,0.03,0.01")
    if len(set(rates)) < len(rates):
        raise UsageError("a learning rate is given twice", hint="name each once")
