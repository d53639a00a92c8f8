"""`acrank score --resume` and `--refine`: records of other files, and work folders that are damaged or somebody's."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from fuzz.case import Case
from fuzz.generators.manifest import PICKLE
from fuzz.materials import QUICK
from fuzz.odd import HOSTILE, changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move


def _zoo(w: Workspace) -> Path:
    """A manifest of copies of the weights, which may be changed."""
    for name in "ab":
        shutil.copy(w.materials.folder / f"{name}.safetensors", w.folder)
    return w.write_zoo(*(w.materials.entry(name, weights=f"{name}.safetensors") for name in "ab"))


def _refined(w: Workspace) -> dict[str, Any]:
    """The materials' run with its trainings, and their work folder, copied to where a run of the folder has them."""
    source = w.materials.refined
    shutil.copytree(source.with_suffix(".work"), w.folder / "run.work")
    shutil.copy(source, w.folder / "run.json")
    found: dict[str, Any] = json.loads(source.read_text())
    return found


def _resume(w: Workspace, *more: object, refine: bool = True, **known: Any) -> Case:
    refining = ("--refine", "2") if refine else ()
    return w.score("--resume", *refining, *more, **known)


@move
def sound(w: Workspace) -> Case:
    """A run that is whole goes on where it ended."""
    if w.random.random() < 0.7:
        _refined(w)
        return _resume(w, refine=w.random.random() < 0.7, sound=True)
    shutil.copy(w.materials.run, w.folder / "run.json")
    return w.score("--resume", sound=True, values=w.materials.values)


@move
def from_the_beginning(w: Workspace) -> Case:
    """A short training of the first."""
    return w.score("--refine", "1", *w.random.choice(((), ("--refine-budget", "5s"))), sound=True)


@move
def swapped_weights(w: Workspace) -> Case:
    """The files of the candidates were swapped since: no old value is kept under the other's name."""
    zoo = _zoo(w)
    record = copy.deepcopy(w.materials.record)
    own = w.materials.values
    for row in record["rows"]:
        row["details"]["entry"] = _digest(zoo, row["model"])
    record["settings"]["zoo"] = {**record["settings"]["zoo"], "sha256": _sha256(zoo)}
    w.write_record(record, "run.json")
    first, second = w.folder / "a.safetensors", w.folder / "b.safetensors"
    held = first.read_bytes()
    if w.random.random() < 0.5:
        return _resume(w, zoo=zoo, refine=False, values=own, sound=True)
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    return _resume(w, zoo=zoo, refine=False, values={"a": own["b"], "b": own["a"]})


@move
def other_images(w: Workspace) -> Case:
    """The images are others than those of the record."""
    from fuzz.materials import write_images

    write_images(w.folder / "data", each=9)
    shutil.copy(w.materials.run, w.folder / "run.json")
    return _resume(w, data=w.folder / "data", refine=False, nonsense=True, kept=("run.json",))


@move
def odd_records(w: Workspace) -> Case:
    """Places of a record with trainings hold something else."""
    record = _refined(w)
    for row in record["rows"]:
        row["layers"] = row["layers"][:1]
    if w.random.random() < 0.6:
        row = w.random.choice([one for one in record["rows"] if one.get("refined")])
        row["refined"] = changed({"x": row["refined"]}, w.random).get("x")
    else:
        record = changed(record, w.random)
    w.write_record(record, "run.json")
    return _resume(w, refine=w.random.random() < 0.5)


@move
def hostile_records(w: Workspace) -> Case:
    """Metrics, reasons and notes of trainings that a terminal would obey."""
    record = _refined(w)
    text = w.random.choice(HOSTILE)
    row = next(one for one in record["rows"] if one.get("refined"))
    row["refined"].update(w.random.choice(({"metric": text}, {"reason": text}, {"reason": text, "quality": None})))
    row["notes"] = [text]
    w.write_record(record, "run.json")
    return _resume(w, "-f", w.random.choice(("table", "csv", "markdown", "json")), refine=False)


def _files(w: Workspace, suffix: str) -> list[Path]:
    return sorted(path for path in (w.folder / "run.work").rglob(f"*{suffix}") if path.is_file())


@move
def damaged_work(w: Workspace) -> Case:
    """Trials, settings and states of the work folder are damaged, odd or no files."""
    _refined(w)
    for path in w.random.sample(_files(w, ".json"), w.random.choice((1, 3))):
        kind = w.random.randrange(4)
        if kind == 0:
            path.write_bytes(damaged(path.read_bytes(), w.random))
        elif kind == 1:
            instead_of_file(path, w.random)
        elif kind == 2:
            path.write_bytes(w.random.choice((b"", b"[]", b"null", b"[" * 10**5, b"1e999")))
        else:
            path.write_text(json.dumps(changed(json.loads(path.read_text()), w.random)), errors="surrogatepass")
    (w.folder / "run.json").unlink()
    return _resume(w)


@move
def damaged_networks(w: Workspace) -> Case:
    """Networks that the next round begins with are code, damaged, or others."""
    _refined(w)
    trials = [path for path in _files(w, ".json") if path.name != "settings.json"]
    path = w.random.choice(trials)
    state = path.with_suffix(".pt")
    torch.save(w.random.choice(({}, [], {"epoch": 0}, {"model": {}}, 3, None)), state)
    state.write_bytes(w.random.choice((state.read_bytes(), PICKLE, b"", b"PK\x03\x04")))
    path.unlink()
    (w.folder / "run.json").unlink()
    return _resume(w)


@move
def foreign_work(w: Workspace) -> Case:
    """The work folder is a file, a link, a FIFO, or holds somebody's own."""
    (w.folder / "mine").mkdir()
    (w.folder / "mine" / "thesis.json").write_text("{}")
    (w.folder / "mine" / "settings.json").write_text(w.random.choice(("mine", "{}", "[]")))
    place = w.folder / "run.work"
    if w.random.random() < 0.5:
        place.symlink_to(w.random.choice(("mine", "nothing", "run.work")))
    elif w.random.random() < 0.5:
        (w.folder / "mine").rename(place)
    else:
        instead_of_file(place, w.random)
    kept = [f"{folder}/thesis.json" for folder in ("mine", "run.work") if (w.folder / folder / "thesis.json").exists()]
    return w.score("--refine", "1", *w.random.choice(((), ("--resume",))), kept=tuple(kept[:1]))


@move
def odd_budgets(w: Workspace) -> Case:
    """Budgets and counts that leave nothing, or are none."""
    words = ("0", "-1", "1e9", "nan", "0.001s", "1x", "", "9" * 400 + "h", "٣m", "1 m", "1,5m", *HOSTILE[:5])
    count = w.random.choice(("1", "2", "0", "-1", "1000", "99999999999", "x", ""))
    if w.random.random() < 0.5:
        return w.score("--refine", count, "--refine-budget", w.random.choice(("0.01s", "1s")))
    return w.score("--refine", "1", "--refine-budget", w.random.choice(words))


@move
def no_record(w: Workspace) -> Case:
    """What is to be resumed is no record of a run."""
    path = w.folder / "run.json"
    if w.random.random() < 0.5:
        instead_of_file(path, w.random)
    else:
        path.write_text(w.random.choice(("", "[]", "{}", "mine", "[" * 10**5, '{"kind": "acrank-run"}')))
    return w.case("score", "--zoo", w.materials.zoo, "--data", w.materials.data, *QUICK, "--resume", "-o", "run.json")


def _digest(zoo: Path, name: str) -> str:
    from acrank.zoo import load_zoo

    return next(one.digest for one in load_zoo(zoo).candidates if one.id == name)


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
