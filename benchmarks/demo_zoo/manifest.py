"""Write the embedded zoo's manifest twice: for the package, and for the root with examples of other kinds of entry."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from acrank.demo import zoo_path
from acrank.system.files import atomic_write, sha256_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Entry(NamedTuple):
    """The manifest entry of one checkpoint; `mean` and `std` per channel, of images in [0, 1]."""

    id: str
    architecture: str
    file: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tags: tuple[str, ...]
    source_accuracy: float


def write_manifests(entries: list[Entry]) -> None:
    """Write acrank/demo/model_zoo.yaml and the root's model_zoo.yaml from the same entries."""
    weights = zoo_path().parent / "weights"
    package = render(entries, weights, prefix="weights")
    root = render(entries, weights, prefix="acrank/demo/weights")
    examples = (HERE / "examples.yaml").read_text(encoding="utf-8")
    atomic_write(zoo_path(), f"{HEAD}\n{package}")
    atomic_write(ROOT / "model_zoo.yaml", f"{HEAD}{ROOT_NOTE}\n{root}\n{examples}")


def render(entries: list[Entry], weights: Path, prefix: str) -> str:
    """The manifest's data, with every weights path below `prefix`."""
    head = "version: 1\ndefaults:\n  license: MIT\nmodels:\n"
    return head + "".join(_render(entry, sha256_of(weights / entry.file), prefix) for entry in entries)


def _render(entry: Entry, sha256: str, prefix: str) -> str:
    return (
        f"  - id: {entry.id}\n"
        f"    architecture: {entry.architecture}\n"
        f"    weights: {prefix}/{entry.file}\n"
        f"    sha256: {sha256}\n"
        f"    input: {{size: 64, mean: {list(entry.mean)}, std: {list(entry.std)}}}\n"
        f"    tags: [{', '.join(entry.tags)}]\n"
        f"    reference: {{source_accuracy: {entry.source_accuracy:.3f}}}\n"
    )


HEAD = """\
# The embedded zoo: tiny checkpoints trained on procedural images (and scikit-learn's digits).
# Written by benchmarks/demo_zoo/pretrain.py; ids read architecture-source. Paths are relative to this file.
"""
ROOT_NOTE = "# Replace them with your own: the examples at the end show every other kind of entry.\n"
