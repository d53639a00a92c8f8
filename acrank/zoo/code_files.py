"""The files that a `factory:` entry's code lives in, found without running it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path


def code_file(module: str, folder: Path) -> Path | None:
    """The file of a factory's module, beside the manifest or installed; None where there is none.

    Args:
        module: its dotted name.
        folder: of the manifest.
    """
    beside = folder / f"{module.replace('.', '/')}.py"
    if beside.is_file():
        return beside
    package, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin).parent.joinpath(*inner).with_suffix(".py") if inner else Path(spec.origin)
    return path if path.is_file() or not inner else None


def code_files(module: str, folder: Path) -> list[Path]:
    """The file of a factory's module and, beside the manifest, of every module that it imports there, sorted.

    Imports are read from the source; what code imports by other means is not found, nor what lies elsewhere.

    Args:
        module: its dotted name.
        folder: of the manifest.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "networks.py").write_text("import torch, blocks"), (folder / "blocks.py").write_text("")
        >>> [path.name for path in code_files("networks", folder)]
        ['blocks.py', 'networks.py']
    """
    first = code_file(module, folder)
    if first is None or not first.is_relative_to(folder):
        return [first] if first else []
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for path in _files_of(name, folder):
            if path not in found:
                found.add(path)
                waiting += _imports_of(path, folder)
    return sorted(found)


def _files_of(module: str, folder: Path) -> Iterator[Path]:
    """The files beside the manifest that importing a module runs: its packages' and its own."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:count])
        yield from (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())


def _imports_of(path: Path, folder: Path) -> Iterator[str]:
    """The modules that a file imports, by their names from the manifest's folder on."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # importing it says so
        return
    package = path.parent.relative_to(folder).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
