"""What training a candidate costs, measured on a few steps before a plan is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from acrank.executors import TaskExecutor, run_tasks
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import PartLoader, held_bytes, prepared_bytes
from acrank.finetuning.splits import Part
from acrank.finetuning.trainer import Trainer
from acrank.finetuning.work_folder import WorkFolder
from acrank.refining.plans import Cost
from acrank.refining.sides import Sides, fewer_images
from acrank.refining.training import Contestant, Round, ShortRun, context_of, loader_for
from acrank.system.activity import Detail, announce

#: Images of the first epoch, which warms up; and seconds from which on it shows that another like it is enough.
_FEW, _FEW_MASKS, _LONG = 8, 1, 1.0


def measured_costs(
    entries: Sequence[Contestant],
    sides: Sides,
    settings: FinetuneSettings,
    *,
    seed: int,
    clock: Callable[[], float],
    executor: TaskExecutor,
) -> dict[str, Cost]:
    """The costs of candidates, by id; one that fails costs nothing: its training will say why."""
    with TemporaryDirectory(prefix="acrank-") as place:
        folder = WorkFolder(Path(place), {}, resume=True)  # nothing is written
        this = Round(number=0, sides=sides, settings=settings, folder=folder, seed=seed, clock=clock)
        found = list(run_tasks(executor, partial(measure_candidate, this), entries))
    return {entry.candidate.id: cost if isinstance(cost, Cost) else Cost() for entry, cost in found}


def measure_candidate(this: Round, entry: Contestant) -> Cost:
    """Seconds of one candidate, from two short epochs; nothing of them is kept.

    Raises:
        CandidateError, TargetError: it cannot be trained.
    """
    masks = this.sides.train.target.task == "segmentation"
    began = this.clock()
    context = context_of(this, entry)
    loaded = this.clock()
    sides = _some_of(this, size=2 * _FEW_MASKS if masks else this.settings.batch_size or _FEW)
    loader = loader_for(sides.train.target, context)
    read = this.clock()
    few = _FEW_MASKS if masks else _FEW
    parts = {"train": sides.train, "val": sides.val}
    first = {name: loader(Part(part.target, part.indices[:few])) for name, part in parts.items()}
    run = _Rehearsal(entry.key(this.seed), {**first, "test": first["val"]}, context)
    train, val = run.seconds_of_an_image(this, {name: loader(part) for name, part in parts.items()})
    size = prepared_bytes(this.sides.train.target, context.loaded)
    found = Cost(
        load=loaded - began,
        read=0.0 if masks else (read - loaded) / len(sides.train.target),  # masks are read within the epochs
        train=train,
        val=val,
        held=masks or size <= held_bytes(context.settings.memory),
    )
    announce(Detail(f"{entry.candidate.id}: a training costs {found}"))
    return found


class _Rehearsal(ShortRun):
    """A few steps of a run, and the seconds that they take."""

    def seconds_of_an_image(self, this: Round, more: Mapping[str, PartLoader]) -> tuple[float, float]:
        """Of one image in an epoch: to train on it, and to validate on it.

        Args:
            this: the round, which has the clock.
            more: loaders of more images, which are measured where the run's own are done too soon.
        """
        device, settings = self.context.device, self.context.settings
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            network, methods = self._untrained()
            first = {"train": self.loaders["train"], "val": self.loaders["val"]}
            trainer = Trainer(network, methods, **first, settings=settings, lr=settings.lrs[0])
            began = this.clock()
            trainer.run_epoch()
            if this.clock() - began < _LONG or device.type == "cuda":
                trainer.train, trainer.val = more["train"], more["val"]
            began = this.clock()
            trainer.run_epoch()
            trained = this.clock()
            trainer.evaluate(trainer.val)
            evaluation = this.clock() - trained
        for method in methods:
            method.close()
        training = max(0.0, trained - began - evaluation)
        return training / len(trainer.train), evaluation / len(trainer.val)


def _some_of(this: Round, *, size: int) -> Sides:
    return fewer_images(this.sides, train=2 * size, val=size, seed=this.seed)
