"""Files that change, vanish or close while a command runs, and files that may not be read or written at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fuzz.case import Case
from fuzz.materials import QUICK, QUICK_FINETUNING
from fuzz.server import CHANGES
from fuzz.workspace import Workspace, move


def _plan(w: Workspace, path: str, *changes: str) -> dict[str, Any]:
    """After no row, or one."""
    change = w.random.choice(changes or tuple(CHANGES))
    after = w.random.uniform(0, w.random.choice((0.01, 0.3)))
    return {
        "file": "run.json",
        "count": '"model": ',
        "rows": w.random.randrange(2),
        "after": after,
        "change": change,
        "path": path,
    }


def _zoo(w: Workspace) -> Path:
    """Three candidates whose weights lie in the folder."""
    for name in "abc":
        shutil.copy(
            w.materials.folder / f"{'a' if name == 'c' else name}.safetensors", w.folder / f"{name}.safetensors"
        )
    entries = [w.materials.entry("b" if name == "b" else "a") for name in "abc"]
    given = [{**one, "id": name, "weights": f"{name}.safetensors"} for one, name in zip(entries, "abc", strict=True)]
    return w.write_zoo(*given)


def _score(w: Workspace, path: str, *changes: str, **known: Any) -> Case:
    more = ("--workers", 2) if w.random.random() < 0.1 else ()
    if w.random.random() < 0.5:
        more = (*more, "--no-cache")
    where = ("--zoo", _zoo(w), "--data", w.copy_data())
    return w.case("score", *where, *QUICK, "-o", "run.json", *more, meanwhile=_plan(w, path, *changes), **known)


@move
def sound(w: Workspace) -> Case:
    """Nothing happens."""
    return w.score(zoo=_zoo(w), data=w.copy_data(), sound=True)


@move
def data_change(w: Workspace) -> Case:
    """Images, or their folder."""
    return _score(w, w.random.choice(("data", "data/c0", "data/c0/0.png", "data/c1/3.png")))


@move
def weights_change(w: Workspace) -> Case:
    """A file of weights."""
    return _score(w, w.random.choice(("a.safetensors", "c.safetensors", "zoo.yaml")))


@move
def cache_changes(w: Workspace) -> Case:
    """The cache's folders."""
    path = w.random.choice(("cache", "cache/observations", "cache/weights.json"))
    return _score(w, path, "removed", "a FIFO", "garbled", "empty", "forbidden", "read-only")


@move
def output_changes(w: Workspace) -> Case:
    """The record itself, or its folder."""
    return _score(w, w.random.choice(("run.json", ".")), "removed", "read-only", "forbidden")


@move
def work_folder_changes(w: Workspace) -> Case:
    """The work folder of a finetuning."""
    path = w.random.choice(("truth.work", "truth.csv", "data", "a.safetensors", "."))
    plan = {**_plan(w, path, "removed", "read-only", "forbidden"), "file": "truth.csv", "count": "vanilla"}
    where = ("--zoo", _zoo(w), "--data", w.copy_data())
    return w.case("finetune", *where, *QUICK_FINETUNING, "-o", "truth.csv", meanwhile=plan)


@move
def forbidden(w: Workspace) -> Case:
    """Inputs that may not be read."""
    zoo, data = _zoo(w), w.copy_data()
    name = w.random.choice(("zoo.yaml", "data", "data/c0", "data/c0/1.png", "a.safetensors"))
    (w.folder / name).chmod(0o000)
    known: dict[str, Any] = {"unranked": ("a",)} if name.startswith("a.") else {}
    return w.score(zoo=zoo, data=data, nonsense=name in ("zoo.yaml", "data"), **known)


@move
def unwritable(w: Workspace) -> Case:
    """Folders that may not be written: the cache, the output's, the work folder's."""
    kind = w.random.choice(("cache", "out", "work", "cache file"))
    (w.folder / "shut").mkdir()
    if kind == "cache file":
        shutil.copytree(w.materials.cache, w.folder / "shut", dirs_exist_ok=True)
        for path in (w.folder / "shut").rglob("*"):
            path.chmod(0o500 if path.is_dir() else w.random.choice((0o000, 0o400)))
    (w.folder / "shut").chmod(w.random.choice((0o500, 0o000)))
    if kind == "out":
        where = ("--zoo", w.materials.zoo, "--data", w.materials.data)
        return w.case("score", *where, *QUICK, "-o", "shut/run.json", nonsense=True)
    if kind == "work":
        where = ("--zoo", w.materials.zoo, "--data", w.materials.data, "--model", "a")
        return w.case(
            "finetune", *where, *QUICK_FINETUNING, "--work-dir", "shut/work", "-o", "truth.csv", nonsense=True
        )
    env = {"ACRANK_CACHE": str(w.folder / "shut")}
    if w.random.random() < 0.3:
        return w.case("cache", w.random.choice(("list", "clear", "path")), env=env)
    return w.score(env=env, values=w.materials.values)
