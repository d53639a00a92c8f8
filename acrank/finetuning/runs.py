"""One run: a trial per learning rate, the best by validation quality kept, all of it resumable after any epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acrank.errors import CandidateError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import Loader
from acrank.finetuning.methods import make_methods
from acrank.finetuning.methods.method import Method
from acrank.finetuning.network import Network, build_network
from acrank.finetuning.outcomes import Outcome
from acrank.finetuning.saved_networks import save_network
from acrank.finetuning.tasks.classification import Classification, class_weights
from acrank.finetuning.tasks.segmentation import Segmentation
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.finetuning.trainer import Trainer
from acrank.finetuning.work_folder import RunKey, Store
from acrank.system.streams import Purpose, seed_of
from acrank.targets import Target
from acrank.zoo.loading import LoadedModel

SHOWN = 8  # inputs on which a saved network is checked


@dataclass(frozen=True)
class Shared:
    """What the runs of a candidate share: `entry` is the digest of its manifest entry."""

    settings: FinetuneSettings
    store: Store
    device: torch.device
    save_dir: Path | None
    entry: str


class Run:
    """A candidate, a method, a split and a seed; `finish` does what is left of it."""

    def __init__(
        self, key: RunKey, loaded: LoadedModel, loaders: Mapping[str, Loader], target: Target, shared: Shared
    ) -> None:
        self.key, self.loaded, self.loaders, self.target, self.shared = key, loaded, loaders, target, shared
        self.task = task_of(target, shared.settings, loaders["train"])
        self.state: dict[str, Any] = {"entry": shared.entry, "trials": [], "current": None, "best_network": None}
        self.epochs_behind = 0

    def finish(self, tell: Callable[[float, int, int], None]) -> Outcome:
        """Train what is not trained yet, and choose.

        Args:
            tell: called after every epoch with the learning rate, the epoch and the epochs of the plan behind.

        Raises:
            CandidateError: the method does not apply, or no learning rate kept the loss finite.
            OutputError, TableError: the state cannot be kept or is damaged.
        """
        found = self.shared.store.load(self.key)
        if found is not None and found["entry"] == self.shared.entry:
            self.state = found
        for lr in self.shared.settings.lrs[len(self.state["trials"]) :]:
            self._trial(lr, tell)
        trials = [trial for trial in self.state["trials"] if trial["validation"] is not None]
        if not trials:
            raise CandidateError("training diverged at every learning rate", hint="give smaller ones with --lr")
        best = max(trials, key=preference)
        if self.shared.save_dir is not None:
            self._save_best(best)
        key, sizes = self.key, {name: len(loader) for name, loader in self.loaders.items()}
        return Outcome(
            self.target.name,
            key.model,
            key.method,
            key.seed,
            key.split,
            self.task.metric,
            best["lr"],
            best["test"],
            self.state["trials"],
            details={"entry": self.shared.entry, "sizes": sizes, "notes": self.loaded.notes},
        )

    def _trial(self, lr: float, tell: Callable[[float, int, int], None]) -> None:
        settings = self.shared.settings
        behind = len(self.state["trials"]) * settings.epochs
        with torch.random.fork_rng(devices=[self.shared.device] if self.shared.device.type == "cuda" else []):
            trainer, methods = self._trainer(lr)
            current = self.state["current"]
            if current is not None:
                trainer.load(current)
            while not trainer.finished:
                trainer.run_epoch()
                self.state["current"] = trainer.state()
                self.shared.store.save(self.key, self.state)
                tell(lr, trainer.epoch, behind + trainer.epoch)
            self._record(trainer)
        for method in methods:
            method.close()
        self.shared.store.save(self.key, self.state)

    def _record(self, trainer: Trainer) -> None:
        """Add the trial to the state; its network is kept only while it is the best."""
        validation = loss = test = measures = None
        if trainer.best is not None:
            validation, loss = trainer.best[0], -trainer.best[1]
            trainer.take_best()
            found = trainer.evaluate(self.loaders["test"])
            test, measures = found.quality, found.measures
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
        }
        earlier = [one for one in self.state["trials"] if one["validation"] is not None]
        is_best = validation is not None and max([*earlier, trial], key=preference) is trial
        if is_best and self.shared.save_dir is not None:
            self.state["best_network"] = trainer.best_network
        self.state["trials"] = [*self.state["trials"], trial]
        self.state["current"] = None

    def _trainer(self, lr: float) -> tuple[Trainer, list[Method]]:
        network, methods = self._start()
        train, val = self.loaders["train"], self.loaders["val"]
        return Trainer(network, methods, self.task, train, val, self.shared.settings, lr), methods

    def _start(self) -> tuple[Network, list[Method]]:
        """The network before its first step, and torch's generator as training finds it: the same for every trial."""
        torch.manual_seed(seed_of(Purpose.FINETUNE_HEAD, self.key.seed, self.key.split))
        methods = make_methods(self.key.method)
        network = build_network(self.loaded, methods, self.task, sample=self._sample())
        torch.manual_seed(seed_of(Purpose.FINETUNE_BATCHES, self.key.seed, self.key.split))
        return network, methods

    def _sample(self) -> tuple[Tensor, Tensor]:
        inputs, labels = self.loaders["train"].sample(2 * len(self.target.classes), seed=self.key.split)
        return inputs.to(self.shared.device), labels.to(self.shared.device)

    def _save_best(self, best: Mapping[str, Any]) -> None:
        key = self.key
        with torch.random.fork_rng(devices=[]):
            network, methods = self._start()
        network.load_state_dict(self.state["best_network"])
        about = {
            "model": key.model,
            "method": key.method,
            "seed": key.seed,
            "split": key.split,
            "lr": best["lr"],
            "metric": self.task.metric,
            "ground_truth": best["test"],
            "classes": list(self.target.classes),
        }
        sample = self.loaders["val"].sample(1, seed=0)[0][:SHOWN].to(self.shared.device)
        assert self.shared.save_dir is not None
        path = self.shared.save_dir / f"{key.slug}.safetensors"
        save_network(path, network, methods, self.loaded, about=about, sample=sample)
        for method in methods:
            method.close()


def task_of(target: Target, settings: FinetuneSettings, train: Loader) -> FinetuningTask:
    """The task of a target, with weights from its training part where the settings ask for them."""
    classes = len(target.classes)
    weights = class_weights(train.class_sizes(classes)) if settings.class_weights else None
    assert settings.metric is not None
    if target.task == "segmentation":
        assert settings.loss is not None
        return Segmentation(classes, metric=settings.metric, loss=settings.loss, weights=weights)
    return Classification(classes, metric=settings.metric, weights=weights)


def preference(trial: Mapping[str, Any]) -> tuple[float, float, float]:
    """Better validation quality, then lower validation loss, then the smaller learning rate."""
    return trial["validation"], -trial["validation_loss"], -trial["lr"]
