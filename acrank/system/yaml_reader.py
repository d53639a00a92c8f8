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


def read_yaml(text: str) -> Document:
    """One YAML document, parsed with the safe loader; text that is not YAML gives no data and one problem.

    >>> document = read_yaml("a: 1\\nb: [x, y]\\n")
    >>> document.data, document.line_of(("b", 1))
    ({'a': 1, 'b': ['x', 'y']}, 2)
    """
    try:
        loader = yaml.SafeLoader(text)  # parsed once, for the lines and for the data
        node = loader.get_single_node()
        lines: dict[Place, int] = {}
        problems: list[Problem] = []
        if node is not None:
            _walk(node, (), lines, problems, set())
        return Document(None if node is None else loader.construct_document(node), lines, problems)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        parts = [getattr(error, "context", None), getattr(error, "problem", None)]
        what = ", ".join(part for part in parts if part) or str(error)
        return Document(None, {}, [Problem(mark.line + 1 if mark else None, "", f"not valid YAML: {what}")])
    except (ValueError, RecursionError) as error:  # an impossible date, or nesting that is too deep
        return Document(None, {}, [Problem(None, "", f"not valid YAML: {error}")])


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], problems: list[Problem], seen: set[int]) -> None:
    lines[place] = node.start_mark.line + 1
    if id(node) in seen:  # an alias: its lines are those of the anchor, and a cycle would never end
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk(item, (*place, i), lines, problems, seen)
    elif isinstance(node, yaml.MappingNode):
        _walk_mapping(node, place, lines, problems, seen)


def _walk_mapping(
    node: yaml.MappingNode, place: Place, lines: dict[Place, int], problems: list[Problem], seen: set[int]
) -> None:
    first: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in first:
            text = f"duplicate key {name!r} (first on line {first[name]})"
            problems.append(Problem(line, "", text, hint="remove one"))
        first.setdefault(name, line)
        _walk(value, (*place, name), lines, problems, seen)
        lines[(*place, name)] = line
