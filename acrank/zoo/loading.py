"""A candidate's network with its weights: read as data only, and never silently random."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.system.machine import seeded
from acrank.system.network_input import NetworkInput
from acrank.system.offline import downloads_off
from acrank.system.words import shortened
from acrank.zoo.architectures.factories import build_from_factory
from acrank.zoo.architectures.libraries import build_from_library
from acrank.zoo.architectures.siblings import fitting_architecture
from acrank.zoo.architectures.timm_networks import BuiltNetwork, build_with_timm
from acrank.zoo.file_faults import blamed_on
from acrank.zoo.hub import resolve_recipe
from acrank.zoo.input_resolution import resolve_input
from acrank.zoo.matching import Fit, adapt_channels, check_fit, fill, fit, has_untouched_statistics
from acrank.zoo.schema import Candidate
from acrank.zoo.skip_init import with_init, without_data
from acrank.zoo.structure import CONVOLUTIONS, last_linear
from acrank.zoo.tensor_names import renamed
from acrank.zoo.translation import PREFIX_REMOVED, second_body, translated
from acrank.zoo.untrained import UntrainedTwin
from acrank.zoo.weight_values import check_values
from acrank.zoo.weights import check_hash, kind_of, read_state_dict

_EXAMPLES = 10
_LONGEST_NAME = 200


@dataclass
class LoadedModel:
    """A candidate's network with its weights.

    Attributes:
        model: on the CPU, in eval mode, float32.
        input: size, channels and normalisation of its input.
        weights: `file` and `sha256`; numbers of tensors `matched`, `missing` and `left_over`; `share` of the backbone's
            parameters that the file fills, in (0, 1]; up to ten `missing_names` and `left_over_names`; and `adapted`.
        notes: for the reader of the ranking, such as assumed preprocessing.
        source_classes: outputs of the checkpoint's own head, None where it has none.
        head: name of the module that is that head, None where there is none.
    """

    model: nn.Module
    input: NetworkInput
    weights: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    source_classes: int | None = None
    head: str | None = None


def load_candidate(candidate: Candidate, *, allow_code: bool = False, allow_download: bool = False) -> LoadedModel:
    """A candidate's network, built and filled with its weights.

    Weights are read as safetensors or with `torch.load(weights_only=True)`, nothing else. Missing tensors are
    initialised from a fixed seed, those of an `UntrainedTwin` all from its own; the global random state stays as it
    was.

    Args:
        candidate: from `load_zoo`.
        allow_code: whether a `factory:` may run.
        allow_download: whether `factory_args` may ask a library for weights of its own.

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
    seed = candidate.drawn_with if isinstance(candidate, UntrainedTwin) else None
    with seeded(seed or 0), contextlib.nullcontext() if seed is None else with_init():
        network = _network(candidate, allow_code=allow_code, allow_download=allow_download)
        loaded = _loaded(candidate, network, fills=seed is None)
    loaded.model.to(torch.float32).eval()
    return loaded


def check_candidate(candidate: Candidate) -> None:
    """Whether the candidate's file is whole and fits its network; no network is filled, no code is run.

    The file is read, with its checksums; the network takes no memory. Where it cannot be built so, or does not fit, the
    candidate is loaded, which says why.

    Args:
        candidate: with a local file, not of a `factory:`.

    Raises:
        CandidateError: as `load_candidate` does.
    """
    try:
        network = _network(candidate, on_meta=True)
        built = network.built
        found = fit(built.model, built.tensors, built.heads)
        check_fit(built.model, built.tensors, found, **_rules(candidate))
        check_values(built.model, built.tensors, found.matched, heads=built.heads)
        resolve_input(candidate.input, built.channels, axes=built.axes, cfg=network.cfg)
    except Exception:  # also where a network cannot do without data, which fails in as many ways as there are networks
        with blamed_on(candidate.weights_path or candidate.local_dir or candidate.id):
            load_candidate(candidate)


@dataclass
class _Network:
    """A network with its tensors, not yet filled, the file that they are from, and the configuration of its input."""

    built: BuiltNetwork
    path: Path
    digest: str
    cfg: dict[str, Any] | None = None
    own_cfg: bool = False


def _network(
    candidate: Candidate, *, allow_code: bool = False, allow_download: bool = False, on_meta: bool = False
) -> _Network:
    model = build_from_factory(candidate, allow_code=allow_code) if candidate.factory else None
    recipe = None if candidate.factory or candidate.library else resolve_recipe(candidate)
    path = recipe.weights if recipe else candidate.weights_path or Path()
    digest, tensors, notes = _read(candidate, path)
    with without_data() if on_meta else contextlib.nullcontext():
        if recipe:
            with downloads_off():
                built = build_with_timm(recipe, tensors, candidate, skips_init=not on_meta)
            network = _Network(built, path, digest, cfg=recipe.cfg, own_cfg=recipe.own_cfg)
        elif model is not None:
            network = _Network(_with_stem(model, tensors, candidate), path, digest)
        else:
            library = build_from_library(candidate, tensors, allow_download=allow_download)
            built = _with_stem(library.model, library.tensors, candidate, heads=library.heads)
            built.notes = [*library.notes, *built.notes]
            network = _Network(built, path, digest, cfg=library.cfg)
    network.built.notes = [*notes, *network.built.notes]
    return network


