"""Finetuning: its work folder, and data that cannot be split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from fuzz.case import Case
from fuzz.generators.manifest import PICKLE
from fuzz.materials import QUICK_FINETUNING, write_images
from fuzz.odd import changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move


def _finetune(w: Workspace, *more: object, data: object = None, zoo: object = None, **known: Any) -> Case:
    where = ("--zoo", zoo or w.materials.zoo, "--data", data or w.materials.data, "--model", "a")
    return w.case("finetune", *where, *QUICK_FINETUNING, "-o", "truth.csv", *more, **known)


def _work(w: Workspace) -> Path:
    """The materials' work folder, in which every run is finished."""
    shutil.copytree(w.materials.truth.with_suffix(".work"), w.folder / "truth.work")
    return w.folder / "truth.work"


@move
def sound(w: Workspace) -> Case:
    """A run from the beginning, or one that is finished already."""
    if w.random.random() < 0.5:
        return _finetune(w, sound=True)
    _work(w)
    where = ("--zoo", w.materials.zoo, "--data", w.materials.data)
    return w.case("finetune", *where, *QUICK_FINETUNING, "-o", "truth.csv", "--resume", sound=True)


@move
def odd_files(w: Workspace) -> Case:
    """Settings or outcomes hold something else."""
    path = w.random.choice(sorted(_work(w).glob("*.json")))
    path.write_text(json.dumps(changed(json.loads(path.read_text()), w.random)), errors="surrogatepass")
    return _finetune(w, "--resume")


@move
def damaged_files(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten."""
    path = w.random.choice(sorted(_work(w).glob("*.json")))
    path.write_bytes(damaged(path.read_bytes(), w.random))
    return _finetune(w, "--resume")


@move
def no_files(w: Workspace) -> Case:
    """Devices, FIFOs, folders and links in the place of files."""
    instead_of_file(w.random.choice(sorted(_work(w).glob("*.json"))), w.random)
    return _finetune(w, "--resume")


@move
def odd_state(w: Workspace) -> Case:
    """The state of an unfinished run is damaged, code, or of another network."""
    work = _work(w)
    outcome = w.random.choice(sorted(path for path in work.glob("a__*.json")))
    outcome.unlink()
    state = outcome.with_suffix(".pt")
    torch.save(w.random.choice(({}, [], {"epoch": 0}, {"model": {}}, {"x": torch.zeros(3)}, 3, None)), state)
    raw = state.read_bytes()
    state.write_bytes(w.random.choice((raw, damaged(raw, w.random), PICKLE, b"", b"x")))
    return _finetune(w, "--resume")


@move
def foreign_work_folder(w: Workspace) -> Case:
    """The work folder is a file, a device, a link, or somebody's own."""
    (w.folder / "mine").mkdir()
    (w.folder / "mine" / "thesis.json").write_text("{}")
    (w.folder / "mine" / "x__vanilla__split0__seed0.pt").write_text("mine")
    (w.folder / "file").touch()
    words = ("file", "/dev/null", "mine", "a" * 300, "a/" * 3000, "\x1b[31m", "a\n::error::b", "", "nothing/x", "a\0b")
    more = ("--resume",) if w.random.random() < 0.5 else ()
    return _finetune(w, "--work-dir", w.random.choice(words), *more, kept=("mine/thesis.json",))


@move
def too_few(w: Workspace) -> Case:
    """Too few images to train, validate and test on."""
    classes, each = w.random.choice(((2, 1), (1, 8), (2, 2), (9, 1)))
    write_images(w.folder / "data", classes=classes, each=each)
    return _finetune(w, data="data", nonsense=each == 1 or classes == 1)


@move
def damaged_weights(w: Workspace) -> Case:
    """Weights that are cut off give no truth."""
    raw = (w.materials.folder / "a.safetensors").read_bytes()
    (w.folder / "a.safetensors").write_bytes(raw[: w.random.randrange(len(raw))])
    zoo = w.write_zoo(w.materials.entry("a", weights="a.safetensors"))
    return _finetune(w, zoo=zoo, nonsense=True)


@move
def odd_splits(w: Workspace) -> Case:
    """Shares and sizes that leave nothing."""
    pairs = (
        ("--val-share", "0.99"),
        ("--test-share", "1"),
        ("--val-share", "nan"),
        ("--train-size", "1"),
        ("--batch-size", "2"),
    )
    more = (
        ("--splits", "99999999999"),
        ("--seeds", "99999999999"),
        ("--split-by", "target"),
        ("--epochs", "99999999999"),
    )
    return _finetune(w, *w.random.choice((*pairs, *more)))


@move
def odd_training(w: Workspace) -> Case:
    """Rates, decays and methods that do not train; a run that diverges is told."""
    pairs = (
        ("--lr", "1e30"),
        ("--lr", "nan"),
        ("--lr", "1e-300"),
        ("--weight-decay", "1e30"),
        ("--method", "ac-norm+l2-sp"),
    )
    more = (
        ("--method", "x"),
        ("--method", "+"),
        ("--method", "\x1b[31m"),
        ("--method", "vanilla+vanilla"),
        ("--loss", "dice-ce"),
    )
    return _finetune(w, *w.random.choice((*pairs, *more)))
