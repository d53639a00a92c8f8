"""Outputs that are inputs, or somebody else's files, or better records: none of them may be lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fuzz.case import Case
from fuzz.materials import QUICK, QUICK_FINETUNING
from fuzz.workspace import Workspace, move


def _spelled(w: Workspace, name: str) -> str:
    """The same file under another name."""
    path = w.folder / name
    link = w.folder / f"link{path.suffix}"
    kind = w.random.randrange(5)
    if kind == 0:
        link.symlink_to(path)
    elif kind == 1:
        os.link(path, link)
    words = (link.name, link.name, f"./{name}", str(path), name)
    return words[kind]


def _table(w: Workspace) -> Path:
    rows = [f"{path},{path.parent.name}\n" for path in sorted(w.materials.data.rglob("*.png"))]
    (w.folder / "data.csv").write_text("image,label\n" + "".join(rows))
    return w.folder / "data.csv"


@move
def sound(w: Workspace) -> Case:
    """Its own earlier outputs may be replaced by as good ones."""
    shutil.copy(w.materials.run, w.folder / "run.json")
    return w.score("-o", "out.md", "-o", "out.csv", "-o", "out.txt", sound=True)


@move
def data(w: Workspace) -> Case:
    """The table of images is an output, too."""
    _table(w)
    command = ("finetune", *QUICK_FINETUNING) if w.random.random() < 0.4 else ("score", *QUICK)
    output = _spelled(w, "data.csv")
    words = ("--zoo", w.materials.zoo, "--data", "data.csv", "--model", "a", "-o", output)
    return w.case(*command, *words, nonsense=True, kept=("data.csv",))


@move
def truth(w: Workspace) -> Case:
    """The truth is an output, too."""
    shutil.copy(w.materials.truth, w.folder / "truth.csv")
    output = _spelled(w, "truth.csv")
    command = ("compare", w.materials.run, "--truth", "truth.csv", "--resamples", 100)
    if w.random.random() < 0.4:
        command = ("check", w.materials.run, "--truth", "truth.csv", "--min-tau", -1)
    return w.case(*command, "-o", output, nonsense=True, kept=("truth.csv",))


@move
def run(w: Workspace) -> Case:
    """The record that is read is an output, too."""
    shutil.copy(w.materials.run, w.folder / "in.json")
    output = _spelled(w, "in.json")
    command = w.random.choice(
        (("check", "in.json", "--no-skipped"), ("compare", "in.json", "--truth", w.materials.truth))
    )
    return w.case(*command, "-o", output, nonsense=True, kept=("in.json",))


@move
def manifest(w: Workspace) -> Case:
    """The manifest is an output, too."""
    shutil.copy(w.materials.zoo, w.folder / "zoo.json")
    where = ("--zoo", "zoo.json", "--data", w.materials.data)
    return w.case("score", *where, *QUICK, "-o", _spelled(w, "zoo.json"), kept=("zoo.json",), nonsense=True)


@move
def read_by_small_commands(w: Workspace) -> Case:
    """What commands that only look at things read is their output, too, whatever is said about overwriting."""
    table, image = _table(w), w.folder / "data" / "a" / "0.png"
    shutil.copy(w.materials.zoo, w.folder / "zoo.json")
    image.parent.mkdir(parents=True)
    shutil.copy(next(iter(sorted(w.materials.data.rglob("*.png")))), image)
    words, kept = w.random.choice(
        [
            (("inspect", "--data", "data.csv", "-o", _spelled(w, "data.csv")), table.name),
            (("inspect", "--data", "data", "-o", "data/a/0.png"), "data/a/0.png"),
            (("inspect", "--data", "data.csv", "--zoo", "zoo.json", "-o", "zoo.json"), "zoo.json"),
            (("zoo", "list", "--zoo", "zoo.json", "-o", "./zoo.json"), "zoo.json"),
            (("zoo", "scan", "data", "-o", "data/a/0.png"), "data/a/0.png"),
        ]
    )
    return w.case(*words, *w.random.choice([(), ("--overwrite",)]), kept=(kept,), nonsense=True)


@move
def not_of_small_commands(w: Workspace) -> Case:
    """A file that acrank did not write lies where a command that only looks at things would write."""
    suffix = w.random.choice((".csv", ".json", ".md", ".txt"))
    (w.folder / f"out{suffix}").write_text(
        w.random.choice(("mine\n", '{"mine": 1}', "dataset,score\n1,2\n", "# mine\n"))
    )
    words = w.random.choice(
        [
            *(("env",), ("scores",), ("cache", "list"), ("zoo", "list", "--zoo", w.materials.zoo)),
            *(("check", w.materials.run, "--no-skipped"), ("inspect", "--data", w.materials.data)),
        ]
    )
    return w.case(*words, "-o", f"out{suffix}", kept=(f"out{suffix}",), nonsense=True)


@move
def foreign(w: Workspace) -> Case:
    """A file that acrank did not write lies where the usual output goes."""
    name = w.random.choice(("scores.csv", "run.json", "out.csv", "out.json", "out.md", "out.txt"))
    (w.folder / name).write_text(w.random.choice(("mine\n", '{"mine": 1}', "a,b\n1,2\n", "# mine\n")))
    more = () if name in ("scores.csv", "run.json") else ("-o", name)
    where = ("--zoo", w.materials.zoo, "--data", w.materials.data, "--model", "a")
    return w.case("score", *where, *QUICK, *more, kept=(name,))


@move
def better_record(w: Workspace) -> Case:
    """A run in which nothing is ranked does not replace one in which something was."""
    shutil.copy(w.materials.run, w.folder / "run.json")
    entry = w.materials.entry("a", architecture="factory:nets:build")
    zoo = w.write_zoo(entry if w.random.random() < 0.5 else {**w.materials.entry("a"), "weights": "nothing.pth"})
    return w.score(zoo=zoo, nonsense=True, kept=("run.json",))
