"""The source of a Python package, parsed: its rooms, imports, definitions, calls and lines. Nothing is imported.

A room is a folder at the package's root, with all that lies in it; a file at the root is a room of its own.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_FOR_TOOLS = ("# type:", "# noqa", "# pragma:", "# fmt:")  # comments that no reader needs


@dataclass(frozen=True)
class Import:
    """A name that a file takes from the package.

    Attributes:
        module: dotted, of the package.
        name: what is taken from it; None for the module itself.
        local: what the file calls it.
        typing_only: it stands under `if TYPE_CHECKING:`.
    """

    module: str
    name: str | None
    local: str
    typing_only: bool


@dataclass
class File:
    """A parsed file.

    Attributes:
        path: relative to the package's folder.
        module: its dotted name.
        text: its source.
    """

    path: Path
    module: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return self.path.parts[0].removesuffix(".py")

    @cached_property
    def definitions(self) -> dict[str, ast.ClassDef | Function]:
        """Top-level classes and functions."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef | Function)}

    @cached_property
    def functions(self) -> list[Function]:
        """Functions and methods at any depth."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    @cached_property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def comments(self) -> int:
        """Comments, without those that speak to tools."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(one.type == tokenize.COMMENT and not one.string.startswith(_FOR_TOOLS) for one in tokens)

    @cached_property
    def code_lines(self) -> int:
        """Lines that are neither blank nor hold only a comment or docstring."""
        found: set[int] = set()
        for one in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if one.type not in _NO_CODE:
                found.update(range(one.start[0], one.end[0] + 1))
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                found -= docstring_lines(node)
        return len(found)


def docstring_lines(node: ast.Module | ast.ClassDef | Function) -> set[int]:
    """Numbers of the lines that a docstring takes."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return set()


def function_lines(function: Function) -> int:
    """Lines from `def` to the last statement, without the docstring."""
    return (function.end_lineno or 0) - function.lineno + 1 - len(docstring_lines(function))


@dataclass
class Package:
    """Every file of a package.

    Args:
        folder: the package's folder; its name is the package's name.
    """

    folder: Path
    files: list[File] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.files = []
        for path in sorted(self.folder.rglob("*.py")):
            inside = path.relative_to(self.folder)
            parts = [self.folder.name, *inside.with_suffix("").parts]
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.files.append(File(inside, module, path.read_text()))

    @cached_property
    def modules(self) -> dict[str, File]:
        return {file.module: file for file in self.files}

    @cached_property
    def rooms(self) -> list[str]:
        """Folders and files at the root, by name."""
        return sorted({file.room for file in self.files})

    @property
    def loose(self) -> list[str]:
        """Files at the root."""
        return [file.path.name for file in self.files if len(file.path.parts) == 1]

    @cached_property
    def imports(self) -> dict[str, list[Import]]:
        """Module -> what it imports from the package, at any depth."""
        return {file.module: list(self._imports(file)) for file in self.files}

    def arrows(self, *, typing: bool = True) -> set[tuple[str, str]]:
        """Ordered pairs of rooms of which the first imports from the second.

        Args:
            typing: count imports under `if TYPE_CHECKING:` too.
        """
        return {
            (file.room, self.modules[one.module].room)
            for file in self.files
            for one in self.imports[file.module]
            if (typing or not one.typing_only) and self.modules[one.module].room != file.room
        }

    def positional_calls(self, more_than: int = 3) -> list[tuple[File, ast.Call, str]]:
        """Calls of the package's own classes and functions with many positional arguments: file, call and name.

        Functions that take any number of arguments (`*words`) do not count.
        """
        variadic = {
            node.name
            for file in self.files
            for node in ast.walk(file.tree)
            if isinstance(node, ast.FunctionDef) and node.args.vararg is not None
        }
        return [
            (file, call, name)
            for file in self.files
            for call, name in self._own_calls(file)
            if len(call.args) > more_than and name not in variadic
        ]

    def public_names_defined_twice(self) -> dict[str, list[str]]:
        """Public top-level classes and functions that more than one file defines: name -> files.

        `main` and the functions of the command line that are named as their command, which is their file, do not count.
        """
        found: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            for name in file.definitions:
                command = file.room == "cli" and file.path.stem == name
                if not (name.startswith("_") or name == "main" or command):
                    found[name].append(file.path.as_posix())
        return {name: files for name, files in sorted(found.items()) if len(files) > 1}

    def shared_basenames(self, exempt: Sequence[str] = ()) -> dict[str, list[str]]:
        """File names that occur more than once, but for `__init__.py` and the files `exempt`: name -> files."""
        found: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            if file.path.name != "__init__.py" and file.path.as_posix() not in exempt:
                found[file.path.name].append(file.path.as_posix())
        return {name: files for name, files in sorted(found.items()) if len(files) > 1}

    def _imports(self, file: File) -> Iterator[Import]:
        guarded = {id(inner) for node in ast.walk(file.tree) if _is_typing_guard(node) for inner in ast.walk(node)}
        for node in ast.walk(file.tree):
            typing_only = id(node) in guarded
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in self.modules:
                        yield Import(alias.name, None, alias.asname or alias.name, typing_only)
            elif isinstance(node, ast.ImportFrom):
                source = _absolute(node, file)
                for alias in node.names:
                    local, inner = alias.asname or alias.name, f"{source}.{alias.name}"
                    if inner in self.modules:
                        yield Import(inner, None, local, typing_only)
                    elif source in self.modules:
                        yield Import(source, alias.name, local, typing_only)

    def _defined(self, module: str, name: str, seen: frozenset[str] = frozenset()) -> ast.ClassDef | Function | None:
        """The definition of a module's name, through the imports that pass it on."""
        file = self.modules.get(module)
        if file is None or module in seen:
            return None
        if name in file.definitions:
            return file.definitions[name]
        for one in self.imports[module]:
            if one.local == name and one.name:
                return self._defined(one.module, one.name, seen | {module})
        return None

    def _own_calls(self, file: File) -> Iterator[tuple[ast.Call, str]]:
        """Calls of classes, functions and methods that the package defines, and what is called."""
        known = {one.local: one for one in self.imports[file.module]}

        def definition(name: str) -> ast.ClassDef | Function | None:
            one = known.get(name)
            if name not in file.definitions and one is not None and one.name:
                return self._defined(one.module, one.name)
            return file.definitions.get(name)

        def is_own(called: ast.expr, enclosing: ast.ClassDef | None) -> bool:
            if isinstance(called, ast.Name):
                return definition(called.id) is not None or (called.id == "cls" and enclosing is not None)
            if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
                return False
            owner = enclosing if called.value.id in ("self", "cls") else definition(called.value.id)
            if isinstance(owner, ast.ClassDef):
                return any(isinstance(node, Function) and node.name == called.attr for node in owner.body)
            module = known.get(called.value.id)
            return module is not None and module.name is None and self._defined(module.module, called.attr) is not None

        def visit(node: ast.AST, enclosing: ast.ClassDef | None) -> Iterator[tuple[ast.Call, str]]:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.Call) and is_own(child.func, enclosing):
                    yield child, ast.unparse(child.func)
                yield from visit(child, child if isinstance(child, ast.ClassDef) else enclosing)

        yield from visit(file.tree, None)


