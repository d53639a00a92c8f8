"""The authors' protocol: one epoch of AC-Norm finetuning, then the affines are read."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acrank.features import read_features
from acrank.norm import ac_norm_layers
from acrank.observation import LayerTrace, select_layers, shift_of
from acrank.shifts import LayerShift

BATCH_SIZE = 32
MOMENTUM = 0.9


@dataclass(frozen=True)
class EpochShifts:
    """Shifts of the selected layers: after an epoch, before it, and after an epoch on shuffled labels."""

    layers: list[LayerShift]
    no_drift: list[LayerShift]
    shuffled: list[LayerShift]


def finetune_one_epoch(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    permutation: Tensor,
    *,
    classes: int,
    step_size: float,
    layers: str,
    seed: int,
    device: torch.device,
) -> EpochShifts:
    """Train a copy of the AC-Norm `model` and a new linear head for one epoch: SGD, momentum 0.9, batches of 32.

    Args:
        model: with AC-Norm layers, on `device`.
        inputs: [n, c, h, w]; labels: [n]; permutation: [n], which shuffles the labels for the control. On the CPU.
        classes: number of classes.
        step_size: learning rate of all parameters.
        layers: selection as in `select_layers`.
        seed: of the head, the order of the batches and dropout.

    Raises:
        CandidateError: no layer matches, or training left affines that are not finite.
    """
    with LayerTrace(model) as trace, torch.no_grad():
        features, _ = read_features(model, inputs[:BATCH_SIZE].to(device))
    names = select_layers(trace.order, trace.areas, layers)
    runs = []
    for truth in (labels, labels[permutation]):
        trained = copy.deepcopy(model)
        _train(trained, inputs, truth, width=features.shape[1], classes=classes, lr=step_size, seed=seed, device=device)
        modules = dict(ac_norm_layers(trained))
        runs.append(
            [shift_of(name, modules[name], modules[name].weight_target, modules[name].bias_target) for name in names]
        )
    modules = dict(ac_norm_layers(model))
    still = [shift_of(name, modules[name], modules[name].weight, modules[name].bias) for name in names]
    return EpochShifts(runs[0], still, runs[1])


def _train(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    width: int,
    classes: int,
    lr: float,
    seed: int,
    device: torch.device,
) -> None:
    model.train().requires_grad_(True)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        head = nn.Linear(width, classes).to(device)
        optimiser = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=lr, momentum=MOMENTUM)
        for part in torch.randperm(len(labels)).split(BATCH_SIZE):
            if len(part) < 2:
                continue  # one sample has no batch statistics
            features, _ = read_features(model, inputs[part].to(device))
            loss = nn.functional.cross_entropy(head(features), labels[part].to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
