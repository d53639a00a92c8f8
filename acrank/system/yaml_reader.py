"""YAML with the line of every value and with duplicate keys as problems; plain `safe_load` loses both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

#: The path to a value: mapping keys and list positions from the top.
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One error in a file: its `line` (from 1; None if unknown), `where` in the data it is, the `text` and a `hint`."""

    line: int | None
    where: str
    text: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


@dataclass(frozen=True)
class Document:
    """Parsed YAML: the data, the line of each place, and the problems found, such as duplicate keys."""

    data: Any
    lines: dict[Place, int]
    problems: list[Problem]

    def line_of(self, place: Place) -> int | None:
        """The line of a place, or of the innermost place around it that has one."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return None

    def problem(self, place: Place, text: str, *, where: str = "", hint: str | None = None) -> Problem:
        """A problem on the line of a place."""
        return Problem(self.line_of(place), where, text, hint=hint)


def read_yaml(text: str) -> Document:
    """One YAML document, parsed with the safe loader; text that is not YAML gives no data and one problem.

    >>> document = read_yaml("a: 1\\nb: [x, y]\\n")
    >>> document.data, document.line_of(("b", 1))
    ({'a': 1, 'b': ['x', 'y']}, 2)
    """
    try:
        loader = yaml.SafeLoader(text)  # parsed once, for the lines and for the data
        node = loader.get_single_node()
        found = _Places()
        if node is not None:
            found.walk(node, ())
        return Document(None if node is None else loader.construct_document(node), found.lines, found.problems)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        parts = [getattr(error, "context", None), getattr(error, "problem", None)]
        what = ", ".join(part for part in parts if part) or str(error)
        return Document(None, {}, [Problem(mark.line + 1 if mark else None, "", f"not valid YAML: {what}")])
    except (ValueError, RecursionError) as error:  # an impossible date, or nesting that is too deep
        return Document(None, {}, [Problem(None, "", f"not valid YAML: {error}")])


class _Places:
    """The line of every place in a YAML document, and the duplicate keys."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def walk(self, node: yaml.Node, place: Place) -> None:
        self.lines[place] = node.start_mark.line + 1
        if id(node) in self._seen:  # an alias: its lines are those of the anchor, and a cycle would never end
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self.walk(item, (*place, i))
        elif isinstance(node, yaml.MappingNode):
            self._walk_mapping(node, place)

    def _walk_mapping(self, node: yaml.MappingNode, place: Place) -> None:
        first: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in first:
                text = f"duplicate key {name!r} (first on line {first[name]})"
                self.problems.append(Problem(line, "", text, hint="remove one"))
            first.setdefault(name, line)
            self.walk(value, (*place, name))
            self.lines[(*place, name)] = line
