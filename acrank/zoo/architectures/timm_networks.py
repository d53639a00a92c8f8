"""timm networks with the classes, channels and tensor names of a file."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.matching import adapt_channels, fit
from acrank.zoo.skip_init import skip_init, without_data
from acrank.zoo.structure import stem_of
from acrank.zoo.translation import translated

if TYPE_CHECKING:
    from acrank.zoo.hub import Recipe
    from acrank.zoo.schema import Candidate


@dataclass
class BuiltNetwork:
    """A network, not yet filled, and the file's tensors under the network's names.

    Attributes:
        heads: names of the modules that classify; everything else is the backbone.
        channels: of the network's input.
        axes: 3 for a network that takes volumes.
        adapted: names of the tensors that were changed for other channels.
        notes: for the reader of the ranking.
    """

    model: nn.Module
    tensors: dict[str, Tensor]
    heads: tuple[str, ...]
    channels: int
    axes: int = 2
    adapted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def build_with_timm(
    recipe: Recipe, tensors: dict[str, Tensor], candidate: Candidate, *, skips_init: bool = True
) -> BuiltNetwork:
    """The network with the file's classes and channels, or with the manifest's `in_chans`.

    Its weights are random; where the file replaces them all, they are not initialised, unless `skips_init` is off.

    Raises:
        CandidateError: timm cannot build the network, or its first layer cannot be adapted.
    """
    fast = _without_init(recipe, tensors, candidate) if skips_init else None
    return fast or _build(recipe, tensors, candidate)


def _without_init(recipe: Recipe, tensors: dict[str, Tensor], candidate: Candidate) -> BuiltNetwork | None:
    """The network without random initialisation, or None where the file does not replace all of it."""
    with torch.random.fork_rng(devices=[]), skip_init() as skipped:
        try:
            built = _build(recipe, tensors, candidate)
        except Exception:  # raised again when the network is built with initialisation
            return None
    is_whole = built.tensors is tensors and fit(built.model, tensors).is_whole
    return built if is_whole and skipped.is_replaced_in(built.model) else None


def _build(recipe: Recipe, tensors: dict[str, Tensor], candidate: Candidate) -> BuiltNetwork:
    heads, stems = _names(recipe.cfg.get("classifier")), _names(recipe.cfg.get("first_conv"))
    recipe = _with_pooling(recipe, tensors, candidate)
    model, channels = _for_file(recipe, tensors, candidate, stems=stems, heads=heads)
    notes: list[str] = []
    found = fit(model, tensors, heads)
    if found.is_whole and found.unused:
        tensors = _without_dropped(model, tensors, heads)
    elif not found.is_whole:
        before = _outputs(tensors, heads), _channels(tensors, stems, recipe)
        tensors, notes = _matched(model, tensors, heads)
        if (_outputs(tensors, heads), _channels(tensors, stems, recipe)) != before:
            model, channels = _for_file(recipe, tensors, candidate, stems=stems, heads=heads)
    wanted = candidate.in_chans or channels
    if wanted == channels:
        return BuiltNetwork(model, tensors, heads=heads, channels=channels, notes=notes)
    names = [f"{stem}.weight" for stem in stems if f"{stem}.weight" in tensors]
    return BuiltNetwork(
        _create(recipe, candidate, classes=_outputs(tensors, heads), channels=wanted),
        tensors | {name: adapt_channels(tensors[name], wanted, channels) for name in names},
        heads=heads,
        channels=wanted,
        adapted=names,
        notes=[*notes, f"first layer adapted from {channels} to {wanted} channels"],
    )


def _without_dropped(model: nn.Module, tensors: dict[str, Tensor], heads: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors without those that timm's own conversion leaves out, such as what a network works out itself."""
    kept, _ = _converted(model, tensors)
    return kept if fit(model, kept, heads).is_whole else tensors


def _for_file(
    recipe: Recipe, tensors: dict[str, Tensor], candidate: Candidate, *, stems: tuple[str, ...], heads: tuple[str, ...]
) -> tuple[nn.Module, int]:
    """The network with the file's classes and channels, and these channels."""
    classes, channels = _outputs(tensors, heads), _channels(tensors, stems, recipe)
    model = _create(recipe, candidate, classes=classes, channels=channels)
    if channels != 3 and not _same_stem(model, tensors, stems):  # a stem that folds pixels into channels
        channels = 3
        model = _create(recipe, candidate, classes=classes, channels=channels)
    return model, channels