def _absolute(node: ast.ImportFrom, file: File) -> str:
    """The module that an import names, also where it is relative."""
    if not node.level:
        return node.module or ""
    parts = file.module.split(".")
    above = parts[: len(parts) - node.level + (file.path.name == "__init__.py")]
    return ".".join([*above, *([node.module] if node.module else [])])


def _is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def components(nodes: Sequence[str], arrows: set[tuple[str, str]]) -> list[frozenset[str]]:
    """Groups of nodes that reach each other; a node in no circle is a group of its own."""
    reach = {node: _reachable(node, arrows) for node in nodes}
    return sorted(
        {frozenset(other for other in nodes if other in reach[node] and node in reach[other]) for node in nodes},
        key=lambda group: sorted(group),
    )


def _reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    """`start`, and all to which a path of arrows leads from it."""
    found, left = {start}, [start]
    while left:
        node = left.pop()
        new = {after for before, after in arrows if before == node} - found
        found |= new
        left += new
    return found


def levels(nodes: Sequence[str], arrows: set[tuple[str, str]]) -> int:
    """Nodes on the longest path, where a circle counts as one node."""
    group_of = {node: group for group in components(nodes, arrows) for node in group}
    after: dict[frozenset[str], set[frozenset[str]]] = defaultdict(set)
    for one, other in arrows:
        if group_of[one] != group_of[other]:
            after[group_of[one]].add(group_of[other])
    depth: dict[frozenset[str], int] = {}

    def deep(group: frozenset[str]) -> int:
        if group not in depth:
            depth[group] = 1 + max((deep(other) for other in after[group]), default=0)
        return depth[group]

    return max(map(deep, group_of.values()), default=0)
