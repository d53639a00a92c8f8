"""A candidate's network with its weights, loaded safely: data only, and never silently random."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.system.machine import seeded
from acrank.system.network_input import NetworkInput
from acrank.zoo.architectures import factories, libraries, timm_networks
from acrank.zoo.architectures.timm_networks import Built
from acrank.zoo.hub import resolve
from acrank.zoo.input_resolution import resolve_input
from acrank.zoo.matching import Fit, adapt_channels, check, fill, fit, untouched_statistics
from acrank.zoo.schema import Candidate
from acrank.zoo.tensor_names import renamed
from acrank.zoo.weights import check_hash, kind_of, read_state_dict

_EXAMPLES = 10
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass
class LoadedModel:
    """A candidate ready to be observed.

    Attributes:
        model: on the CPU, in eval mode, float32.
        input: size, channels and normalisation of its input.
        weights: `file`, `sha256`, how many tensors `matched`, are `missing` and `left_over`, `share` of the
            backbone's parameters filled in (0, 1], up to ten `missing_names` and `left_over_names`, and `adapted`.
        notes: what a reader should know, such as assumed preprocessing.
        source_classes: outputs of the checkpoint's own head, None where it has none.
        head: name of the module that is that head, None where there is none.
    """

    model: nn.Module
    input: NetworkInput
    weights: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    source_classes: int | None = None
    head: str | None = None


def load_candidate(candidate: Candidate, *, allow_code: bool = False) -> LoadedModel:
    """Build a candidate's network and fill it with its weights.

    Weights are read as safetensors or with `torch.load(weights_only=True)`, nothing else. What few tensors may be
    missing is initialised from a fixed seed; the global random state stays as it was.

    Args:
        candidate: from `load_zoo`.
        allow_code: whether a `factory:` may run.

    Raises:
        CandidateError: the file is missing, damaged, not the expected one or asks for code; it does not fit the
            network; a weight is not finite; the hub cannot be reached; or the factory is not allowed or fails.

    Example:
        >>> import tempfile
        >>> from acrank.zoo.architectures.timm_import import import_timm
        >>> network = import_timm().create_model("resnet10t", num_classes=7)
        >>> folder = Path(tempfile.mkdtemp())
        >>> torch.save(network.state_dict(), folder / "mine.pth")
        >>> loaded = load_candidate(Candidate(id="mine", architecture="resnet10t", weights="mine.pth", folder=folder))
        >>> loaded.source_classes, loaded.weights["missing"], loaded.input.size
        (7, 0, (176, 176))
    """
    with seeded(0):
        if candidate.library:
            loaded = _from_library(candidate)
        else:
            loaded = _from_factory(candidate, allow_code) if candidate.factory else _from_timm(candidate)
    loaded.model.to(torch.float32).eval()
    return loaded


def _from_timm(candidate: Candidate) -> LoadedModel:
    recipe = resolve(candidate)
    digest, tensors = _read(candidate, recipe.weights)
    built = timm_networks.build(recipe, tensors, candidate)
    found = _filled(built, candidate)
    inputs, notes = resolve_input(candidate.input, built.in_chans, cfg=recipe.cfg, own_cfg=recipe.own_cfg)
    return _loaded(built, found, inputs, notes, _weights(recipe.weights, digest, found, built))


def _from_factory(candidate: Candidate, allow_code: bool) -> LoadedModel:
    path = candidate.weights_path or Path()
    model = factories.build(candidate, allow_code=allow_code)
    digest, tensors = _read(candidate, path)
    return _with_inputs(_with_stem(model, tensors, candidate), candidate, path, digest)


def _from_library(candidate: Candidate) -> LoadedModel:
    path = candidate.weights_path or Path()
    digest, tensors = _read(candidate, path)
    model, tensors, heads, notes = libraries.build_from_library(candidate, tensors)
    built = _with_stem(model, tensors, candidate)
    built.heads, built.notes = heads or built.heads, [*notes, *built.notes]
    return _with_inputs(built, candidate, path, digest)


def _with_inputs(built: Built, candidate: Candidate, path: Path, digest: str) -> LoadedModel:
    """Filled and described; a network whose first convolution is three-dimensional takes volumes."""
    found = _filled(built, candidate)
    stem = next((layer for layer in built.model.modules() if isinstance(layer, _CONVOLUTIONS)), None)
    inputs, notes = resolve_input(candidate.input, built.in_chans, axes=3 if isinstance(stem, nn.Conv3d) else 2)
    return _loaded(built, found, inputs, notes, _weights(path, digest, found, built))


def _read(candidate: Candidate, path: Path) -> tuple[str, dict[str, Tensor]]:
    kind_of(path)
    digest = check_hash(path, candidate.sha256)
    tensors = read_state_dict(path, candidate.weights_key)
    names = {"keep_prefix": candidate.keep_prefix, "strip_prefix": candidate.strip_prefix}
    return digest, renamed(tensors, **names, rename=candidate.rename)


def _with_stem(model: nn.Module, tensors: dict[str, Tensor], candidate: Candidate) -> Built:
    """A factory's network, its channels and head found by looking, its first convolution adapted where needed."""
    convolutions = [(name, m) for name, m in model.named_modules() if isinstance(m, _CONVOLUTIONS)]
    heads = _last_linear(model)
    if not convolutions:
        channels = candidate.in_chans or 3
        return Built(model, tensors, heads, channels, notes=[] if candidate.in_chans else ["assumed 3 input channels"])
    name, stem = convolutions[0]
    if candidate.in_chans not in (None, stem.in_channels):
        text = f"{candidate.architecture} takes {stem.in_channels} channels, the manifest says {candidate.in_chans}"
        raise CandidateError(text, hint="let the factory take the number, and give it in `factory_args`")
    built = Built(model, tensors, heads, stem.in_channels)
    weight = tensors.get(f"{name}.weight")
    if weight is None or weight.ndim != stem.weight.ndim or weight.shape[1] == stem.weight.shape[1] or stem.groups > 1:
        return built
    built.tensors = {**tensors, f"{name}.weight": adapt_channels(weight, stem.in_channels, weight.shape[1])}
    built.adapted = [f"{name}.weight"]
    built.notes = [f"first layer adapted from {weight.shape[1]} to {stem.in_channels} channels"]
    return built


