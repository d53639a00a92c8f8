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


@dataclass(frozen=True)
class MethodEntry:
    """One row of METHODS.

    Attributes:
        where: "module:class" below acrank.finetuning.methods; its docstring says what the method does.
        kind: "layers", "trains", "anchor" or "features": methods of one kind exclude each other.
            "alone" combines with nothing.
    """

    where: str
    kind: str

    def make(self) -> Method:
        """A new instance; loads torch."""
        module, name = self.where.split(":")
        method: Method = getattr(importlib.import_module(f"acrank.finetuning.methods.{module}"), name)()
        return method


#: Name as in `--method` and the truth table -> method, in the order in which combinations are named.
METHODS = {
    "vanilla": MethodEntry("method:Method", "alone"),
    "ac-norm": MethodEntry("ac_norm:ACNorm", "layers"),
    "stochnorm": MethodEntry("stochnorm:StochNormMethod", "layers"),
    "bn-only": MethodEntry("bn_only:BNOnly", "trains"),
    "l2-sp": MethodEntry("l2_sp:L2SP", "anchor"),
    "delta": MethodEntry("delta:Delta", "anchor"),
    "bss": MethodEntry("bss:BSS", "features"),
    "linear-probe": MethodEntry("head_only:LinearProbe", "alone"),
    "from-scratch": MethodEntry("from_scratch:FromScratch", "alone"),
}


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
