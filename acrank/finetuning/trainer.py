"""One trial: a network trained at one learning rate; it can be stopped and resumed after any epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import PartLoader
from acrank.finetuning.methods.method import Method, Step
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.task import Quality
from acrank.observation.part_size import in_parts
from acrank.system.machine import mixed_dtype

MOMENTUM = 0.9


class Trainer:
    """Trains with a cosine schedule and keeps the network of the best epoch by validation quality, then loss.

    Args:
        network, methods: before the first step.
        train, val: images to train and to validate on.
        settings: with the task's defaults filled in.
        lr: the learning rate at the first step.

    Attributes:
        epoch: number of finished epochs.
        best: validation quality and negative loss of the best epoch; None before the first, or if none was finite.
        best_epoch: its number, from 1.
        curve: validation quality and loss after every epoch; None where they were not finite.
        finished: epochs or patience have run out, or the loss is not finite.
    """

    def __init__(
        self,
        network: Network,
        methods: Sequence[Method],
        *,
        train: PartLoader,
        val: PartLoader,
        settings: FinetuneSettings,
        lr: float,
    ) -> None:
        self.network, self.methods, self.task = network, methods, network.task
        self.train, self.val, self.settings, self.lr = train, val, settings, lr
        assert settings.batch_size is not None  # noqa: S101 - for the type checker
        self.batch_size = settings.batch_size
        self.at_once = min(network.at_once or self.batch_size, self.batch_size)
        self.device = next(network.head.parameters()).device
        self.optimiser = self._optimiser()
        self.mixed = self.device.type == "cuda" if settings.amp is None else settings.amp
        # bfloat16 has the exponent range of float32: only float16 needs loss scaling.
        scaled = self.mixed and mixed_dtype(self.device) == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.epoch = self.best_epoch = self.step = 0
        self.best: tuple[float, float] | None = None
        self.curve: list[tuple[float, float] | None] = []
        self.best_network: dict[str, Tensor] = {}
        self.diverged = False

    @property
    def finished(self) -> bool:
        settings = self.settings
        waited = self.epoch - self.best_epoch
        return self.diverged or self.epoch >= settings.epochs or (settings.patience > 0 and waited >= settings.patience)

    def run_epoch(self) -> None:
        """Train for one epoch and validate; draws from torch's generators."""
        self.network.train()
        for method in self.methods:
            method.set_mode(self.network)
        batches = self.train.batches(self.batch_size, self.settings.augment)
        finite = all(self._train_on(inputs, labels) for inputs, labels in batches)
        self.epoch += 1
        found = self.evaluate(self.val) if finite else Quality(math.nan, math.nan)
        rank = found.value, -found.loss
        self.diverged = not all(map(math.isfinite, rank))
        self.curve.append(None if self.diverged else (found.value, found.loss))
        if not self.diverged and (self.best is None or rank > self.best):
            self.best, self.best_epoch = rank, self.epoch
            self.best_network = {name: part.detach().cpu().clone() for name, part in self.network.state_dict().items()}

    def evaluate(self, part: PartLoader) -> Quality:
        """The quality of the current network on a part, in eval mode."""
        self.network.eval()
        with torch.no_grad():
            return part.evaluate(self._predict, self.task)

    def _predict(self, inputs: Tensor) -> Tensor:
        outputs = []
        for part in in_parts(inputs, self.at_once):
            with self._precision():
                outputs.append(self.network(part.to(self.device))[1])
        return torch.cat(outputs).float().cpu()

    def take_best(self) -> None:
        """Restore the network of the best epoch."""
        self.network.load_state_dict(self.best_network)

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, random states included, for `torch.save`."""
        return {
            "lr": self.lr,
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_network": self.best_network,
            "diverged": self.diverged,
            "curve": list(self.curve),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "random_device": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`; on the CPU the following epochs are identical to those of an uninterrupted trial."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        for name in ("epoch", "step", "best_epoch", "best_network", "diverged"):
            setattr(self, name, state[name])
        self.best = None if state["best"] is None else tuple(state["best"])
        self.curve = list(state.get("curve", []))  # states of version 0.2 have none: the curve then begins here
        torch.set_rng_state(state["random"].cpu())
        if state["random_device"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_device"].cpu(), self.device)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=mixed_dtype(self.device), enabled=self.mixed)

    def _optimiser(self) -> torch.optim.Optimizer:
        trained = [part for part in self.network.parameters() if part.requires_grad]
        decay = 0.0 if any(method.replaces_decay for method in self.methods) else self.settings.weight_decay
        if self.settings.optimiser == "adamw":
            return torch.optim.AdamW(trained, self.lr, weight_decay=decay)
        return torch.optim.SGD(trained, self.lr, momentum=MOMENTUM, weight_decay=decay)

    def _train_on(self, inputs: Tensor, labels: Tensor) -> bool:
        """Make one step, and return whether its loss was finite; if not, the trial is over."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr * self._cosine()
        self.optimiser.zero_grad()
        parts = zip(in_parts(inputs, self.at_once), in_parts(labels, self.at_once), strict=True)
        finite = [self._add_gradients(*part, share=len(part[0]) / len(inputs)) for part in parts]
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        return all(finite)

    def _add_gradients(self, inputs: Tensor, labels: Tensor, share: float) -> bool:
        """Add the gradients of a share of a step's loss, and return whether it is finite."""
        inputs, labels = inputs.to(self.device), labels.to(self.device)
        with self._precision():
            features, outputs = self.network(inputs)
        loss = self.task.loss(outputs.float(), labels)
        with self._precision():
            for method in self.methods:
                penalty = method.penalty(self.network, Step(inputs, features))
                loss = loss if penalty is None else loss + penalty
        torch.autograd.backward(self.scaler.scale(loss * share))
        return bool(torch.isfinite(loss.detach()))

    def _cosine(self) -> float:
        """Factor of the learning rate at this step: from 1 at the first to 0 after the last."""
        total = self.settings.epochs * max(1, self.train.steps(self.batch_size))
        return 0.5 * (1 + math.cos(math.pi * self.step / total))
