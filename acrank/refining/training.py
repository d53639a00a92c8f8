"""One candidate of one round: trained by the runs of `acrank.finetuning`, in this process or in a worker."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from acrank.cache.keys import dependencies_of
from acrank.errors import OutputError, TargetError, UsageError
from acrank.executors import TaskExecutor, run_tasks
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import ImageLoader, ImageSource, PartLoader
from acrank.finetuning.outcomes import Outcome
from acrank.finetuning.patch_loader import PatchLoader, PatchSource
from acrank.finetuning.runs import Run, RunContext
from acrank.finetuning.splits import Part
from acrank.finetuning.trainer import Trainer
from acrank.finetuning.work_folder import RunKey, WorkFolder
from acrank.records import Refined
from acrank.refining.intervals import quality_interval
from acrank.refining.refine_progress import RefineProgress
from acrank.refining.sides import Sides
from acrank.system.machine import pick_device, reason_of
from acrank.targets import Target
from acrank.targets.grouping import group_codes
from acrank.zoo import Candidate
from acrank.zoo.loading import load_candidate

METHOD = "vanilla"


class BudgetSpentError(Exception):
    """The time that trainings may take is over; what was trained is in the work folder."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What all candidates of a round share; picklable where there is no `on_epoch`.

    Attributes:
        number: from 1.
        sides: images to train and to validate on.
        settings: of finetuning, with the epochs of this round and the task's defaults filled in.
        folder: holds its finished trainings and the states of the others.
        seed: of heads and batches.
        deadline: by the clock, after which nothing more is trained; None for none.
        clock: gives seconds from any moment on.
        on_epoch: called after every epoch with the candidate, the learning rate and the epoch.
    """

    number: int
    sides: Sides
    settings: FinetuneSettings
    folder: WorkFolder
    seed: int
    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic
    on_epoch: Callable[[str, float, int], None] | None = None

    def check_budget(self) -> None:
        """Raise BudgetSpentError after the deadline."""
        if self.deadline is not None and self.clock() >= self.deadline:
            raise BudgetSpentError


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A candidate of a round and the learning rates that it is trained with."""

    candidate: Candidate
    rates: tuple[float, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of what its outcome depends on beside the round: manifest entry, weights, code and rates."""
        candidate = self.candidate
        whole = {"entry": candidate.digest, "rates": self.rates, **dependencies_of(candidate)}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def key(self, seed: int) -> RunKey:
        """Identifies its run within a round."""
        return RunKey(model=self.candidate.id, method=METHOD, seed=seed, split=0)


def train_candidate(this: Round, entry: Contestant) -> Outcome:
    """The outcome of one candidate: that of an earlier run where it is there; what fails has a reason.

    Raises:
        BudgetSpentError: see there; a later call goes on after the last finished epoch.
        TargetError, OutputError, UsageError, TableError: what no other candidate could do better.
    """
    key = entry.key(this.seed)
    if (known := finished_outcome(this, entry)) is not None:
        return known
    this.check_budget()
    started = this.clock()
    try:
        outcome = _train(this, entry, key)
    except (TargetError, OutputError, UsageError, BudgetSpentError):
        raise
    except Exception as error:  # any error of one network must not end the trainings of the others
        return failed(this, entry, error)
    outcome.details["seconds"] = round(this.clock() - started, 3)
    this.folder.save_outcome(key, outcome)
    return outcome


def train_all(
    this: Round,
    entries: Sequence[Contestant],
    *,
    executor: TaskExecutor,
    on_outcome: Callable[[RefineProgress], None] | None = None,
) -> dict[str, Outcome]:
    """The outcomes of a round by candidate, without those that the budget did not reach.

    Args:
        this, entries: the round and its candidates.
        executor: where they are trained.
        on_outcome: called with what each gave.

    Raises:
        TargetError, UsageError: what no other candidate could do better.
    """
    found: dict[str, Outcome] = {}
    kept = finished_outcomes(this, entries)
    for entry, outcome in run_tasks(executor, partial(train_candidate, this), entries):
        if isinstance(outcome, BudgetSpentError):
            continue
        if isinstance(outcome, TargetError | UsageError):
            raise outcome
        model = entry.candidate.id
        found[model] = failed(this, entry, outcome) if isinstance(outcome, Exception) else outcome
        if on_outcome is not None:
            about: dict[str, Any] = {"done": len(found), "total": len(entries), "kept": int(model in kept)}
            result = refined_of(found[model], this.number)
            on_outcome(RefineProgress(round=this.number, model=model, epoch=0, outcome=result, **about))
    return found


def finished_outcome(this: Round, entry: Contestant) -> Outcome | None:
    """The outcome of an earlier run with the same checkpoint, None where there is none."""
    known = this.folder.outcome(entry.key(this.seed))
    return known if known is not None and known.details.get("entry") == entry.digest else None


def finished_outcomes(this: Round, entries: Sequence[Contestant]) -> dict[str, Outcome]:
    """The outcomes of those that an earlier run trained, by id."""
    known = {entry.candidate.id: finished_outcome(this, entry) for entry in entries}
    return {model: outcome for model, outcome in known.items() if outcome is not None}


def failed(this: Round, entry: Contestant, error: Exception) -> Outcome:
    """The outcome of a candidate that could not be trained."""
    name, metric = this.sides.train.target.name, str(this.settings.metric)
    return Outcome(**vars(entry.key(this.seed)), dataset=name, metric=metric, reason=reason_of(error))


def refined_of(outcome: Outcome, number: int) -> Refined:
    """What the row of a ranking says of an outcome."""
    epochs = sum(trial["epochs"] for trial in outcome.trials)
    seconds = float(outcome.details.get("seconds", 0.0))
    if outcome.ground_truth is None:
        return Refined(metric=outcome.metric, quality=None, rounds=number, reason=outcome.reason, seconds=seconds)
    best = next(trial for trial in outcome.trials if trial["lr"] == outcome.lr)
    return Refined(
        metric=outcome.metric,
        quality=outcome.ground_truth,
        low=best.get("low"),
        high=best.get("high"),
        epochs=epochs,
        rounds=number,
        learning_rate=outcome.lr,
        curve=best["curve"],
        seconds=seconds,
    )


def context_of(this: Round, entry: Contestant) -> RunContext:
    """The candidate of a run, loaded, and what the run needs beside."""
    settings = dataclasses.replace(this.settings, lrs=entry.rates)
    loaded = load_candidate(entry.candidate, allow_code=settings.allow_code, allow_download=settings.allow_download)
    return RunContext(
        loaded=loaded,
        entry=entry.digest,
        target=this.sides.train.target,
        settings=settings,
        folder=this.folder,
        device=pick_device(settings.device),
        save_dir=None,
    )


def _train(this: Round, entry: Contestant, key: RunKey) -> Outcome:
    context = context_of(this, entry)

    def on_epoch(rate: float, epoch: int, done: int) -> None:
        if this.on_epoch is not None:
            this.on_epoch(key.model, rate, epoch)
        this.check_budget()

    loader = loader_for(this.sides.train.target, context)
    run = ShortRun(key, {"train": loader(this.sides.train), "val": loader(this.sides.val)}, context)
    run.val = this.sides.val
    return run.finish(on_epoch)


class ShortRun(Run):
    """A run whose value is that of the last epoch on the validation images; no images are kept to test on.

    Attributes:
        val: the validation images.
    """

    val: Part

    def _add_trial(self, trainer: Trainer) -> None:
        """Add the finished trial, with the curve and the interval of its quality."""
        found = None if trainer.diverged else trainer.last or trainer.evaluate(self.loaders["val"])
        if found is not None and not math.isfinite(found.value):
            found = None
        interval = None
        if found is not None and found.by_image is not None:
            groups = group_codes(self.val.target.groups)
            ours = None if groups is None else groups[self.val.indices]
            interval = quality_interval(found.by_image, ours, binary=self.val.target.task == "classification")
        trial: dict[str, Any] = {
            "lr": trainer.lr,
            "validation": None if found is None else found.value,
            "validation_loss": None if found is None else found.loss,
            "test": None if found is None else found.value,
            "measures": None if found is None else found.measures,
            "low": None if interval is None else interval[0],
            "high": None if interval is None else interval[1],
            "epoch": trainer.epoch,
            "epochs": trainer.epoch,
            "curve": [point[0] for point in trainer.curve if point is not None],
        }
        self.state["trials"] = [*self.state["trials"], trial]
        self.state["current"] = None


def loader_for(target: Target, context: RunContext) -> Callable[[Part], PartLoader]:
    """Makes a loader of a part of a target, whose images are prepared for one candidate."""
    loaded, settings = context.loaded, context.settings
    if target.task == "segmentation":
        return partial(PatchLoader, PatchSource(target, loaded, settings.memory), patches=settings.patches)
    return partial(ImageLoader, ImageSource(target, loaded, settings.memory))
