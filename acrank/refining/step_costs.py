"""What training a candidate costs: measured on a few steps before a plan is made, later known from the last round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from acrank.executors import TaskExecutor, run_tasks
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import PartLoader, held_bytes, prepared_bytes
from acrank.finetuning.outcomes import Outcome
from acrank.finetuning.runs import RunContext
from acrank.finetuning.trainer import Trainer
from acrank.finetuning.work_folder import WorkFolder
from acrank.refining.plans import Cost
from acrank.refining.sides import Sides, fewer_images
from acrank.refining.training import Contestant, Round, ShortRun, context_of, finished_outcome, loader_for
from acrank.system.activity import Detail, announce
from acrank.system.machine import reason_of

#: Images of the first epoch on either side.
_FEW, _FEW_MASKS = 8, 1
#: On a CPU, an epoch of at least so many seconds needs no more images; and one that is longer, no other one.
_SOON, _LONG = 1.0, 20.0


def measured_costs(
    entries: Sequence[Contestant],
    sides: Sides,
    settings: FinetuneSettings,
    *,
    seed: int,
    clock: Callable[[], float],
    executor: TaskExecutor,
) -> tuple[dict[str, Cost], dict[str, str]]:
    """The costs of candidates, by id, and why some could not be timed: these are taken to be as dear as the dearest."""
    with TemporaryDirectory(prefix="acrank-") as place:
        folder = WorkFolder(Path(place), {}, resume=True)  # nothing is written
        this = Round(number=0, sides=sides, settings=settings, folder=folder, seed=seed, clock=clock)
        found = list(run_tasks(executor, partial(measure_candidate, this), entries))
    known = {entry.candidate.id: cost for entry, cost in found if isinstance(cost, Cost)}
    failed = {entry.candidate.id: reason_of(cost) for entry, cost in found if isinstance(cost, Exception)}
    return {**known, **dict.fromkeys(failed, dearest(list(known.values())))}, failed


def dearest(costs: Sequence[Cost]) -> Cost:
    """A cost that is in no part below any of some; nothing where there are none."""
    if not costs:
        return Cost()
    parts = {name: max(getattr(cost, name) for cost in costs) for name in ("load", "read", "train", "val")}
    return Cost(**parts, held=all(cost.held for cost in costs))


def expected_seconds(this: Round, entries: Sequence[Contestant], before: Mapping[str, Outcome]) -> list[float]:
    """How long each training of a round will take by that of the round before; nothing for one that is done."""
    found = []
    for entry in entries:
        earlier = before[entry.candidate.id]
        epochs = sum(trial["epochs"] for trial in earlier.trials) or 1
        is_done = finished_outcome(this, entry) is not None
        found.append(0.0 if is_done else float(earlier.details.get("seconds", 0.0)) * this.settings.epochs / epochs)
    return found


def measure_candidate(this: Round, entry: Contestant) -> Cost:
    """Seconds of one candidate, from two short epochs; nothing of them is kept.

    Raises:
        CandidateError, TargetError: it cannot be trained.
    """
    masks = this.sides.train.target.task == "segmentation"
    few, many = (_FEW_MASKS, 2 * _FEW_MASKS) if masks else (_FEW, 2 * (this.settings.batch_size or _FEW))
    began = this.clock()
    context = context_of(this, entry)
    loaded = this.clock()
    first = _loaders(this, context, images=few)
    read = this.clock()
    run = _Rehearsal(entry.key(this.seed), {**first, "test": first["val"]}, context)
    train, val = run.seconds_of_an_image(this, lambda: _loaders(this, context, images=many))
    size = prepared_bytes(this.sides.train.target, context.loaded)
    found = Cost(
        load=loaded - began,
        read=0.0 if masks else (read - loaded) / sum(map(len, first.values())),  # masks are read within the epochs
        train=train,
        val=val,
        held=masks or size <= held_bytes(context.settings.memory),
    )
    announce(Detail(f"{entry.candidate.id}: a training costs {found}"))
    return found


class _Rehearsal(ShortRun):
    """A few steps of a run, and the seconds that they take."""

    def seconds_of_an_image(self, this: Round, more: Callable[[], Mapping[str, PartLoader]]) -> tuple[float, float]:
        """Of one image in an epoch: to train on it, and to validate on it.

        Args:
            this: the round, which has the clock.
            more: gives loaders of more images, for a network that is done with the run's own too soon.
        """
        device, settings = self.context.device, self.context.settings
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            network, methods = self._untrained()
            first = {"train": self.loaders["train"], "val": self.loaders["val"]}
            trainer = Trainer(network, methods, **first, settings=settings, lr=settings.lrs[0])
            epoch = _seconds(this, trainer.run_epoch)
            if epoch < _SOON or device.type == "cuda":
                loaders = more()
                trainer.train, trainer.val = loaders["train"], loaders["val"]
            if epoch < _LONG or device.type == "cuda":  # the first one warmed up
                epoch = _seconds(this, trainer.run_epoch)
            evaluation = _seconds(this, lambda: trainer.evaluate(trainer.val))
        for method in methods:
            method.close()
        return max(0.0, epoch - evaluation) / len(trainer.train), evaluation / len(trainer.val)


def _seconds(this: Round, work: Callable[[], object]) -> float:
    began = this.clock()
    work()
    return this.clock() - began


def _loaders(this: Round, context: RunContext, *, images: int) -> dict[str, PartLoader]:
    """Of so many images of either side."""
    sides = fewer_images(this.sides, train=images, val=images, seed=this.seed)
    loader = loader_for(sides.train.target, context)
    return {"train": loader(sides.train), "val": loader(sides.val)}
