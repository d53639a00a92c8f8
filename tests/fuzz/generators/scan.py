"""`acrank zoo scan`: folders of damaged and strange checkpoints, links, FIFOs, and names that YAML would obey."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from fuzz import bombs
from fuzz.case import Case
from fuzz.odd import HOSTILE, damaged, instead_of_file
from fuzz.workspace import MOVES, Workspace, move

#: What YAML would take for more than a name, beside what a terminal would obey.
_YAML_NAMES = (
    *("- id: xyzzy_planted", "x: {xyzzy_planted: 1}", "x\nmodels: []", "x\n  - xyzzy_planted: 1", "!!python/name:os"),
    *("&a", "*a", "{", "}", "'", '"', "#", "a: b", "%TAG", "---", "...", "null", "1e9", "0o7", "~", "y", "\ufeffx"),
    *("<<", "? a", "a" * 200, "$HOME", "x #y", "[bold]x[/bold]", *HOSTILE),
)


def _scan(w: Workspace, folder: object = "zoo", *more: object, **known: Any) -> Case:
    """A scan with an index of a few architectures, onto stdout or into a file."""
    shutil.copytree(w.materials.index, w.folder / "cache", dirs_exist_ok=True)
    output = ("-o", "found.yaml") if w.random.random() < 0.7 and "-o" not in more else ()
    return w.case("zoo", "scan", folder, *output, *more, written=("found.yaml",), **known)


def _tensors(w: Workspace) -> dict[str, torch.Tensor]:
    return dict(load_file(w.materials.folder / "a.safetensors"))


def _checkpoints(w: Workspace) -> Path:
    """A folder of a sound file, under two names and in two formats."""
    folder = w.folder / "zoo"
    folder.mkdir()
    shutil.copy(w.materials.folder / "a.safetensors", folder / "sound.safetensors")
    torch.save(_tensors(w), folder / "sound.pth")
    return folder


@move
def sound(w: Workspace) -> Case:
    """Known networks: bare, nested, under a prefix; each becomes an entry."""
    folder = _checkpoints(w)
    kind = w.random.randrange(3)
    tensors = _tensors(w)
    torch.save({"state_dict": {f"module.{name}": value for name, value in tensors.items()}}, folder / "nested.ckpt")
    if kind == 1:
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "nested.ckpt").rename(folder / "deep" / "er" / "nested.ckpt")
    if kind == 2:
        (folder / "README.md").write_text("x")
    return _scan(w, sound=True)


@move
def damaged_weights(w: Workspace) -> Case:
    """Any damage that the weights of a manifest may have."""
    folder = _checkpoints(w)
    for name in w.random.sample(sorted(set(MOVES["weights"]) - {"sound"}), 2):
        inner = Workspace(w.entry, w.seed, w.move, folder=folder / name, materials=w.materials, random=w.random)
        inner.folder.mkdir()
        MOVES["weights"][name](inner)
    return _scan(w)


@move
def cut_off(w: Workspace) -> Case:
    """The end is missing: no entry may name such a file."""
    folder = _checkpoints(w)
    name = w.random.choice(("sound.safetensors", "sound.pth"))
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[: w.random.randrange(len(raw) - 1)])
    return _scan(w, unlisted=(f"zoo/{name}",))


@move
def damaged_bytes(w: Workspace) -> Case:
    """Bytes anywhere are flipped, cut or overwritten."""
    folder = _checkpoints(w)
    for path in sorted(folder.iterdir()):
        path.write_bytes(damaged(path.read_bytes(), w.random))
    return _scan(w)


@move
def hostile_names(w: Workspace) -> Case:
    """Names of files and folders that YAML, a terminal or a CI runner would obey."""
    folder = _checkpoints(w)
    for place, source in enumerate(sorted(folder.iterdir())):
        name = w.random.choice(_YAML_NAMES).replace("/", "\u2044").replace("\0", "")
        target = folder / f"{name}{source.suffix}" if place else folder / name / f"x{source.suffix}"
        target.parent.mkdir(exist_ok=True)
        source.rename(target)
    return _scan(w)


@move
def hostile_tensors(w: Workspace) -> Case:
    """Names of tensors, and prefixes, that YAML or a terminal would obey."""
    folder = _checkpoints(w)
    text = w.random.choice(_YAML_NAMES)
    tensors = _tensors(w)
    kinds: tuple[dict[str, Any], ...] = (
        {f"{text}.{name}": value for name, value in tensors.items()},
        {**tensors, text: torch.zeros(3)},
        {text: tensors},
        {"state_dict": {f"{text}{name}": value for name, value in tensors.items()}},
        {**tensors, f"{text}.weight": tensors["conv_stem.weight"]},
    )
    held = w.random.choice(kinds)
    torch.save(held, folder / "x.pth")
    if w.random.random() < 0.3 and all(isinstance(value, torch.Tensor) for value in held.values()):
        save_file({name: value.clone() for name, value in held.items()}, folder / "x.safetensors")
    return _scan(w)


@move
def links(w: Workspace) -> Case:
    """Links that leave the folder, lead in circles or nowhere; none is followed outside."""
    folder = _checkpoints(w)
    outside = w.folder / "outside"
    outside.mkdir()
    (outside / "xyzzyplugh.pth").write_bytes((folder / "sound.pth").read_bytes())
    kinds = {
        "a.pth": "../outside/xyzzyplugh.pth",
        "b": "../outside",
        "c": "c",
        "d": "..",
        "e.pth": "/dev/zero",
        "f.safetensors": "nothing",
        "g.pth": "sound.pth",
        "h.bin": "/etc/passwd",
    }
    for name in w.random.sample(sorted(kinds), 4):
        (folder / name).symlink_to(kinds[name])
    return _scan(w, unlisted=("zoo/a.pth", "zoo/b/xyzzyplugh.pth", "outside/xyzzyplugh.pth"))


@move
def no_files(w: Workspace) -> Case:
    """FIFOs, devices and sparse files among the checkpoints."""
    folder = _checkpoints(w)
    for suffix in w.random.sample((".pth", ".safetensors", ".ckpt", ".bin", ".h5", ".onnx", ".npz"), 3):
        instead_of_file(folder / f"x{suffix}", w.random)
    return _scan(w)


@move
def huge_headers(w: Workspace) -> Case:
    """Headers that declare GiB, unfold to GiB, or have a hundred thousand tensors."""
    import json
    import struct

    folder = _checkpoints(w)
    kind = w.random.randrange(4)
    if kind == 0:
        (folder / "x.pth").write_bytes(bombs.zip_of("archive/data.pkl", b"", 3 * 2**30))
    elif kind == 1:
        (folder / "x.safetensors").write_bytes(struct.pack("<Q", w.random.choice((2**27, 2**40, 2**63))) + b"{")
    elif kind == 2:
        header = {f"x.{i}": {"dtype": "F32", "shape": [], "data_offsets": [0, 0]} for i in range(10**5)}
        text = json.dumps(header).encode()
        (folder / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    else:
        torch.save({f"x.{i}": torch.zeros(0) for i in range(20_000)}, folder / "x.pth")
    return _scan(w)


@move
def odd_folders(w: Workspace) -> Case:
    """Folders that are none, empty, deep, full, or may not be read."""
    folder = _checkpoints(w)
    (w.folder / "empty").mkdir()
    (w.folder / "deep").joinpath(*["d"] * 200).mkdir(parents=True)
    for index in range(2000):
        (w.folder / "empty" / f"{index}.txt").touch()
    (folder / "shut").mkdir()
    (folder / "shut").chmod(0o000)
    words = ("nothing", "empty", "deep", "zoo/sound.pth", "/dev", "a\0b", "a" * 300, "", "/dev/zero", "zoo")
    return _scan(w, w.random.choice(words))


@move
def foreign_outputs(w: Workspace) -> Case:
    """A manifest that is there already stays, and none is written over a checkpoint."""
    folder = _checkpoints(w)
    (w.folder / "mine.yaml").write_text("mine: 1\n")
    name = w.random.choice(("mine.yaml", "zoo/sound.pth"))
    if w.random.random() < 0.4:
        (w.folder / "link.yaml").symlink_to(w.folder / name)
        return _scan(w, folder, "-o", "link.yaml", kept=(name,), nonsense=True)
    return _scan(w, folder, "-o", name, kept=(name,), nonsense=True)
