"""Entries of a manifest and comments, as lines of YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from acrank.zoo.hub import registered_cfg

_PLAIN = re.compile(r"(\.{0,2}/)*[A-Za-z_][\w.:/+-]*")
_RESERVED = re.compile(r"(y|n|yes|no|on|off|true|false|null)", re.IGNORECASE)
_WIDTH = 110


@dataclass(frozen=True)
class Entry:
    """One model of a manifest, but for its id and the path of its weights.

    Attributes:
        architecture: as the manifest has it.
        keys: further keys, in order.
    """

    architecture: str
    keys: Mapping[str, Any] = field(default_factory=dict)


def entry_text(entry: Entry, name: str, weights: str) -> list[str]:
    """The lines of an entry, the first beginning with a dash.

    Example:
        >>> entry_text(Entry("resnet18", {"in_chans": 1}), "mine", "a b.pth")
        ['- id: mine', '  architecture: resnet18', '  weights: "a b.pth"', '  in_chans: 1']
    """
    keys = {"id": name, "architecture": entry.architecture, "weights": weights, **entry.keys}
    return [f"{'  ' if i else '- '}{key}: {_value(value)}" for i, (key, value) in enumerate(keys.items())]


def comment(*texts: str, indent: int = 0) -> list[str]:
    """Each text as comment lines; what cannot be printed becomes escapes.

    Example:
        >>> comment("a\\nb", indent=2)
        ['  # a\\\\nb']
    """
    lines = []
    for text in texts:
        words = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text).split(" ")
        line = words[0]
        for word in words[1:]:
            if len(line) + len(word) >= _WIDTH:
                lines.append(line)
                line = f"  {word}"
            else:
                line += f" {word}"
        lines.append(line)
    return [f"{' ' * indent}# {line}" for line in lines]


def unique_id(path: Path, used: set[str]) -> str:
    """An id from a path without its suffix, which no other entry has; it is added to `used`."""
    plain = path.as_posix()
    for suffix in (".tar", path.suffix, ".pth", ".pt"):
        plain = plain.removesuffix(suffix) or plain
    plain = " ".join(plain.split())
    tries = [plain, path.as_posix(), *(f"{plain}-{i}" for i in range(2, len(used) + 3))]
    name = next(one for one in tries if one not in used)
    used.add(name)
    return name


def input_line(architecture: str) -> list[str]:
    """What acrank will assume of the input, as a line to make an entry of; a file does not say it."""
    if ":" in architecture:
        return ["input size and normalisation are not in the file: give `input`, or acrank assumes them"]
    cfg = registered_cfg(architecture)
    if not all(cfg.get(key) for key in ("input_size", "mean", "std")):
        return []
    size, mean, std = (list(cfg[key]) for key in ("input_size", "mean", "std"))
    given = f"input: {{size: {size[1:] if size[1] != size[2] else size[1]}, mean: {mean}, std: {std}}}"
    return [f"not in the file, assumed as timm's: {given}"]


def _value(value: Any) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and not _RESERVED.fullmatch(value) and not value.endswith(":")
        return value if plain else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Any text between double quotes, on one line; what YAML has no room for is escaped."""
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))).rstrip("\n")
