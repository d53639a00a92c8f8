"""Tensors of a file that the network has no place for: which of them show that it is another network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from acrank.zoo.number_formats import is_dense
from acrank.zoo.structure import under

#: Tensors that change nothing: counters, indices and masks that networks work out, what profilers leave behind.
_HARMLESS = re.compile(
    r"(^|\.)(num_batches_tracked|total_ops|total_params|n_averaged|relative_position_index|relative_coords_table"
    r"|attn_mask|mask_token|inv_freq|_float_tensor|_extra_state|_metadata)$"
)
#: Modules that end a network: classifiers, auxiliary classifiers, projections of self-supervised learning.
_HEAD = re.compile(
    r"(fc\d*|heads?|head_dist|classifiers?|aux\w*|AuxLogits|logits|last_linear|linear|project\w*|predict\w*|pre_logits"
    r"|segmentation_head|classification_head|decoder\w*)",
    re.IGNORECASE,
)
#: Parameters at the top of a transformer, each of which changes all that follows.
_TOKENS = re.compile(r"(cls|class|dist|reg|register)_tokens?|pos_embed(ding)?")


def unused_layers(
    model: nn.Module, tensors: Mapping[str, Tensor], *, matched: Iterable[str], heads: tuple[str, ...]
) -> list[str]:
    """Names of left-over tensors that are layers of the network's own body: the file is of another architecture.

    A tensor is one where it lies inside a module of the network (`layer1.2.conv1.weight` of a deeper ResNet), or in a
    numbered sibling of its modules (`layer5`), unless it is a head, a counter or index, or stored twice. What lies
    beside the network is none: decoders, projections, queues, other encoders, optimisers.

    Args:
        model: the network.
        tensors: of the file, under the network's names.
        matched: names that the file fills.
        heads: names of the network's own heads.
    """
    matched = set(matched)
    if matched.issuperset(tensors):
        return []
    modules = {name for name, _ in model.named_modules(remove_duplicate=False) if name}
    numbered = {_pattern(name) for name, _ in model.named_children() if _pattern(name) != name}
    own = set(model.state_dict(keep_vars=True))
    last = _last_linear(tensors)
    out = []
    for name, value in tensors.items():
        if name in matched or name in own or not value.is_floating_point() or _HARMLESS.search(name):
            continue
        if not under(name, heads) and name.rpartition(".")[0] != last and _is_body(name, modules, numbered):
            out.append(name)
    return _without_copies(out, tensors, matched)


def _without_copies(names: list[str], tensors: Mapping[str, Tensor], matched: set[str]) -> list[str]:
    """The names without those of modules that the file holds a second time, under names that the network has."""
    stored = {_identity(tensors[name]) for name in matched}
    rest = [name for name in names if _identity(tensors[name]) not in stored]
    modules: dict[str, list[str]] = {}
    for name in rest:
        modules.setdefault(name.rpartition(".")[0], []).append(name)
    copies = {module for module, parts in modules.items() if _are_copies(parts, tensors, matched)}
    return [name for name in rest if name.rpartition(".")[0] not in copies]


def _are_copies(names: list[str], tensors: Mapping[str, Tensor], matched: set[str]) -> bool:
    """Whether the tensors have the values of used ones, and not all are constant as untrained norms are."""
    values = [tensors[name] for name in names]
    if any(value.is_meta or not is_dense(value) for value in values) or all(
        bool((value == value.flatten()[0]).all()) for value in values
    ):
        return False
    used: dict[tuple[torch.Size, float], list[Tensor]] = {}
    for name in matched:
        if tensors[name].numel():
            used.setdefault(_beginning(tensors[name]), []).append(tensors[name])
    return all(any(torch.equal(one, value) for one in used.get(_beginning(value), [])) for value in values)


def _beginning(value: Tensor) -> tuple[torch.Size, float]:
    return value.shape, float(value.flatten()[0])


def _is_body(name: str, modules: set[str], numbered: set[str]) -> bool:
    parts = name.split(".")
    if len(parts) == 1:
        return bool(_TOKENS.fullmatch(name))
    inside = next((i for i in range(len(parts) - 1, 0, -1) if ".".join(parts[:i]) in modules), 0)
    if not inside and _pattern(parts[0]) not in numbered:
        return False
    return not _HEAD.fullmatch(parts[inside])


def _pattern(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _last_linear(tensors: Mapping[str, Tensor]) -> str | None:
    """The module of the file's last weight, where that is a matrix: the file's own classifier."""
    weights = [name for name in tensors if name.endswith(".weight") and tensors[name].ndim > 1]
    return weights[-1].removesuffix(".weight") if weights and tensors[weights[-1]].ndim == 2 else None


def _identity(value: Tensor) -> tuple[int, int, tuple[int, ...]]:
    """What two names for one stored tensor have in common."""
    if not is_dense(value):  # no storage of its own
        return id(value), 0, ()
    return value.untyped_storage()._cdata, int(value.storage_offset()), tuple(value.shape)
