"""One declaration per option: a field of a settings class carries its flag, help, choices and bounds.

The command line builds its options from these fields (`acrank.cli.options`), and `check_options` holds the values of an
instance against them, so that an option is written once.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from acrank.errors import UsageError
from acrank.system.words import closest

#: Bounds that several options share: seeds fit in 63 bits, and a target does not hold more images.
MOST_SEED = 2**63 - 1
MOST_IMAGES = 10**9


@dataclass(frozen=True, kw_only=True)
class Opt:
    """What the command line says of a field.

    Attributes:
        help: one line; a default that depends on other choices stands at its end in brackets.
        flag: the flag, or "--on/--off"; empty for the field's name with hyphens.
        choices: the words that are allowed; empty for any.
        least: the lowest number that is allowed.
        most: the highest number that is allowed; every option that takes numbers has one.
        metavar: what stands for the value in the help; empty for the type's name or the choices.
        panel: the heading under which `--help` lists the option; empty for the class's `PANEL`, where it has one.
        variable: whether the environment variable ACRANK_<FLAG> sets it, too.
    """

    help: str
    flag: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    metavar: str = ""
    panel: str = ""
    variable: bool = True

    def flag_of(self, name: str) -> str:
        """The flag of a field, without that of its opposite."""
        return (self.flag or f"--{name.replace('_', '-')}").partition("/")[0]


def options_of(kind: type) -> Iterator[tuple[dataclasses.Field[Any], Any, Opt]]:
    """The fields of a dataclass that are options, each with its type and its `Opt`."""
    hints = _hints(kind)
    for field in dataclasses.fields(kind):
        found = [part for part in getattr(hints[field.name], "__metadata__", ()) if isinstance(part, Opt)]
        if found:
            option = dataclasses.replace(found[0], panel=found[0].panel or getattr(kind, "PANEL", ""))
            yield field, typing.get_args(hints[field.name])[0], option


def check_options(settings: Any) -> None:
    """Hold an instance's values against the choices and bounds of their fields; None and empty values pass.

    Raises:
        UsageError: a value that is no choice, or a number outside its bounds.
    """
    for field, _, option in options_of(type(settings)):
        value = getattr(settings, field.name)
        flag = option.flag_of(field.name)
        for one in value if isinstance(value, tuple | list) else [value]:
            if one in (None, ""):
                continue
            if option.choices and one not in option.choices:
                hint = closest(str(one), option.choices, f"choose one of {', '.join(option.choices)}")
                known = "" if hint.startswith("choose") else f" ({flag} {'|'.join(option.choices)})"
                raise UsageError(f"unknown {flag} {one!r}", hint=hint + known)
            if option.least is not None and not one >= option.least:
                raise UsageError(f"{flag} is {one}", hint=f"it must be at least {option.least:g}")
            if option.most is not None and one > option.most:
                raise UsageError(f"{flag} is {one}", hint=f"it must be at most {option.most:,.15g}")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)