def _last_linear(model: nn.Module) -> tuple[str, ...]:
    """The head of a network that does not say so: its last layer with weights, if that is linear."""
    last = [(name, m) for name, m in model.named_modules() if list(m.parameters(recurse=False))][-1:]
    return tuple(name for name, module in last if isinstance(module, nn.Linear))


def _filled(built: Built, candidate: Candidate) -> Fit:
    found = fit(built.model, built.tensors, built.heads)
    check(built.model, built.tensors, found, candidate.min_match)
    fill(built.model, built.tensors, found)
    return found


def _weights(path: Path, digest: str, found: Fit, built: Built) -> dict[str, Any]:
    return {
        "file": path.name,
        "sha256": digest,
        "matched": len(found.matched),
        "missing": len(found.missing),
        "left_over": len(found.left_over),
        "share": found.share,
        "missing_names": found.missing[:_EXAMPLES],
        "left_over_names": found.left_over[:_EXAMPLES],
        "adapted": built.adapted,
    }


def _loaded(built: Built, found: Fit, inputs: NetworkInput, notes: list[str], weights: dict[str, Any]) -> LoadedModel:
    head = next((name for name in built.heads if f"{name}.weight" in found.matched), None)
    classes = len(built.tensors[f"{head}.weight"]) if head else None
    notes = [*built.notes, *notes, *(f"{name} left out: {why}" for name, why in found.clashes.items())]
    if untouched_statistics(built.model):
        notes.append("the running statistics of its normalisation layers were never updated")
    return LoadedModel(
        built.model,
        inputs,
        weights=weights,
        notes=notes,
        source_classes=classes,
        head=head,
    )
