"""The cache's files: damaged, replaced, made up, or not its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz.case import Case
from fuzz.odd import HOSTILE, damaged, instead_of_file, odd
from fuzz.workspace import Workspace, move


def _copied(w: Workspace) -> Path:
    shutil.copytree(w.materials.cache, w.folder / "cache")
    return w.folder / "cache"


def _files(cache: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in cache.rglob(pattern) if path.is_file())


def _rank(w: Workspace, **known: Any) -> Case:
    """The materials' run once more: whatever the cache holds, the values are those."""
    kind = w.random.random()
    if kind < 0.15:
        return w.case("cache", w.random.choice(("list", "path")), **known)
    return w.score(values=w.materials.values, **known)


@move
def sound(w: Workspace) -> Case:
    """The cache as it is, or none."""
    if w.random.random() < 0.5:
        _copied(w)
    return w.score(values=w.materials.values, sound=True)


@move
def damaged_files(w: Workspace) -> Case:
    """Bytes of any file are flipped, cut or overwritten."""
    for path in w.random.sample(files := _files(_copied(w)), w.random.choice((1, len(files)))):
        path.write_bytes(damaged(path.read_bytes(), w.random))
    return _rank(w)


@move
def other_numbers(w: Workspace) -> Case:
    """Every number in the files of values is another."""

    def otherwise(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {name: otherwise(value) for name, value in tree.items()}
        if isinstance(tree, list):
            return [otherwise(value) for value in tree]
        return tree * 3 + 0.1 if isinstance(tree, float) else tree

    for path in _files(_copied(w), "*.json"):
        if "observations" in path.parts:
            path.write_text(json.dumps(otherwise(json.loads(path.read_text()))))
    return _rank(w)


@move
def other_json(w: Workspace) -> Case:
    """Files of values, hashes or indexes have another shape."""
    for path in _files(_copied(w), "*.json"):
        found = json.loads(path.read_text())
        if isinstance(found, dict) and found and w.random.random() < 0.7:
            found[w.random.choice(sorted(found))] = odd(w.random)
        else:
            found = odd(w.random)
        path.write_text(json.dumps(found))
    return _rank(w)


@move
def values_exchanged(w: Workspace) -> Case:
    """Observations and values lie under each other's names."""
    files = _files(_copied(w), w.random.choice(("*.h5", "*.json")))
    files = [path for path in files if "observations" in path.parts]
    bodies = [path.read_bytes() for path in files]
    for path, body in zip(files, bodies[1:] + bodies[:1], strict=True):
        path.write_bytes(body)
    return _rank(w)


@move
def no_files(w: Workspace) -> Case:
    """Devices, FIFOs, folders and links in the place of files."""
    for path in w.random.sample(files := _files(_copied(w)), w.random.choice((1, len(files)))):
        instead_of_file(path, w.random)
    return _rank(w)


@move
def foreign_files(w: Workspace) -> Case:
    """Files that acrank did not write, in its folder, are not its to delete."""
    cache = _copied(w)
    names = (
        "observations/aa/thesis.txt",
        "observations/aa/mine.h5",
        "observations/mine/x.json",
        "mine.json",
        "x/weights.json",
    )
    for name in names:
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text("mine")
    return w.case("cache", "clear", kept=tuple(f"cache/{name}" for name in names))


@move
def links(w: Workspace) -> Case:
    """Links out of the cache: what they lead to is not written, nor deleted."""
    cache = _copied(w)
    outside = w.folder / "mine"
    outside.mkdir()
    (outside / "x.h5").write_text("mine")
    (outside / "weights.json").write_text("{}")
    kept = ("mine/x.h5", "mine/weights.json")
    if w.random.random() < 0.5:
        (cache / "observations" / "zz").symlink_to(outside)
        (cache / "weights.json").unlink(missing_ok=True)
        (cache / "weights.json").symlink_to(outside / "weights.json")
    else:
        for path in _files(cache, "*.h5"):
            path.unlink()
            path.symlink_to(outside / "x.h5")
    if w.random.random() < 0.5:
        return w.case("cache", "clear", kept=kept)
    return w.score(values=w.materials.values, kept=kept)


@move
def odd_folder(w: Workspace) -> Case:
    """ACRANK_CACHE is empty, a file, a device, overlong, or strange."""
    (w.folder / "observations" / "aa").mkdir(parents=True)
    (w.folder / "observations" / "aa" / "x.h5").write_text("mine")
    (w.folder / "weights.json").write_text("{}")
    (w.folder / "home").mkdir()
    (w.folder / "file").touch()
    (w.folder / "loop").symlink_to("loop")
    words = ("", " ", "file", "file/x", "/dev/null", "/dev/null/x", "loop", "a" * 300, "a/" * 3000, "/proc/x", *HOSTILE)
    env = {"ACRANK_CACHE": w.random.choice(words), "HOME": str(w.folder / "home"), "XDG_CACHE_HOME": ""}
    kept = ("observations/aa/x.h5", "weights.json")
    kinds: tuple[Callable[[], Case], ...] = (
        lambda: w.case("cache", "clear", env=env, kept=kept),
        lambda: w.case("cache", w.random.choice(("list", "path")), env=env, kept=kept),
        lambda: w.score(env=env, kept=kept, values=w.materials.values),
    )
    return w.random.choice(kinds)()


@move
def inside_folder(w: Workspace) -> Case:
    """Folders where files should be, and a folder that cannot be written."""
    cache = w.folder / "cache"
    cache.mkdir()
    name = w.random.choice(("weights.json", "observations", "architectures", "observations/aa/x.h5"))
    if w.random.random() < 0.5:
        (cache / name).mkdir(parents=True)
    else:
        (cache / name.split("/")[0]).write_text("x")
    return w.random.choice((lambda: _rank(w), lambda: w.case("cache", "clear"), lambda: w.case("cache", "list")))()
