"""Names that a terminal, a log or a CI runner would obey, wherever a name can stand."""

from __future__ import annotations

import dataclasses
from typing import Any

from fuzz.case import Case
from fuzz.materials import QUICK_FINETUNING
from fuzz.odd import HOSTILE
from fuzz.workspace import Workspace, move


def _name(w: Workspace) -> str:
    """A hostile text that can be the name of a file."""
    return w.random.choice(HOSTILE).replace("/", "\u2044")


def _formats(w: Workspace) -> tuple[str, ...]:
    return ("-f", w.random.choice(("table", "table", "markdown", "csv", "json")))


def _shown(w: Workspace, case: Case) -> Case:
    """On a terminal, or into files."""
    return dataclasses.replace(case, terminal=w.random.random() < 0.4)


@move
def sound(w: Workspace) -> Case:
    """Plain names, on a terminal or not."""
    return _shown(w, w.score(*_formats(w), sound=True))


@move
def of_models(w: Workspace) -> Case:
    """Ids, licences, tags and references."""
    text = w.random.choice(HOSTILE)
    field = w.random.choice(("id", "id", "license", "tags", "reference"))
    values: dict[str, Any] = {"id": text, "license": text, "tags": [text], "reference": {text: 1.0}}
    zoo = w.write_zoo({**w.materials.entry("a"), field: values[field]}, w.materials.entry("b"))
    if w.random.random() < 0.3:
        return _shown(w, w.case("zoo", w.random.choice(("list", "validate")), "--zoo", zoo))
    return _shown(w, w.score(*_formats(w), zoo=zoo))


@move
def of_classes(w: Workspace) -> Case:
    """Class folders and images."""
    data = w.copy_data()
    name = _name(w)
    if w.random.random() < 0.5:
        (data / "c0").rename(data / name)
    else:
        for path in sorted((data / "c0").iterdir())[: w.random.choice((1, 99))]:
            path.rename(path.with_name(f"{name}{path.name}"))
    if w.random.random() < 0.3:
        for path in data.rglob("*.png"):
            path.write_bytes(b"no image")
    return _shown(w, w.score_one(data, *_formats(w)))


@move
def of_data(w: Workspace) -> Case:
    """The data folder, the manifest and the output."""
    name = _name(w)
    data = w.copy_data(name)
    if w.random.random() < 0.5:
        return w.score_one(
            w.folder / w.random.choice((f"{name}x", name, f"{name}.npz", f"{name}.{name}")), *_formats(w)
        )
    where = ("--zoo", w.materials.zoo, "--data", data, "--model", "a")
    return _shown(w, w.case("finetune", *where, *QUICK_FINETUNING, *_formats(w), "-o", f"{name}.csv"))


@move
def of_weights(w: Workspace) -> Case:
    """Weights that are not there, or not right, under such a name."""
    name = _name(w)
    path = w.folder / f"{name}.pth"
    if w.random.random() < 0.7:
        path.write_bytes(w.random.choice((b"", b"x", b"PK\x03\x04")))
    zoo = w.write_zoo(w.materials.entry("a", weights=path.name), w.materials.entry("b"))
    if w.random.random() < 0.3:
        return _shown(w, w.case("zoo", "validate", "--zoo", zoo))
    return _shown(w, w.score(*_formats(w), zoo=zoo, unranked=("a",)))


@move
def of_tensors(w: Workspace) -> Case:
    """Tensors in a file."""
    import torch
    from safetensors.torch import load_file

    tensors = dict(load_file(w.materials.folder / "a.safetensors"))
    text = w.random.choice(HOSTILE)
    tensors[text] = torch.zeros(3)
    if w.random.random() < 0.5:
        tensors[f"{text}.weight"] = tensors.pop("conv_stem.weight")
    torch.save(tensors, w.folder / "a.pth")
    zoo = w.write_zoo(w.materials.entry("a", weights="a.pth"), w.materials.entry("b"))
    return _shown(w, w.score(*_formats(w), zoo=zoo))


@move
def of_columns(w: Workspace) -> Case:
    """Columns and classes of a table."""
    text = w.random.choice(HOSTILE).replace('"', "")
    rows = "".join(
        f'{path},"{text if path.parent.name == "c0" else "x"}"\n' for path in w.materials.data.rglob("*.png")
    )
    (w.folder / "x.csv").write_text(f'image,"{text}"\n' + rows, newline="")
    return _shown(w, w.score_one("x.csv", *_formats(w)))
