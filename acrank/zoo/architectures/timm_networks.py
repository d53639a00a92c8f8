"""Building the timm network that a file's tensors are for: its classes, its channels, its names."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.matching import adapt_channels, fit
from acrank.zoo.skip_init import Undrawn

if TYPE_CHECKING:
    from acrank.zoo.hub import Recipe
    from acrank.zoo.schema import Candidate


@dataclass
class Built:
    """A network, not yet filled, and the tensors as it calls them.

    Attributes:
        heads: modules that classify; everything else is the backbone.
        in_chans: channels that the network takes.
        adapted: tensors changed for other channels.
    """

    model: nn.Module
    tensors: dict[str, Tensor]
    heads: tuple[str, ...]
    in_chans: int
    adapted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def build(recipe: Recipe, tensors: dict[str, Tensor], candidate: Candidate) -> Built:
    """The network with the classes and channels that the file has, or with the manifest's `in_chans`.

    Its weights are drawn at random, unless the file as it is replaces them all.

    Raises:
        CandidateError: timm cannot build it, or its first layer cannot be adapted.
    """
    return _undrawn(recipe, tensors, candidate) or _build(recipe, tensors, candidate)


def _undrawn(recipe: Recipe, tensors: dict[str, Tensor], candidate: Candidate) -> Built | None:
    """The network without a draw, None where the file leaves something of it as it is."""
    with torch.random.fork_rng(devices=[]), Undrawn() as undrawn:
        try:
            built = _build(recipe, tensors, candidate)
        except Exception:  # what it is about is said when the network is built with its draws
            return None
    is_whole = built.tensors is tensors and fit(built.model, tensors).whole
    return built if is_whole and undrawn.is_replaced_in(built.model) else None


def _build(recipe: Recipe, tensors: dict[str, Tensor], candidate: Candidate) -> Built:
    heads, stems = _names(recipe.cfg.get("classifier")), _names(recipe.cfg.get("first_conv"))
    classes, channels = _outputs(tensors, heads), _channels(tensors, stems, recipe)
    model = _create(recipe, candidate, classes, channels)
    if channels != 3 and not _same_stem(model, tensors, stems):  # a stem that folds pixels into channels
        channels = 3
        model = _create(recipe, candidate, classes, channels)
    notes: list[str] = []
    if not fit(model, tensors, heads).whole:
        tensors, notes = _converted(model, tensors)
        if _outputs(tensors, heads) != classes:
            classes = _outputs(tensors, heads)
            model = _create(recipe, candidate, classes, channels)
    built = Built(model, tensors, heads, channels, notes=notes)
    return built if candidate.in_chans in (None, channels) else _with_channels(built, recipe, candidate, classes, stems)


def _with_channels(built: Built, recipe: Recipe, candidate: Candidate, classes: int, stems: tuple[str, ...]) -> Built:
    wanted = candidate.in_chans or built.in_chans
    model = _create(recipe, candidate, classes, wanted)
    tensors, adapted = dict(built.tensors), []
    for name in (f"{stem}.weight" for stem in stems):
        if name in tensors:
            tensors[name] = adapt_channels(tensors[name], wanted, built.in_chans)
            adapted.append(name)
    notes = [*built.notes, f"first layer adapted from {built.in_chans} to {wanted} channels"]
    return dataclasses.replace(built, model=model, tensors=tensors, in_chans=wanted, adapted=adapted, notes=notes)


def _create(recipe: Recipe, candidate: Candidate, classes: int, channels: int) -> nn.Module:
    timm = import_timm()
    args = {**recipe.args, "num_classes": classes, "in_chans": channels}
    size = candidate.input.size
    if size and recipe.cfg.get("fixed_input_size") and tuple(recipe.cfg["input_size"][1:]) != size:
        args["img_size"] = size
    cfg = {**recipe.cfg, "num_classes": classes}
    name = recipe.architecture
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, pretrained_cfg=cfg, **args)
    except Exception as error:  # a hundred architectures, each with its own ways to refuse arguments
        text = f"timm cannot build {name!r} with {args}: {type(error).__name__}: {error}"
        raise CandidateError(text, hint="is it an image classification architecture?") from error
    return model


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _outputs(tensors: Mapping[str, Tensor], heads: tuple[str, ...]) -> int:
    """Classes of the file's own head, 0 where it has none."""
    return next((len(tensors[f"{head}.weight"]) for head in heads if f"{head}.weight" in tensors), 0)


def _channels(tensors: Mapping[str, Tensor], stems: tuple[str, ...], recipe: Recipe) -> int:
    """Channels of the file's first convolution; the configuration's where the first layer is none."""
    found = [tensors[f"{stem}.weight"] for stem in stems if f"{stem}.weight" in tensors]
    if found and found[0].ndim == 4:
        return int(found[0].shape[1])
    return int((recipe.cfg.get("input_size") or (3,))[0])


def _same_stem(model: nn.Module, tensors: Mapping[str, Tensor], stems: tuple[str, ...]) -> bool:
    own = model.state_dict()
    names = [f"{stem}.weight" for stem in stems]
    return all(own[name].shape[1] == tensors[name].shape[1] for name in names if name in own and name in tensors)


def _converted(model: nn.Module, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors after timm's own translation from the original authors' names, where the architecture has one."""
    function = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if function is None:
        return tensors, []
    try:
        converted = dict(function(dict(tensors), model))
    except Exception as error:  # made for files of one origin: on others it fails anyhow, and names decide
        return tensors, [f"timm's translation of tensor names does not apply ({type(error).__name__}: {error})"]
    return (converted, ["tensor names translated by timm"]) if set(converted) != set(tensors) else (converted, [])
