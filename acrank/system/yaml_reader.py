"""YAML with the line of every value and with duplicate keys as problems; plain `safe_load` loses both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from acrank.system.words import shortened

#: Bytes of a YAML file: a manifest of ten thousand models takes two MB.
MOST_YAML = 8 * 2**20
#: Levels of a document, and its size in characters once its aliases are replaced by what they mean.
MOST_DEPTH = 50
MOST_EXPANDED = 64 * 2**20
_OF_A_NODE = 64  # characters that a value counts as beside its own
_TOO_DEEP = f"nested too deep: more than {MOST_DEPTH} levels"
_FEWER = "write the values out, without anchors and aliases"
#: The path to a value: mapping keys and list positions from the top.
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One error in a file: its `line` (from 1; None if unknown), `where` in the data it is, the `text` and a `hint`.

    Texts are shortened: a value in them may be huge.
    """

    line: int | None
    where: str
    text: str
    hint: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", shortened(self.where, 200))
        object.__setattr__(self, "text", shortened(self.text))
        object.__setattr__(self, "hint", self.hint and shortened(self.hint))

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
            if problem := _too_large(node):
                return Document(None, {}, [problem])
            found.walk(node, ())
        return Document(None if node is None else loader.construct_document(node), found.lines, found.problems)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        parts = [getattr(error, "context", None), getattr(error, "problem", None)]
        what = ", ".join(part for part in parts if part) or str(error)
        return Document(None, {}, [Problem(mark.line + 1 if mark else None, "", f"not valid YAML: {what}")])
    except RecursionError:
        return Document(None, {}, [Problem(None, "", f"not valid YAML: {_TOO_DEEP}")])
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:  # `!!bool x`, no such date
        text = f"not valid YAML: a value is not what its tag or form says ({type(error).__name__}: {error})"
        return Document(None, {}, [Problem(None, "", text, hint="put it in quotes, or remove the tag")])


def _too_large(root: yaml.Node) -> Problem | None:
    """What is wrong with a document that exceeds the bounds once its aliases are replaced by what they mean."""
    line = root.start_mark.line + 1
    try:
        size, depth = _measure(root, {})
    except _CycleError:
        return Problem(line, "", "an alias means what it is a part of", hint=_FEWER)
    if depth > MOST_DEPTH:
        return Problem(line, "", _TOO_DEEP)
    text = "too many values once its aliases are replaced by what they mean"
    return Problem(line, "", text, hint=_FEWER) if size > MOST_EXPANDED else None


class _CycleError(Exception):
    """An alias lies inside what it means."""


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Size and depth of a node with its aliases expanded; each node is looked at once, `known` has None meanwhile."""
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise _CycleError
        return found
    known[id(node)] = None
    inside = [_measure(one, known) for one in _children(node)]
    text = len(node.value) if isinstance(node, yaml.ScalarNode) else 0
    size = _OF_A_NODE + text + sum(size for size, _ in inside)
    out = size, 1 + max((depth for _, depth in inside), default=0)
    known[id(node)] = out
    return out


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


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
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            line = key.start_mark.line + 1
            if name in first:
                text = f"duplicate key {name!r} (first on line {first[name]})"
                self.problems.append(Problem(line, "", text, hint="remove one"))
            first.setdefault(name, line)
            self.walk(value, (*place, name))
            self.lines[(*place, name)] = line
