"""One run: a trial per learning rate, of which the best by validation quality counts; resumable after any epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acrank.errors import CandidateError
from acrank.finetuning.building import build_network, inputs_at_once
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import PartLoader
from acrank.finetuning.methods import make_methods
from acrank.finetuning.methods.method import Method
from acrank.finetuning.network import Network
from acrank.finetuning.outcomes import Outcome
from acrank.finetuning.saved_networks import save_network
from acrank.finetuning.tasks.classification import Classification, class_weights
from acrank.finetuning.tasks.segmentation import Segmentation
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.finetuning.trainer import Trainer
from acrank.finetuning.work_folder import RunKey, WorkFolder
from acrank.system.streams import Purpose, seed_of
from acrank.targets import Target
from acrank.zoo.loading import LoadedModel

CHECKED_INPUTS = 8  # on which a saved network is compared with the trained one


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What all runs of a candidate share.

    Attributes:
        loaded: the candidate.
        entry: digest of its manifest entry; the state of a run with another one is discarded.
        target: gives the name and the classes.
        settings: with the task's defaults filled in.
        folder: holds the states of unfinished runs.
        device: on which networks run.
        save_dir: folder for the finetuned networks; None saves none.
    """

    loaded: LoadedModel
    entry: str
    target: Target
    settings: FinetuneSettings
    folder: WorkFolder
    device: torch.device
    save_dir: Path | None


