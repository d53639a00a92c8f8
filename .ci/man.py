"""The man page from the program's own help: `python .ci/man.py > man/acrank.1`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import typer

from acrank import __version__
from acrank.cli.app import build

CODES = {
    "0": "done; gates passed (skipped candidates alone are no failure)",
    "1": "a gate failed",
    "2": "usage, an invalid manifest, table, gates or configuration file, or an output that cannot be written",
    "3": "target or checkpoints unusable: nothing ranked",
    "4": "internal error (please report it; `-vv` shows the traceback)",
    "130": "interrupted; what was finished is kept",
}


def escaped(text: str) -> str:
    """Text as troff shows it: backslashes, hyphens that may be copied, and no request at the begin of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that can be run, with its full name."""
    for part, command in group.commands.items():
        inner = getattr(command, "commands", None)
        yield from commands(command, f"{name} {part}") if inner else [(f"{name} {part}", command)]


def page() -> str:
    """The whole page, in the macros of man(7)."""
    root: Any = typer.main.get_command(build())
    lines = [f'.TH ACRANK 1 "" "acrank {__version__}" "User Commands"', ".SH NAME"]
    lines += ["acrank \\- rank pretrained checkpoints for your own images, in seconds", ".SH SYNOPSIS"]
    lines += [".B acrank", ".I COMMAND", "[OPTIONS]", ".SH COMMANDS"]
    for name, command in commands(root, "acrank"):
        lines += [f'.SS "{escaped(name)}"', escaped(" ".join((command.help or "").split()))]
        context = command.make_context(name, [], resilient_parsing=True)
        for param in command.get_params(context):
            if record := param.get_help_record(context):
                lines += [".TP", f"\\fB{escaped(record[0])}\\fR", escaped(" ".join(record[1].split())) or "\\&"]
    lines.append(".SH EXIT STATUS")
    for code, meaning in CODES.items():
        lines += [".TP", f".B {code}", escaped(meaning)]
    lines += [".SH ENVIRONMENT", "Options marked with a variable can be set by it; a flag goes before the variable."]
    lines += [".TP", ".B ACRANK_CACHE", "Folder of the cache."]
    lines += [".TP", ".B ACRANK_CONFIG", "Configuration file; none switches the search for one off."]
    lines += [".SH FILES", ".TP", ".B acrank.toml, pyproject.toml", "Options, below flags and variables."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
