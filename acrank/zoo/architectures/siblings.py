"""Architectures that a file may be of as well: of the same family, or with the same tensors and other layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.architectures.timm_networks import build_with_timm
from acrank.zoo.architectures.torchvision_networks import built_without_weights, classifiers
from acrank.zoo.hub import Recipe, registered_cfg
from acrank.zoo.matching import fit
from acrank.zoo.skip_init import without_data
from acrank.zoo.structure import backbone_shapes, last_linear, stem_of
from acrank.zoo.translation import translated

if TYPE_CHECKING:
    from acrank.zoo.schema import Candidate

_MOST = 12
_MOST_TWINS = 4  # each is built, which takes a tenth of a second or more
_SIZES = "atto|femto|pico|nano|tiny|xxs|xs|small|medium|base|large|huge|giant|[tsmblhg]"
_VARYING = re.compile(rf"\d+|(?<=_)(?:{_SIZES})(?=_|$)")


def fitting_architecture(candidate: Candidate, tensors: dict[str, Tensor]) -> str | None:
    """The name that differs from the candidate's in numbers and words of size alone, and that the file fills wholly.

    Args:
        candidate: of a timm or torchvision network; others have no family.
        tensors: of the file, under the names of the candidate's network.

    Example:
        >>> from acrank.zoo.schema import Candidate
        >>> tensors = import_timm().create_model("resnet14t").state_dict()
        >>> fitting_architecture(Candidate(id="it", architecture="resnet10t", weights="w"), tensors)
        'resnet14t'
    """
    library, name = candidate.library or ("", (candidate.architecture or candidate.source or "").partition(".")[0])
    if candidate.factory or library not in ("", "torchvision"):
        return None
    known = classifiers() if library else import_timm().list_models()
    fits = _fits_torchvision if library else _fits_timm
    for other in _family(name, known):
        if fits(other, tensors, candidate):
            return f"{library}:{other}" if library else other
    return None


def computing_otherwise(name: str, others: Iterable[str]) -> list[str]:
    """Which of the architectures with the same names and shapes are made of other layers than this one.

    They differ in what no tensor shows: padding, activations, the epsilon of a normalisation. The first few are
    compared, and none of torchvision, whose layers have other classes whatever they compute.

    Args:
        name: of an architecture of timm; for another nothing is compared.
        others: with the same names and shapes.

    Example:
        >>> computing_otherwise("efficientnet_b0", ["tf_efficientnet_b0", "torchvision:resnet18"])
        ['tf_efficientnet_b0']
        >>> computing_otherwise("vit_tiny_patch16_224", ["deit_tiny_patch16_224"])
        []
    """
    own = _layers_of(name)
    compared = [other for other in others if ":" not in other][:_MOST_TWINS]
    return [other for other in compared if own and (found := _layers_of(other)) and found != own]


@lru_cache(maxsize=32)
def _layers_of(name: str) -> str | None:
    """The layers of an architecture of timm with their arguments, as text; None where it cannot be built so."""
    if ":" in name:
        return None
    try:
        with without_data():
            return repr(import_timm().create_model(name, num_classes=0))
    except (NotImplementedError, RuntimeError, TypeError):
        return None


def _family(name: str, known: Iterable[str]) -> list[str]:
    pattern = re.compile(rf"(?:\d+|{_SIZES})".join(map(re.escape, _VARYING.split(name))))
    family = [other for other in known if other != name and pattern.fullmatch(other)]
    return sorted(family, key=lambda other: (abs(len(other) - len(name)), family.index(other)))[:_MOST]


def _fits_timm(name: str, tensors: dict[str, Tensor], candidate: Candidate) -> bool:
    cfg = registered_cfg(name)
    recipe = Recipe(name, candidate.weights_path or candidate.folder, cfg)
    try:
        with without_data():
            plain = import_timm().create_model(name, num_classes=0)
            if not _has_shapes_of(plain, tensors, last_linear(plain)):
                return False
            built = build_with_timm(recipe, _on_meta(tensors), candidate, skips_init=False)
    except (CandidateError, NotImplementedError, RuntimeError, TypeError):  # some cannot be built without memory
        return False
    return _is_whole(built.model, built.tensors, built.heads)


def _fits_torchvision(name: str, tensors: dict[str, Tensor], candidate: Candidate) -> bool:
    try:
        with without_data():
            model = built_without_weights(name)
    except (NotImplementedError, RuntimeError):
        return False
    heads = last_linear(model)
    found = translated(model, _on_meta(tensors), heads)[0] if _has_shapes_of(model, tensors, heads) else {}
    return _is_whole(model, found, heads)


def _has_shapes_of(model: nn.Module, tensors: Mapping[str, Tensor], heads: tuple[str, ...]) -> bool:
    """Whether the file has as many tensors of every shape as the backbone, but for the first layer's."""
    stem = stem_of(model)
    wanted = Counter(shape for name, shape in backbone_shapes(model, heads).items() if name != stem)
    return wanted <= Counter(tuple(value.shape) for value in tensors.values())


def _on_meta(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.to("meta") for name, value in tensors.items()}


def _is_whole(model: nn.Module, tensors: Mapping[str, Tensor], heads: tuple[str, ...]) -> bool:
    found = fit(model, tensors, heads)
    return not found.lost and not found.unused