def _with_pooling(recipe: Recipe, tensors: Mapping[str, Tensor], candidate: Candidate) -> Recipe:
    """The recipe, of a transformer that averages its tokens where the file has the norm that follows the average."""
    norms = [name for name in tensors if name.endswith("fc_norm.weight")]
    if not norms or "global_pool" in recipe.args or norms[0].replace("fc_norm", "norm") in tensors:
        return recipe
    with without_data():
        model = _create(recipe, candidate, classes=0, channels=3)
    if isinstance(getattr(model, "fc_norm", None), nn.Identity):
        return dataclasses.replace(recipe, args={**recipe.args, "global_pool": "avg"})
    return recipe


def _matched(
    model: nn.Module, tensors: dict[str, Tensor], heads: tuple[str, ...]
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under timm's names where they all can be told, else what timm's own conversion makes of them."""
    found, notes = translated(model, tensors, heads, convert=partial(_converted, model))
    return (found, notes) if notes else _converted(model, tensors)


def _create(recipe: Recipe, candidate: Candidate, *, classes: int, channels: int) -> nn.Module:
    timm = import_timm()
    args = {**recipe.args, "num_classes": classes, "in_chans": channels}
    size = candidate.input.size
    if size and recipe.cfg.get("fixed_input_size") and tuple(recipe.cfg["input_size"][1:]) != size:
        args["img_size"] = size
    cfg, name = {**recipe.cfg, "num_classes": classes}, recipe.architecture
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, pretrained_cfg=cfg, **args)
    except Exception as error:  # a hundred architectures, each with its own ways to refuse arguments
        text = f"timm cannot build {name!r} with {args}: {type(error).__name__}: {error}"
        raise CandidateError(text, hint="is it an image classification architecture?") from error
    return model


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _outputs(tensors: Mapping[str, Tensor], heads: tuple[str, ...]) -> int:
    """Number of classes of the file's head, 0 where it has none."""
    return next((len(tensors[f"{head}.weight"]) for head in heads if f"{head}.weight" in tensors), 0)


def _channels(tensors: Mapping[str, Tensor], stems: tuple[str, ...], recipe: Recipe) -> int:
    """Channels of the file's first convolution; those of `recipe` where the first layer is no convolution."""
    found = [tensors[f"{stem}.weight"] for stem in stems if f"{stem}.weight" in tensors]
    if found and found[0].ndim == 4:
        return int(found[0].shape[1])
    return int((recipe.cfg.get("input_size") or (3,))[0])


def _same_stem(model: nn.Module, tensors: Mapping[str, Tensor], stems: tuple[str, ...]) -> bool:
    """Whether network and file agree in the channels of the first layers that both have."""
    own = model.state_dict()
    names = [f"{stem}.weight" for stem in stems]
    return all(own[name].shape[1] == tensors[name].shape[1] for name in names if name in own and name in tensors)


def _converted(model: nn.Module, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under timm's names, where the architecture translates those of the original authors, and notes."""
    function = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if function is None:
        return tensors, []
    try:
        converted = dict(function(dict(tensors), model))
    except Exception as error:  # made for files of one origin; on others it may fail in any way
        return tensors, [f"timm's translation of tensor names does not apply ({type(error).__name__}: {error})"]
    changed = {name: value for name, value in tensors.items() if name in converted and _resized(value, converted[name])}
    stem = stem_of(model)
    if stem in changed:  # patches of another size: another network
        return tensors, []
    notes = ["tensor names translated by timm"] if set(converted) != set(tensors) else []
    resized = [f"{name} resized by timm from {tuple(old.shape)}" for name, old in changed.items()]
    return converted, notes + resized


def _resized(old: Tensor, new: Tensor) -> bool:
    return (old.ndim == new.ndim > 2 and old.shape[2:] != new.shape[2:]) or (old.ndim == 3 and old.shape != new.shape)
