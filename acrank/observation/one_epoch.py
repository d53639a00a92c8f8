"""The authors' protocol: one epoch of AC-Norm finetuning, then the affines are read."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from acrank.norm import ac_norm_layers
from acrank.observation.features import Reader, read_images
from acrank.observation.layer_hooks import LayerTrace, select_layers
from acrank.observation.one_step import shift_of
from acrank.observation.part_size import in_parts
from acrank.scores.inputs import LayerShift, Observation
from acrank.system.machine import seeded

BATCH_SIZE = 32
MOMENTUM = 0.9


def finetune_one_epoch(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    half: Tensor,
    permutation: Tensor,
    classes: int,
    step_size: float,
    layers: str,
    seed: int,
    device: torch.device,
    read: Reader = read_images,
    batch_size: int = BATCH_SIZE,
    at_once: int | None = None,
    loss_scale: float = 1.0,
) -> Observation:
    """Train a copy of the AC-Norm `model` and a new linear head for one epoch: SGD, momentum 0.9.

    Args:
        model: with AC-Norm layers, on `device`.
        inputs: [n, c, ...]; labels: [n], or [n, p] where `read` gives p rows per input. On the CPU.
        half, permutation: per label, of the draw; the permutation shuffles the labels for the control.
        classes: number of classes.
        step_size: learning rate of all parameters.
        layers: selection as in `select_layers`.
        seed: of the head, the order of the batches and dropout.
        read: gives rows of features; by default one per image.
        batch_size: inputs per step. A last one that is alone is left out where it has no batch statistics: an image,
            or a patch of which some layer sees one position.
        at_once: the most of them that go through the network together; gradients of a step are summed. None for all.
        loss_scale: that training in float16 begins with, adapted as `torch.amp.GradScaler` does; 1 for none.

    Raises:
        CandidateError: no layer matches, or training left affines that are not finite.
    """
    probe = copy.deepcopy(model)  # a pass moves running statistics, and training starts from the checkpoint's
    with LayerTrace(dict(ac_norm_layers(probe))) as trace, torch.no_grad():
        first = torch.arange(len(inputs))[: min(batch_size, at_once or batch_size)]
        features, _ = read(probe, inputs[first].to(device), first)
    names = select_layers(trace.order, trace.areas, layers)
    # a patch alone has batch statistics, where no layer sees a single position of it
    least = 1 if labels.dim() > 1 and min(trace.areas.values()) > 1 else 2
    runs: list[tuple[LayerShift, ...]] = []
    for truth in (labels, labels.flatten()[permutation].view_as(labels)):
        trained = copy.deepcopy(model)
        scaler = torch.amp.GradScaler(device.type, init_scale=loss_scale, enabled=loss_scale > 1)
        head, sizes = (features.shape[1], classes), (batch_size, at_once or batch_size, least)
        _train(
            trained,
            inputs,
            truth,
            read=read,
            head_shape=head,
            scaler=scaler,
            batch_sizes=sizes,
            lr=step_size,
            seed=seed,
            device=device,
        )
        runs.append(_shifts(trained, names))
    return Observation(
        labels=labels.flatten().numpy(),
        half=half.numpy(),
        permutation=permutation.numpy(),
        shifts=runs[0],
        initial_shifts=_shifts(model, names),
        shuffled_shifts=runs[1],
    )


def _shifts(model: nn.Module, names: list[str]) -> tuple[LayerShift, ...]:
    layers = dict(ac_norm_layers(model))
    return tuple(
        shift_of(name, layers[name], layers[name].weight_target, bias=layers[name].bias_target) for name in names
    )


def _train(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    read: Reader,
    head_shape: tuple[int, int],
    scaler: torch.amp.GradScaler,
    *,
    batch_sizes: tuple[int, int, int],
    lr: float,
    seed: int,
    device: torch.device,
) -> None:
    """One epoch. Sizes: of a step, of what goes through together, and the least of a last step."""
    size, at_once, least = batch_sizes
    model.train().requires_grad_(True)
    with seeded(seed, device):
        head = nn.Linear(*head_shape).to(device)
        optimiser = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=lr, momentum=MOMENTUM)
        for batch in torch.randperm(len(labels)).split(size):
            if len(batch) < least:
                continue  # it has no batch statistics
            optimiser.zero_grad()
            for part in in_parts(batch, at_once):
                features, _ = read(model, inputs[part].to(device), part)
                loss = nn.functional.cross_entropy(head(features), labels[part].flatten().to(device))
                scaler.scale(loss * (len(part) / len(batch))).backward()
            scaler.step(optimiser)
            scaler.update()
