"""Finetuning methods: one small file per method, and the METHODS table. This file loads no torch.

A method may convert layers, freeze parameters, or add a penalty to the loss; methods of different kinds combine.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acrank.errors import UsageError
from acrank.system.words import closest

if TYPE_CHECKING:
    from acrank.finetuning.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class MethodEntry:
    """One row of METHODS.

    Attributes:
        name: as in `--method` and the truth table.
        where: "module:class" below acrank.finetuning.methods.
        kind: "layers", "trains", "anchor" or "features": methods of one kind exclude each other.
            "alone" combines with nothing.
        summary: what it does; paper: its source.
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
    MethodEntry(name="vanilla", where="method:Method", kind="alone", summary="every parameter trains"),
    MethodEntry(
        name="ac-norm",
        where="ac_norm:ACNorm",
        kind="layers",
        summary="batch normalisation becomes AC-Norm; every target parameter trains",
        paper="Zhang et al., arXiv 2307.15282",
    ),
    MethodEntry(
        name="stochnorm",
        where="stochnorm:StochNormMethod",
        kind="layers",
        summary="each channel is normalised by the batch's or the running statistics, at random",
        paper="Kou et al., NeurIPS 2020",
    ),
    MethodEntry(
        name="bn-only",
        where="bn_only:BNOnly",
        kind="trains",
        summary="only the head and the affine parameters of normalisation layers train",
    ),
    MethodEntry(
        name="l2-sp",
        where="l2_sp:L2SP",
        kind="anchor",
        summary="weight decay of the body towards the source weights",
        paper="Li et al., ICML 2018",
    ),
    MethodEntry(
        name="delta",
        where="delta:Delta",
        kind="anchor",
        summary="feature maps are pulled to the source's, weighted by channel importance",
        paper="Li et al., ICLR 2019",
    ),
    MethodEntry(
        name="bss",
        where="bss:BSS",
        kind="features",
        summary="the smallest singular values of a batch's features are penalised",
        paper="Chen et al., NeurIPS 2019",
    ),
    MethodEntry(
        name="linear-probe",
        where="linear_probe:LinearProbe",
        kind="alone",
        summary="only the head trains, the body stays in eval mode",
    ),
    MethodEntry(
        name="from-scratch",
        where="from_scratch:FromScratch",
        kind="alone",
        summary="the body starts from random weights",
    ),
)
#: Name -> method, in the order in which combinations are named.
METHODS: dict[str, MethodEntry] = {row.name: row for row in _ROWS}


def parse_methods(text: str) -> tuple[str, ...]:
    """Canonical names of the methods in a comma-separated list; combinations with `+` are put in the table's order.

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
        raise UsageError(f"method {twice!r} is given twice", hint="name each once")
    return names


def make_methods(name: str) -> list[Method]:
    """New instances of the methods in a canonical name; loads torch."""
    return [METHODS[part].make() for part in name.split("+")]


def _canonical(text: str) -> str:
    parts = [part.strip() for part in text.split("+")]
    for part in parts:
        if part not in METHODS:
            hint = closest(part, METHODS, f"choose from {', '.join(METHODS)}")
            raise UsageError(f"unknown finetuning method {part!r}", hint=hint)
    _check_combination(text, parts)
    return "+".join(sorted(parts, key=list(METHODS).index))


def _check_combination(text: str, parts: Sequence[str]) -> None:
    for i, one in enumerate(parts):
        kind = METHODS[one].kind
        if kind == "alone" and len(parts) > 1:
            raise UsageError(f"cannot combine {text!r}: {one} combines with nothing", hint=f"use {one} alone")
        other = next((name for name in parts[:i] if METHODS[name].kind == kind), None)
        if other is not None:
            raise UsageError(
                f"cannot combine {text!r}: {other} and {one} do the same work",
                hint="separate them with a comma",
            )
