"""Configuration files: acrank.toml and pyproject.toml that are odd, damaged, hostile, or ask for what no file may."""

from __future__ import annotations

import json
import shutil
from typing import Any

from fuzz.case import Case
from fuzz.materials import QUICK_FINETUNING
from fuzz.odd import HOSTILE, NUMBER_WORDS, WORDS, damaged, instead_of_file
from fuzz.workspace import Workspace, move

_NAMES = ("acrank.toml", "pyproject.toml")
_QUICK = {"samples": 8, "repeats": 1, "scores": "probe_accuracy,channel_alignment"}
#: What opens a door: a file that comes with a folder of somebody else's must not.
_REFUSED = ("allow-code", "allow-download", "allow-outside", "ray-address", "allow_code", "allow_download")
_TABLES = ("score", "finetune", "check", "compare", "merge", "inspect", "report", "zoo", "cache", "demo", "x")


def _value(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _text(name: str, shared: dict[str, Any], tables: dict[str, dict[str, Any]]) -> str:
    """The file, with its tables under [tool.acrank] in pyproject.toml."""
    prefix = "tool.acrank" if name == "pyproject.toml" else ""
    lines = [f"[{prefix}]"] if prefix else []
    lines += [f"{_value(key)} = {_value(value)}" for key, value in shared.items()]
    for table, content in tables.items():
        lines.append(f"[{prefix}.{_value(table)}]" if prefix else f"[{_value(table)}]")
        lines += [f"{_value(key)} = {_value(value)}" for key, value in content.items()]
    return "\n".join(lines) + "\n"


def _write(w: Workspace, shared: dict[str, Any], tables: dict[str, dict[str, Any]] | None = None) -> str:
    name = w.random.choice(_NAMES)
    (w.folder / name).write_text(_text(name, shared, tables or {}), errors="surrogatepass")
    return name


def _command(w: Workspace, **known: Any) -> Case:
    """A command that has options in a file."""
    where = ("--zoo", w.materials.zoo, "--data", w.materials.data, "--model", "a")
    kinds: tuple[tuple[object, ...], ...] = (
        ("score", *where, "-o", "run.json"),
        ("score", *where, "-o", "run.json"),
        ("finetune", *where, *QUICK_FINETUNING, "-o", "truth.csv"),
        ("check", w.materials.run, "--no-skipped"),
        ("merge", w.materials.run),
        ("inspect", "--data", w.materials.data),
        ("report", w.materials.run, "-o", "report.html"),
        ("zoo", "list", "--zoo", w.materials.zoo),
        ("cache", "list"),
        ("env",),
    )
    return w.case(*w.random.choice(kinds), **known)


@move
def sound(w: Workspace) -> Case:
    """Options of a file count as on the command line, shared or in the command's own table."""
    where = {"zoo": str(w.materials.zoo), "data": str(w.materials.data)}
    if w.random.random() < 0.5:
        _write(w, {**_QUICK, **where})
    else:
        _write(w, where, {"score": _QUICK})
    return w.case("score", "-o", "run.json", sound=True, values=w.materials.values)


@move
def refused_keys(w: Workspace) -> Case:
    """A file allows no code, no download and no reading outside; the code that it would allow does not run."""
    (w.folder / "nets.py").write_text("from pathlib import Path\nPath('PWNED').touch()\ndef build(**_): pass\n")
    shutil.copy(w.materials.folder / "a.safetensors", w.folder)
    zoo = w.write_zoo(w.materials.entry("a", architecture="factory:nets:build", weights="a.safetensors"))
    key = w.random.choice(_REFUSED)
    value = w.random.choice((True, "true", 1, "yes"))
    if w.random.random() < 0.5:
        _write(w, {key: value})
    else:
        _write(w, {}, {"score": {key: value}})
    return w.score(zoo=zoo, nonsense=True)


@move
def odd_values(w: Workspace) -> Case:
    """Known keys with odd values."""
    from fuzz.generators.options import commands

    keys = [flag[2:] for option in commands()["score",].params for flag in option.opts if flag.startswith("--")]
    odd_ones = (*WORDS, *HOSTILE, *NUMBER_WORDS, -1, 0, 2**70, 0.5, True, [], [1, "x"], [[]], ["x"] * 5000)
    chosen = {w.random.choice(keys): w.random.choice(odd_ones) for _ in range(w.random.choice((1, 1, 3)))}
    chosen = {key: value for key, value in chosen.items() if key not in _REFUSED and key != "executor"}
    _write(w, {**_QUICK, **chosen} if w.random.random() < 0.5 else {}, {"score": {**_QUICK, **chosen}})
    return _command(w)


@move
def odd_keys(w: Workspace) -> Case:
    """Keys and tables that no command has, under any name."""
    name = w.random.choice((*WORDS, *HOSTILE, "Samples", "SAMPLES", "samples ", "-o", "config", "help", "version"))
    kinds: tuple[tuple[dict[str, Any], dict[str, dict[str, Any]]], ...] = (
        ({name: 1}, {}),
        ({}, {name: {"samples": 8}}),
        ({}, {w.random.choice(_TABLES): {name: "x"}}),
        ({"samples": 8, "Samples": 9, "sam_ples": 1}, {}),
    )
    shared, tables = w.random.choice(kinds)
    _write(w, shared, tables)
    return _command(w)


@move
def odd_toml(w: Workspace) -> Case:
    """TOML that a parser fails on, takes for something else, or that has another shape."""
    texts = (
        *(
            "tool = 1 # acrank",
            "tool = [] # acrank",
            "[[tool]] # acrank\n",
            "[tool]\nacrank = 3",
            "[tool]\nacrank = []",
        ),
        *(
            "[[tool.acrank]]\nsamples = 8",
            "[tool.acrank]\nscore = 1",
            "score = 1",
            "[[score]]\nsamples = 8",
            "score = []",
        ),
        *("acrank" + "[" * 10**5, "x = " + "[" * 10**5 + "# acrank", "x = {a = " * 5000, "samples = 2020-01-01"),
        *("samples = nan", "samples = inf", "samples = 0x10", "samples = " + "9" * 5000, "samples = 1e9", "samples"),
        *('"\\u0000" = 1', "samples = 8\nsamples = 9", "a.b.c = 1", "[score.x]\ny = 1", "\ufeffsamples = 8", "\0", "="),
        *("# acrank\n" * 10**5, "x = '''" + "acrank" * 10**5, "[" + ".".join(["a"] * 5000) + "]"),
    )
    (w.folder / w.random.choice(_NAMES)).write_text(w.random.choice(texts))
    return _command(w)


@move
def damaged_files(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten."""
    name = _write(w, _QUICK, {"score": {"seed": 0, "rank-by": "probe_accuracy"}})
    path = w.folder / name
    path.write_bytes(damaged(path.read_bytes(), w.random))
    return _command(w)


@move
def no_files(w: Workspace) -> Case:
    """Devices, FIFOs, folders and links in the place of the file."""
    for name in w.random.sample(_NAMES, w.random.choice((1, 2))):
        instead_of_file(w.folder / name, w.random)
    return _command(w)


@move
def several_files(w: Workspace) -> Case:
    """Both files in a folder, or files above that are not sound."""
    if w.random.random() < 0.5:
        for name in _NAMES:
            (w.folder / name).write_text(_text(name, _QUICK, {}))
        return w.case("score", "--zoo", w.materials.zoo, "--data", w.materials.data, nonsense=True)
    (w.folder / ".git").touch()
    _write(w, {"quiet": True, "no-progress": True, "format": w.random.choice(("json", "csv", "x"))})
    return _command(w)


@move
def odd_variables(w: Workspace) -> Case:
    """ACRANK_CONFIG names what is no file, or none."""
    (w.folder / "x.toml").write_text(_text("x.toml", _QUICK, {}))
    instead_of_file(w.folder / "y.toml", w.random)
    word = w.random.choice(("x.toml", "y.toml", "none", "None", "nothing", "/dev/zero", ".", "/", *WORDS))
    return _command(w, env={"ACRANK_CONFIG": word.replace("\0", "").encode("utf-8", "replace").decode()})


@move
def hostile_paths(w: Workspace) -> Case:
    """Paths that start at the file's folder, and lead elsewhere."""
    (w.folder / "mine.csv").write_text("mine")
    words = ("../../../etc/passwd", "/dev/zero", "mine.csv", "nothing", "", "~", "a" * 5000, *HOSTILE)
    key = w.random.choice(("zoo", "data", "output", "labels-file", "image-root", "work-dir", "baseline", "truth"))
    _write(w, {key: w.random.choice(words)})
    return w.case("score", *("--model", "a"), "--samples", 8, "--repeats", 1, kept=("mine.csv",))
