"""Model + sample -> Observation: a forward pass; backward passes for true and shuffled labels, and a random head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.norm import AffineCoNorm, ac_norm_layers, affine_overlap
from acrank.norm.convert import swap_in_place
from acrank.observation.features import Reader, read_images
from acrank.observation.heads import random_logits, ridge_logits
from acrank.observation.layer_hooks import LayerOutputs, LayerTrace, RowsOf, last_third, rows_of_images, select_layers
from acrank.scores.inputs import LayerShift, Observation


def wrap_in_ac_norm(model: nn.Module, *, temperature: float = 1.0) -> tuple[nn.Module, list[str]]:
    """Wrap `model` in AC-Norm, in place, ready to be observed; with notes on what was left without it.

    Only the affines of the AC-Norm layers train and only normalisation layers use batch statistics; dropout and
    stochastic depth are off.

    Raises:
        CandidateError: the network has no affine batch normalisation.
    """
    model, left = swap_in_place(model, temperature=temperature)
    layers = [layer for _, layer in ac_norm_layers(model)]
    if not layers:
        raise CandidateError(
            "no affine batch normalisation in this network", hint="AC-Norm needs BatchNorm layers with weight and bias"
        )
    model.eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, AffineCoNorm | nn.modules.batchnorm._BatchNorm):
            module.training = True
    for layer in layers:
        layer.weight_target.requires_grad_(True)
        layer.bias_target.requires_grad_(True)
    return model, [left] if left else []


def take_one_step(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    classes: int,
    half: Tensor,
    permutation: Tensor,
    step_size: float,
    head: str | None = "ridge",
    layers: str = "all",
    seed: int = 0,
    read: Reader = read_images,
    rows: tuple[RowsOf, Tensor] | None = None,
    loss_scale: float = 1.0,
) -> Observation:
    """Take one SGD step on the affines and record what it did. The model is left as it was, but for its statistics.

    Args:
        model: from `wrap_in_ac_norm`.
        inputs: [images, c, ...] on the model's device.
        labels: [n], int64 in [0, classes), one per row that `read` gives.
        classes: number of classes.
        half: [n], bool, the halves of the cross-fit.
        permutation: [n], int64, which shuffles the labels for the control.
        step_size: learning rate of the step.
        head: "ridge" or "random"; None takes no step but that under a random head, which is taken anyway: then `shifts`
            and `shuffled_shifts` are empty.
        layers: "all", "last", "encoder" or a pattern on module names.
        seed: of the random head.
        read: gives rows of features; by default one per image.
        rows: of the layers' outputs, for their Gram matrix, and which labels they have; by default one per image.
        loss_scale: by which the loss is multiplied on its way back and gradients are divided, against underflow in
            float16; quartered for as long as they overflow.

    Raises:
        CandidateError: no layer matches, or features or gradients are not finite.
    """
    modules = dict(ac_norm_layers(model))
    rows_of, later_gram_rows = rows or rows_of_images(len(inputs))
    with LayerTrace(model) as trace, LayerOutputs(modules, rows_of) as outputs:
        features, logits = read(model, inputs, None)
    refuse_infinite(features)
    chosen = select_layers(trace.order, trace.areas, layers)
    affines = [part for name in chosen for part in (modules[name].weight_target, modules[name].bias_target)]
    grads: list[Sequence[Tensor | None]] = []
    heads = [("random", labels)]
    if head is not None:
        heads = [(head, labels), (head, labels[permutation]), *([] if head == "random" else heads)]
    for place, (kind, truth) in enumerate(heads, start=1):
        pull = _pull_on_features(features, truth, half, classes=classes, head=kind, seed=seed)
        grads.append(
            _grads(features, affines, pull, scale=loss_scale, again=place < len(heads))
        )  # the graph serves all
    chosen, moves = _before_features(chosen, grads)
    return Observation(
        labels=labels.cpu().numpy(),
        half=half.cpu().numpy(),
        permutation=permutation.cpu().numpy(),
        features=array_of(features),
        logits=None if logits is None else array_of(logits),
        shifts=shifts_of(chosen, modules, moves[0], step_size=step_size) if head else (),
        initial_shifts=shifts_of(chosen, modules, moves[0], step_size=0.0),
        shuffled_shifts=shifts_of(chosen, modules, moves[1], step_size=step_size) if head else (),
        random_head_shifts=shifts_of(chosen, modules, moves[0 if head == "random" else -1], step_size=step_size),
        later_gram=outputs.gram(last_third(chosen)),
        later_gram_rows=later_gram_rows.numpy(),
    )


def _grads(
    features: Tensor, affines: Sequence[Tensor], pull: Tensor, scale: float, *, again: bool
) -> list[Tensor | None]:
    """Gradients at the affines from that at the features; None where these do not depend on them."""
    while True:
        keep = again or scale > 1
        found = torch.autograd.grad(features, affines, pull * scale, retain_graph=keep, allow_unused=True)
        if scale <= 1 or all(bool(grad.isfinite().all()) for grad in found if grad is not None):
            return [None if grad is None else grad / scale for grad in found]
        scale = max(1.0, scale / 4)


def _before_features(
    names: Sequence[str], grads: Sequence[Sequence[Tensor | None]]
) -> tuple[list[str], list[list[Tensor]]]:
    """The layers that the features depend on, and their gradients: layers that run after them cannot move.

    Raises:
        CandidateError: the features depend on none of them.
    """
    kept = [i for i in range(len(names)) if grads[0][2 * i] is not None]
    if not kept:
        raise CandidateError("no chosen normalisation layer runs before the features", hint="choose other --layers")
    parts = [[part for i in kept for part in one[2 * i : 2 * i + 2] if part is not None] for one in grads]
    return [names[i] for i in kept], parts


def refuse_infinite(features: Tensor) -> None:
    """Raise CandidateError where features are NaN or infinite."""
    if not bool(torch.isfinite(features).all()):
        raise CandidateError("the features are not finite", hint="check the checkpoint and its input normalisation")


def array_of(values: Tensor) -> npt.NDArray[np.float32]:
    """A tensor as a float32 array on the CPU."""
    return values.detach().float().cpu().numpy()


def shifts_of(
    names: Sequence[str], modules: Mapping[str, AffineCoNorm], grads: Sequence[Tensor], step_size: float
) -> tuple[LayerShift, ...]:
    """The layers' affines before and after one SGD step; `grads` holds weight and bias gradients in turn."""
    out = []
    for i, name in enumerate(names):
        layer = modules[name]
        weight, bias = (part.detach().double().cpu() for part in (layer.weight_target, layer.bias_target))
        moves = [step_size * grad.double().cpu() for grad in grads[2 * i : 2 * i + 2]]
        out.append(shift_of(name, layer, weight - moves[0], bias=bias - moves[1]))
    return tuple(out)