def _read(candidate: Candidate, path: Path) -> tuple[str, dict[str, Tensor], list[str]]:
    """SHA-256 and tensors of a weights file, under the names that the manifest gives them, and notes."""
    kind_of(path)
    digest = check_hash(path, candidate.sha256)
    notes: list[str] = []
    tensors = read_state_dict(path, candidate.weights_key, notes)
    names = {"keep_prefix": candidate.keep_prefix, "strip_prefix": candidate.strip_prefix}
    return digest, renamed(tensors, **names, rename=candidate.rename), notes


def _rules(candidate: Candidate) -> dict[str, Any]:
    return {"min_match": candidate.min_match, "allow_unused": candidate.allow_unused}


def _with_stem(
    model: nn.Module, tensors: dict[str, Tensor], candidate: Candidate, *, heads: tuple[str, ...] = ()
) -> BuiltNetwork:
    """A network that does not name its head and channels: they are searched, and the file's stem is adapted to it."""
    convolutions = [(name, m) for name, m in model.named_modules() if isinstance(m, CONVOLUTIONS)]
    heads = heads or last_linear(model)
    tensors, notes = translated(model, tensors, heads)
    built = BuiltNetwork(model, tensors, heads=heads, channels=candidate.in_chans or 3, notes=notes)
    if not convolutions:
        built.notes += [] if candidate.in_chans else ["assumed 3 input channels"]
        return built
    name, stem = convolutions[0]
    if candidate.in_chans not in (None, stem.in_channels):
        text = f"{candidate.architecture} takes {stem.in_channels} channels, the manifest says {candidate.in_chans}"
        raise CandidateError(text, hint="let the factory take the number, and give it in `factory_args`")
    built.channels, built.axes = stem.in_channels, 3 if isinstance(stem, nn.Conv3d) else 2
    name = f"{name}.weight"
    weight = tensors.get(name)
    if weight is None or weight.ndim != stem.weight.ndim or weight.shape[1] == stem.weight.shape[1] or stem.groups > 1:
        return built
    built.tensors = tensors | {name: adapt_channels(weight, stem.in_channels, weight.shape[1])}
    built.adapted = [name]
    built.notes += [f"first layer adapted from {weight.shape[1]} to {stem.in_channels} channels"]
    return built


def _choices(built: BuiltNetwork, found: Fit) -> list[str]:
    """A note where the file holds the network twice, and no other note says which of them was taken."""
    if any(note.startswith(PREFIX_REMOVED) for note in built.notes):
        return []
    other = second_body(built.model, built.tensors, found.left_over, heads=built.heads)
    text = f"the file holds the network twice: names without a prefix were taken, not those under `{other}`"
    return [text] if other else []


def _names(names: list[str]) -> list[str]:
    """The first names for the record; a file may have names of any length."""
    return [shortened(name, _LONGEST_NAME) for name in names[:_EXAMPLES]]


def _loaded(candidate: Candidate, network: _Network, *, fills: bool) -> LoadedModel:
    """The network filled with its tensors, or as it was drawn."""
    built = network.built
    model, tensors = built.model, built.tensors
    found = fit(model, tensors, built.heads)
    if fills:
        fitting = partial(fitting_architecture, candidate, tensors)
        check_fit(model, tensors, found, **_rules(candidate), fitting=fitting)
        built.notes += check_values(model, tensors, found.matched, heads=built.heads)
        built.notes += [] if candidate.strip_prefix else _choices(built, found)
        fill(model, tensors, found)
    cfg: dict[str, Any] = {"cfg": network.cfg, "own_cfg": network.own_cfg}
    network_input, notes = resolve_input(candidate.input, built.channels, axes=built.axes, **cfg)
    notes = [*built.notes, *notes, *(f"{name} left out: {why}" for name, why in found.clashes.items())]
    if has_untouched_statistics(model):
        notes.append("the running statistics of its normalisation layers were never updated")
    head = next((name for name in built.heads if f"{name}.weight" in found.matched), None)
    weights = {
        "file": network.path.name,
        "sha256": network.digest,
        "matched": len(found.matched),
        "missing": len(found.missing),
        "left_over": len(found.left_over),
        "share": found.share,
        "missing_names": _names(found.missing),
        "left_over_names": _names(found.left_over),
        "adapted": built.adapted,
    }
    classes = len(tensors[f"{head}.weight"]) if head else None
    return LoadedModel(model, network_input, weights=weights, notes=notes, source_classes=classes, head=head)
