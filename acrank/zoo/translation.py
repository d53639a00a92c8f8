"""Tensor names of a file brought to a network's: a prefix removed, a known layout translated, where all then fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from acrank.zoo.key_layouts import KEY_LAYOUTS, PLAIN, Shapes, children_layout, new_names
from acrank.zoo.number_formats import is_dense
from acrank.zoo.structure import backbone_shapes, stem_of, under

#: Encoders that a file holds beside the one to take: momentum copies, and the student of a self-distillation.
_LESSER = re.compile(
    r"(^|\.)(encoder_k|key_encoder|encoder_key|momentum_encoder|target_(encoder|network)|student)(\.|$)"
)
_DEPTH = 5
#: How the note on a removed prefix begins.
PREFIX_REMOVED = "prefix `"
#: Heads of mmpretrain's classifiers.
_HEADS = ("head.fc", "head.layers.head")

#: Brings tensors to a network's names, or gives them back as they are.
Convert = Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], list[str]]]


class _Found(NamedTuple):
    prefix: str
    tensors: dict[str, Tensor]
    notes: list[str]


def translated(
    model: nn.Module,
    tensors: dict[str, Tensor],
    heads: tuple[str, ...] = (),
    *,
    convert: Convert = lambda tensors: (tensors, []),
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under the network's names, and notes on what was done; unchanged where nothing is known to fit.

    Something fits when it fills the whole backbone, by names and shapes; channels of the first layer may differ. The
    names as they are go first, then the library's own conversion, then known layouts; each without a prefix and with
    every prefix that many names share. Where two prefixes fit, that of the query encoder or teacher is taken; where
    that does not decide, none.

    Args:
        model: the network.
        tensors: of the file.
        heads: names of the modules that are no part of the backbone.
        convert: the library's own conversion of other authors' names.
    """
    wanted, stem = backbone_shapes(model, heads), stem_of(model)
    if _covers(wanted, stem, tensors):
        return tensors, []
    stripped = [(prefix, _without(prefix, tensors)) for prefix in ["", *_prefixes(tensors, len(wanted))]]
    children = children_layout([name for name, _ in model.named_children()])
    for layout in (PLAIN, None, *KEY_LAYOUTS, children):
        found = []
        for prefix, values in stripped:
            notes = [f"{PREFIX_REMOVED}{prefix}` removed from the tensor names"] if prefix else []
            if layout is None:
                new, more = convert(values)
            else:
                new = _renamed(values, new_names(layout, values, wanted))
                more = [f"tensor names translated from {layout.title}"] if layout.title else []
            if _covers(wanted, stem, new):
                new, headed = _with_head(new, heads)
                found.append(_Found(prefix, new, notes + more + headed))
        if found:
            chosen = _choice(found)
            return (chosen.tensors, chosen.notes) if chosen else (tensors, [])
    return tensors, []


def second_body(
    model: nn.Module, tensors: Mapping[str, Tensor], left_over: Iterable[str], *, heads: tuple[str, ...] = ()
) -> str | None:
    """The prefix under which the left-over tensors hold the whole backbone again, with other values; None without one.

    Args:
        model: the network.
        tensors: of the file, under the network's names.
        left_over: names in `tensors` that do not fill the network.
        heads: names of the modules that are no part of the backbone.
    """
    rest = {name: tensors[name] for name in left_over}
    wanted, stem = backbone_shapes(model, heads), stem_of(model)
    if len(rest) < len(wanted):
        return None
    for prefix in _prefixes(rest, len(wanted)):
        inside = {name.removeprefix(prefix): value for name, value in rest.items() if name.startswith(prefix)}
        if _covers(wanted, stem, inside) and not all(_same(inside[name], tensors.get(name)) for name in wanted):
            return prefix
    return None


def _same(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and one.dtype == other.dtype and is_dense(one) and torch.equal(one, other)


def _covers(wanted: Shapes, stem: str | None, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors fill the backbone, up to the channels of the first layer."""
    for name, shape in wanted.items():
        if name not in tensors:
            return False
        if tuple(tensors[name].shape) != shape and not (name == stem and _same_but_channels(tensors[name], shape)):
            return False
    return True


def _same_but_channels(value: Tensor, shape: tuple[int, ...]) -> bool:
    found = tuple(value.shape)
    return len(found) == len(shape) and len(shape) > 2 and found[:1] + found[2:] == shape[:1] + shape[2:]


def _prefixes(tensors: Mapping[str, Tensor], count: int) -> list[str]:
    """Dotted beginnings that at least half as many names share as the backbone has, the shortest first."""
    votes: dict[str, int] = {}
    for name in tensors:
        parts = name.split(".")
        for i in range(1, min(_DEPTH + 1, len(parts))):
            prefix = ".".join(parts[:i]) + "."
            votes[prefix] = votes.get(prefix, 0) + 1
    return sorted((prefix for prefix, found in votes.items() if found >= count / 2), key=len)


def _without(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefix; those that lack it stay, but for names that are taken."""
    inside = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return {name: value for name, value in tensors.items() if not name.startswith(prefix)} | inside


def _renamed(tensors: dict[str, Tensor], names: Mapping[str, str] | None) -> dict[str, Tensor]:
    """The tensors under their new names; none where the layout is not theirs or two would share a name."""
    if names is None or len(set(names.values())) < len(names):
        return {}
    return {names[name]: value for name, value in tensors.items()}


def _with_head(tensors: dict[str, Tensor], heads: tuple[str, ...]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors with mmpretrain's head, which lies beside its backbone, in the place of the network's own."""
    theirs = next((name for name in _HEADS if f"{name}.weight" in tensors), None)
    if theirs is None or not heads or f"{heads[0]}.weight" in tensors:
        return tensors, []
    moved = {
        f"{heads[0]}{name.removeprefix(theirs)}" if under(name, [theirs]) else name: v for name, v in tensors.items()
    }
    return moved, [f"`{theirs}` of the file is the head"]


def _choice(found: list[_Found]) -> _Found | None:
    """The only translation, or the only one that is no momentum copy or student; None where there are several."""
    kept = [one for one in found if not _LESSER.search(one.prefix)] if len(found) > 1 else found
    if any(one.prefix == "" for one in kept):
        return kept[0]
    return kept[0] if len(kept) == 1 else None
