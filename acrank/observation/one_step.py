"""Model + sample -> Observation: a forward pass; backward passes for true and shuffled labels, and a random head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.norm import AffineCoNorm, RecalibratedAffines, ac_norm_layers, affine_overlap, hold_recalibrated
from acrank.norm.convert import swap_in_place
from acrank.norm.recalibration import HeldAffines
from acrank.observation.features import Reader, read_images
from acrank.observation.heads import random_logits, ridge_logits
from acrank.observation.layer_hooks import (
    RowsOf,
    last_third,
    rows_of_images,
    select_layers,
)
from acrank.observation.part_passes import PartPasses
from acrank.scores.inputs import LayerShift, Observation


def wrap_in_ac_norm(model: nn.Module, *, temperature: float = 1.0) -> tuple[nn.Module, list[str]]:
    """Wrap `model` in AC-Norm, in place, ready to be observed; with notes on what was left without it.

    Only the affines of the AC-Norm layers train and only batch normalisation uses batch statistics; dropout and
    stochastic depth are off.
    """
    model, left = swap_in_place(model, temperature=temperature)
    layers = [layer for _, layer in ac_norm_layers(model)]
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
    parts: Sequence[Tensor] | None = None,
    shuffled: bool = True,
    random_head: bool = True,
    gram: bool = True,
    late: Sequence[str] | None = None,
    step_inputs: int | None = None,
) -> Observation:
    """Take one SGD step on the affines and record what it did. The model is left as it was, but for its statistics.

    Args:
        model: from `wrap_in_ac_norm`; where it has no AC-Norm layer nothing moves, and the Gram matrix is of its
            convolutions and linear layers.
        inputs: [images, c, ...]; moved to the model's device part by part.
        labels: [n], int64 in [0, classes), one per row that `read` gives; on the model's device, as `half` and
            `permutation`.
        classes: number of classes.
        half: [n], bool, the halves of the cross-fit.
        permutation: [n], int64, which shuffles the labels for the control.
        step_size: learning rate of the step.
        head: "ridge" or "random"; None takes no step on labels: then `shifts` and `shuffled_shifts` are empty.
        layers: "all", "last", "encoder" or a pattern on module names.
        seed: of the random head.
        read: gives rows of features; by default one per image.
        rows: of the layers' outputs, for their Gram matrix, and which labels they have; by default one per image.
        loss_scale: by which the loss is multiplied on its way back and gradients are divided, against underflow in
            float16; quartered for as long as they overflow.
        parts: which inputs go through the network together, each once; batch statistics are those of a part. None: all.
            All but the last go through without gradients first, because the ridge head needs all features.
        shuffled: whether a step on shuffled labels is taken, too; else `shuffled_shifts` is empty.
        random_head: whether a step under a random head is taken, too; else `random_head_shifts` is empty.
        gram: whether the layers' outputs are read; else `later_gram` is None.
        late: the layers that the Gram matrix is of, as `late_layers` tells them; None finds them, at the cost of
            reading the outputs of all.
        step_inputs: on how many inputs, in whole parts, the loss of the step is taken; the head knows all. None: all.

    Raises:
        CandidateError: no layer matches, or features or gradients are not finite.
    """
    modules = dict(ac_norm_layers(model))
    rows = (rows or rows_of_images(len(inputs))) if gram else None
    passes = PartPasses(model, inputs, read, parts=parts or [torch.arange(len(inputs))], rows=rows, late=late)
    heads = _heads(head if modules else None, labels, permutation, shuffled=shuffled)
    random_head &= bool(modules)
    if random_head and head != "random":
        heads.append(("random", labels))
    with hold_recalibrated(list(modules.values())) as held:
        features, logits = passes.read_all(with_graph=bool(heads))
        refuse_infinite(features)
        chosen = select_layers(passes.order, passes.areas, layers)
        leaves = dict(zip(modules, held.leaves, strict=True))
        pulls = [
            _pull_on_features(features, truth, half, classes=classes, head=kind, seed=seed) for kind, truth in heads
        ]
        moving = [leaf for name in chosen for leaf in leaves[name]] if modules else []
        found = passes.pull_back(pulls, moving, scale=loss_scale, most=step_inputs)
        moved, moves = _before_features(chosen, found)
        grads = [_at_targets(held, list(modules), names=moved, grads=one) for one in moves]

    def shifts(place: int, size: float = step_size, *, correlated: bool = True) -> tuple[LayerShift, ...]:
        return shifts_of(moved, modules, grads[place], step_size=size, correlated=correlated)

    return Observation(
        labels=labels.cpu().numpy(),
        half=half.cpu().numpy(),
        permutation=permutation.cpu().numpy(),
        features=array_of(features),
        logits=None if logits is None else array_of(logits),
        shifts=shifts(0) if head and heads else (),
        initial_shifts=shifts(0, 0.0) if head and heads else (),
        shuffled_shifts=shifts(1) if head and heads and shuffled else (),
        random_head_shifts=shifts(0 if head == "random" else -1, correlated=False) if random_head else (),
        later_gram=passes.gram(last_third(moved or chosen) if late is None else late),
        later_gram_rows=passes.rows.numpy() if gram else None,
    )


def _at_targets(
    held: HeldAffines, modules: Sequence[str], *, names: Sequence[str], grads: Sequence[Tensor]
) -> list[Tensor]:
    """Gradients at the target affines of some layers, in turn, from those at the affines that act on the input."""
    pairs = {name: (grads[2 * i], grads[2 * i + 1]) for i, name in enumerate(names)}
    found = held.at_targets([pairs.get(name) for name in modules])
    known = {name: pair for name, pair in zip(modules, found, strict=True) if pair is not None}
    return [part for name in names for part in known[name]]


def _heads(head: str | None, labels: Tensor, permutation: Tensor, *, shuffled: bool) -> list[tuple[str, Tensor]]:
    """The heads of the steps on labels, each with the labels that it is given."""
    return [(head, truth) for truth in (labels, labels[permutation])[: 1 + shuffled]] if head else []


def _before_features(
    names: Sequence[str], grads: Sequence[Sequence[Tensor | None]]
) -> tuple[list[str], list[list[Tensor]]]:
    """The layers that the features depend on, and their gradients: layers that run after them cannot move.

    Raises:
        CandidateError: the features depend on none of them.
    """
    if not grads:
        return [], []
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
    names: Sequence[str],
    modules: Mapping[str, RecalibratedAffines],
    grads: Sequence[Tensor],
    *,
    step_size: float,
    correlated: bool = True,
) -> tuple[LayerShift, ...]:
    """The layers' affines before and after one SGD step.

    Args:
        names: of the layers.
        modules: by name.
        grads: weight and bias gradients of the layers, in turn.
        step_size: of the step.
        correlated: whether the sums of the correlation are computed; else they are NaN.
    """
    out = []
    for i, name in enumerate(names):
        layer = modules[name]
        weight, bias = (part.detach().double().cpu() for part in (layer.weight_target, layer.bias_target))
        moves = [step_size * grad.double().cpu() for grad in grads[2 * i : 2 * i + 2]]
        out.append(shift_of(name, layer, weight - moves[0], bias=bias - moves[1], correlated=correlated))
    return tuple(out)


def shift_of(
    name: str, layer: RecalibratedAffines, weight: Tensor, *, bias: Tensor, correlated: bool = True
) -> LayerShift:
    """The shift of one layer from its source affines to the given target affines [C].

    Raises:
        CandidateError: the affines are not finite.
    """
    parts = [part.detach().double().cpu() for part in (layer.weight, layer.bias, weight, bias)]
    total = own = float("nan")
    if correlated or not all(bool(part.isfinite().all()) for part in parts):
        try:
            total, own, _ = affine_overlap(*parts, eps=layer.eps, temperature=layer.temperature)
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
        total=total,
        own=own,
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