def shift_of(name: str, layer: AffineCoNorm, weight: Tensor, bias: Tensor) -> LayerShift:
    """The shift of one layer from its source affines to the given target affines [C].

    Raises:
        CandidateError: the affines are not finite.
    """
    parts = [part.detach().double().cpu() for part in (layer.weight, layer.bias, weight, bias)]
    try:
        overlap = affine_overlap(*parts, eps=layer.eps, temperature=layer.temperature)
    except ValueError as error:
        raise CandidateError(f"layer {name}: {error}", hint="lower --step-size, or check the checkpoint") from error
    source_weight, source_bias, target_weight, target_bias = (part.numpy() for part in parts)
    return LayerShift(
        name=name,
        eps=layer.eps,
        source_weight=source_weight,
        source_bias=source_bias,
        target_weight=target_weight,
        target_bias=target_bias,
        total=overlap.total,
        own=overlap.own,
    )


def _pull_on_features(features: Tensor, labels: Tensor, half: Tensor, classes: int, head: str, seed: int) -> Tensor:
    """Gradient of the mean cross-entropy at the features, [n, d]."""
    leaf = features.detach().requires_grad_()
    if head == "random":
        logits = random_logits(leaf, classes=classes, seed=seed)
    else:
        logits = ridge_logits(leaf, labels, half, classes=classes)
    (pull,) = torch.autograd.grad(nn.functional.cross_entropy(logits, labels), leaf)
    return pull
