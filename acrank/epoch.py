"""The authors' protocol: one epoch of AC-Norm finetuning, then the affines are read."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from acrank.features import read_features
from acrank.norm import ac_norm_layers
from acrank.observation import LayerTrace, select_layers, shift_of
from acrank.observed import LayerShift, Observation

BATCH_SIZE = 32
MOMENTUM = 0.9


def finetune_one_epoch(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    fold: Tensor,
    permutation: Tensor,
    classes: int,
    step_size: float,
    layers: str,
    seed: int,
    device: torch.device,
) -> Observation:
    """Train a copy of the AC-Norm `model` and a new linear head for one epoch: SGD, momentum 0.9, batches of 32.

    Args:
        model: with AC-Norm layers, on `device`.
        inputs: [n, c, h, w]; labels: [n]. On the CPU.
        fold, permutation: [n], of the draw; the permutation shuffles the labels for the control.
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
    runs: list[tuple[LayerShift, ...]] = []
    for truth in (labels, labels[permutation]):
        trained = copy.deepcopy(model)
        _train(trained, inputs, truth, width=features.shape[1], classes=classes, lr=step_size, seed=seed, device=device)
        runs.append(_shifts(trained, names))
    return Observation(
        labels=labels.numpy(),
        fold=fold.numpy(),
        permutation=permutation.numpy(),
        layers=runs[0],
        no_drift=_shifts(model, names),
        shuffled=runs[1],
    )


def _shifts(model: nn.Module, names: list[str]) -> tuple[LayerShift, ...]:
    layers = dict(ac_norm_layers(model))
    return tuple(shift_of(name, layers[name], layers[name].weight_target, layers[name].bias_target) for name in names)


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