class Run:
    """A candidate, a method, a split and a seed.

    Args:
        key: identifies the run.
        loaders: "train", "val" and "test" images.
        context: what it shares with the candidate's other runs.
    """

    def __init__(self, key: RunKey, loaders: Mapping[str, PartLoader], context: RunContext) -> None:
        self.key, self.loaders, self.context = key, loaders, context
        self.task = task_of(context.target, context.settings, loaders["train"])
        self.resumed = 0  # epochs that an earlier process trained
        self.state: dict[str, Any] = {"entry": context.entry, "trials": [], "current": None, "best_network": None}

    def finish(self, on_epoch: Callable[[float, int, int], None]) -> Outcome:
        """Train what is not trained yet, and choose the learning rate.

        Args:
            on_epoch: called after every epoch with the learning rate, the epoch, and the run's planned epochs so far
                (early stopping counts as done).

        Raises:
            CandidateError: the method does not apply, or no learning rate kept the loss finite.
            OutputError, TableError: the state cannot be saved or is damaged.
        """
        context = self.context
        saved = context.folder.load_state(self.key)
        if saved is not None and saved["entry"] == context.entry:
            self.state = saved
            self.resumed = len(saved["trials"]) * context.settings.epochs + (saved["current"] or {"epoch": 0})["epoch"]
        for lr in context.settings.lrs[len(self.state["trials"]) :]:
            self._run_trial(lr, on_epoch)
        trials = [trial for trial in self.state["trials"] if trial["validation"] is not None]
        if not trials:
            raise CandidateError("training diverged at every learning rate", hint="give smaller ones with --lr")
        best = max(trials, key=preference)
        if context.save_dir is not None:
            self._save_network(best, context.save_dir / f"{self.key.slug}.safetensors")
        parts: dict[str, Any] = {"sizes": {name: len(loader) for name, loader in self.loaders.items()}}
        if all(loader.groups is not None for loader in self.loaders.values()):
            parts["groups"] = {name: loader.groups for name, loader in self.loaders.items()}
        return Outcome(
            **vars(self.key),
            dataset=context.target.name,
            metric=self.task.metric,
            lr=best["lr"],
            ground_truth=best["test"],
            trials=self.state["trials"],
            details={"entry": context.entry, **parts, "notes": context.loaded.notes, **self._short_memory()},
        )

    def _run_trial(self, lr: float, on_epoch: Callable[[float, int, int], None]) -> None:
        folder, device = self.context.folder, self.context.device
        epochs_before = len(self.state["trials"]) * self.context.settings.epochs
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            network, methods = self._untrained()
            trainer = Trainer(
                network,
                methods,
                train=self.loaders["train"],
                val=self.loaders["val"],
                settings=self.context.settings,
                lr=lr,
            )
            if self.state["current"] is not None:
                trainer.load(self.state["current"])
            while not trainer.finished:
                trainer.run_epoch()
                self.state["current"] = trainer.state()
                folder.save_state(self.key, self.state)
                on_epoch(lr, trainer.epoch, epochs_before + trainer.epoch)
            self._add_trial(trainer)
        for method in methods:
            method.close()
        folder.save_state(self.key, self.state)

    def _add_trial(self, trainer: Trainer) -> None:
        """Add the finished trial to the state, and its network if it is the best so far and networks are saved."""
        validation = loss = test = measures = None
        if trainer.best is not None:
            validation, loss = trainer.best[0], -trainer.best[1]
            trainer.take_best()
            found = trainer.evaluate(self.loaders["test"])
            test, measures = found.value, found.measures
        if test is None or not math.isfinite(test):
            validation = test = measures = None
        trial = {
            "lr": trainer.lr,
            "validation": validation,
            "validation_loss": loss,
            "test": test,
            "measures": measures,
            "epoch": trainer.best_epoch,
            "epochs": trainer.epoch,
            "curve": [point and list(point) for point in trainer.curve],
        }
        earlier = [one for one in self.state["trials"] if one["validation"] is not None]
        is_best = validation is not None and max([*earlier, trial], key=preference) is trial
        if is_best and self.context.save_dir is not None:
            self.state["best_network"] = trainer.best_network
        self.state["trials"] = [*self.state["trials"], trial]
        self.state["current"] = None

    def _untrained(self) -> tuple[Network, list[Method]]:
        """The network before its first step; also seeds torch's generator for training. The same for every trial."""
        torch.manual_seed(seed_of(Purpose.FINETUNE_HEAD, self.key.seed, self.key.split))
        methods = make_methods(self.key.method)
        inputs, labels = self.loaders["train"].sample(2 * len(self.context.target.classes), seed=self.key.split)
        sample = inputs.to(self.context.device), labels.to(self.context.device)
        network = build_network(
            self.context.loaded, methods, self.task, sample=sample, at_once=lambda new: self._at_once(new, sample)
        )
        torch.manual_seed(seed_of(Purpose.FINETUNE_BATCHES, self.key.seed, self.key.split))
        return network, methods

    def _at_once(self, network: Network, sample: tuple[Tensor, Tensor]) -> int:
        """How many inputs go through the network together; the same for every trial of the run, and after a resume."""
        settings = self.context.settings
        assert settings.batch_size is not None  # noqa: S101 - for the type checker
        if "at_once" not in self.state:
            count = settings.batch_size
            self.state["at_once"] = inputs_at_once(network, *sample, count=count, memory=settings.memory)
        return int(self.state["at_once"])

    def _short_memory(self) -> dict[str, str]:
        """What the details say where images go through a few at a time."""
        size = self.context.settings.batch_size
        assert size is not None  # noqa: S101 - for the type checker
        at_once = int(self.state.get("at_once", size))
        text = f"too little memory for a step of {size}: {at_once} at a time, batch statistics are of those"
        return {"short_of_memory": text} if at_once < size else {}

    def _save_network(self, best: Mapping[str, Any], path: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            network, methods = self._untrained()
        network.load_state_dict(self.state["best_network"])
        about = {
            **vars(self.key),
            "lr": best["lr"],
            "metric": self.task.metric,
            "ground_truth": best["test"],
            "classes": list(self.context.target.classes),
        }
        sample = self.loaders["val"].sample(1, seed=0)[0][:CHECKED_INPUTS].to(self.context.device)
        save_network(path, network, methods, loaded=self.context.loaded, about=about, sample=sample)
        for method in methods:
            method.close()


def task_of(target: Target, settings: FinetuneSettings, train: PartLoader) -> FinetuningTask:
    """The task of a target, with class weights from its training images if the settings ask for them."""
    classes = len(target.classes)
    weights = class_weights(train.class_sizes(classes)) if settings.class_weights else None
    assert settings.metric is not None  # noqa: S101 - for the type checker
    if target.task == "segmentation":
        assert settings.loss is not None  # noqa: S101 - for the type checker
        return Segmentation(classes, metric=settings.metric, loss=settings.loss, weights=weights)
    return Classification(classes, metric=settings.metric, weights=weights)


def preference(trial: Mapping[str, Any]) -> tuple[float, float, float]:
    """Sort key of trials: better validation quality, then lower validation loss, then the smaller learning rate."""
    return trial["validation"], -trial["validation_loss"], -trial["lr"]
