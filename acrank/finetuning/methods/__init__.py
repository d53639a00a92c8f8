"""Ways of finetuning: one small file per method, and the METHODS table. Naming a method loads no torch.

A method may change the network, choose what trains, or add a penalty to the loss; methods of different kinds combine.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acrank.errors import UsageError

if TYPE_CHECKING:
    from acrank.finetuning.methods.method import Method


@dataclass(frozen=True)
class MethodEntry:
    """One row of METHODS.

    Attributes:
        name: as in `--method` and the truth table.
        where: "module:class" below acrank.finetuning.methods.
        kind: "layers", "trains", "anchor" or "features": two methods of one kind exclude each other.
            "alone" combines with nothing.
        summary: what it does; paper: where it is from.
    """

    name: str
    where: str
    kind: str
    summary: str
    paper: str = ""

    def make(self) -> Method:
        """A new instance; loads torch."""
        module, name = self.where.split(":")
        method: Method = getattr(importlib.import_module(f"acrank.finetuning.methods.{module}"), name)()
        return method


_ROWS = (
    MethodEntry("vanilla", "method:Method", "alone", "every parameter trains"),
    MethodEntry(
        "ac-norm",
        "ac_norm:ACNorm",
        "layers",
        "batch normalisation becomes AC-Norm; every target parameter trains",
        "Zhang et al., arXiv 2307.15282",
    ),
    MethodEntry(
        "stochnorm",
        "stochnorm:StochNormMethod",
        "layers",
        "each channel is normalised by the batch's or the running statistics, at random",
        "Kou et al., NeurIPS 2020",
    ),
    MethodEntry("bn-only", "bn_only:BNOnly", "trains", "normalisation affines and the head train"),
    MethodEntry("l2-sp", "l2_sp:L2SP", "anchor", "the body is pulled to the source's weights", "Li et al., ICML 2018"),
    MethodEntry(
        "delta",
        "delta:Delta",
        "anchor",
        "feature maps are pulled to the source's, weighted by channel importance",
        "Li et al., ICLR 2019",
    ),
    MethodEntry(
        "bss",
        "bss:BSS",
        "features",
        "the smallest singular values of a batch's features are penalised",
        "Chen et al., NeurIPS 2019",
    ),
    MethodEntry("linear-probe", "linear_probe:LinearProbe", "alone", "the head alone trains, the body as in inference"),
    MethodEntry("from-scratch", "from_scratch:FromScratch", "alone", "the body starts from random weights"),
)
#: Name -> method, in the order in which combinations are named.
METHODS: dict[str, MethodEntry] = {row.name: row for row in _ROWS}


def parse_methods(text: str) -> tuple[str, ...]:
    """Canonical names of the methods in a comma-separated list, `+` combining; parts are put in the table's order.

    Raises:
        UsageError: an unknown method, one given twice, or methods that exclude each other.

    Example:
        >>> parse_methods("vanilla, l2-sp+ac-norm")
        ('vanilla', 'ac-norm+l2-sp')
    """
    names = tuple(_canonical(part.strip()) for part in text.split(",") if part.strip())
    if not names:
        raise UsageError("no method is named", hint=f"choose from {', '.join(METHODS)}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"the method {twice!r} is given twice", hint="name each once")
    return names


def make_methods(name: str) -> list[Method]:
    """The instances that a canonical name stands for; loads torch."""
    return [METHODS[part].make() for part in name.split("+")]


def _canonical(text: str) -> str:
    parts = [part.strip() for part in text.split("+")]
    for part in parts:
        if part not in METHODS:
            close = difflib.get_close_matches(part, METHODS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(METHODS)}"
            raise UsageError(f"there is no finetuning method {part!r}", hint=hint)
    _refuse_nonsense(text, parts)
    return "+".join(sorted(parts, key=list(METHODS).index))


def _refuse_nonsense(text: str, parts: Sequence[str]) -> None:
    for i, one in enumerate(parts):
        kind = METHODS[one].kind
        if kind == "alone" and len(parts) > 1:
            raise UsageError(f"{text!r} makes no sense: {one} combines with nothing", hint=f"use {one} alone")
        other = next((name for name in parts[:i] if METHODS[name].kind == kind), None)
        if other is not None:
            raise UsageError(
                f"{text!r} makes no sense: {other} and {one} do the same work",
                hint="give them as two methods, with a comma",
            )
