"""Gates files."""

from __future__ import annotations

from typing import Any

import yaml

from fuzz.case import Case
from fuzz.odd import HOSTILE, changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move


def _tree(w: Workspace) -> dict[str, Any]:
    run, truth = str(w.materials.run), str(w.materials.truth)
    every: dict[str, Any] = {
        "top_k": {"model": "a", "k": 2},
        "margin": {"model": "a", "within": "90%"},
        "same_best": {"baseline": run, "tolerance": "band"},
        "weighted_tau": {"truth": truth, "at_least": -1},
        "no_skipped": True,
        "no_warnings": True,
        "time": {"baseline": run, "at_most": 99},
        "max_seconds": 60,
    }
    return {name: every[name] for name in w.random.sample(sorted(every), w.random.choice((1, 2, 8)))}


def _check(w: Workspace, text: str | bytes, **known: Any) -> Case:
    path = w.folder / "gates.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    more = w.random.choice(((), ("-o", "out.xml"), ("-f", "markdown"), ("-f", "json"), ("-o", "out.md")))
    return w.case("check", w.materials.run, "--gates", "gates.yaml", *more, **known)


@move
def sound(w: Workspace) -> Case:
    """Gates that pass."""
    trees: tuple[dict[str, Any], ...] = (
        {"top_k": {"model": "a", "k": 2}, "no_skipped": True},
        {"same_best": {"baseline": str(w.materials.run), "tolerance": "exact"}, "max_seconds": 60},
        {"margin": {"model": "b", "within": "99%"}, "time": {"baseline": str(w.materials.run), "at_most": 99}},
    )
    return _check(w, yaml.dump(w.random.choice(trees)), sound=True)


@move
def odd_values(w: Workspace) -> Case:
    """Places of a sound file hold something else."""
    return _check(w, yaml.dump(changed(_tree(w), w.random), allow_unicode=True))


@move
def hostile_names(w: Workspace) -> Case:
    """Models, files and scores whose names a terminal would obey."""
    text = w.random.choice(HOSTILE)
    trees: tuple[dict[str, Any], ...] = (
        {"top_k": {"model": text, "k": 1}},
        {"margin": {"model": "a", "within": 0.1, "score": text}},
        {"same_best": {"baseline": text}},
        {"weighted_tau": {"truth": text, "at_least": 0}},
        {text: 1},
        {"no_skipped": {"allowed": [text]}},
        {"top_k": {"model": "a", "k": text}},
    )
    return _check(w, yaml.dump(w.random.choice(trees), allow_unicode=True))


@move
def damaged_text(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten."""
    return _check(w, damaged(yaml.dump(_tree(w)).encode(), w.random))


@move
def odd_yaml(w: Workspace) -> Case:
    """Not a gates file."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
    )
    texts = (
        "",
        "[]",
        "3",
        "x",
        "[" * 5000,
        "!!bool x",
        "!!timestamp x",
        "!!python/name:os.system",
        bomb + "top_k: *a9",
    )
    more = (
        "top_k: {model: a, k: !!int x}",
        "&a {top_k: *a}",
        "max_seconds: .nan",
        "max_seconds: -.inf",
        "top_k: {k: 1, k: 2}",
    )
    return _check(w, w.random.choice((*texts, *more)), nonsense=True)


@move
def impossible(w: Workspace) -> Case:
    """Gates that cannot pass."""
    trees: tuple[dict[str, Any], ...] = (
        {"top_k": {"model": "nobody", "k": 1}},
        {"top_k": {"model": "a", "k": 0}},
        {"max_seconds": 0},
        {"max_seconds": float("nan")},
        {"weighted_tau": {"truth": str(w.materials.truth), "at_least": float("nan")}},
        {"margin": {"model": "a", "within": "nan%"}},
        {"margin": {"model": "a", "within": -1}},
        {"time": {"baseline": str(w.materials.run), "at_most": float("nan")}},
        {"same_best": {"baseline": "/dev/zero"}},
        {"weighted_tau": {"truth": "/dev/zero", "at_least": 0}},
        {"no_skipped": "x"},
    )
    return _check(w, yaml.dump(w.random.choice(trees)), nonsense=True)


@move
def no_file(w: Workspace) -> Case:
    """A device, a FIFO, a folder."""
    case = _check(w, "", nonsense=True)
    instead_of_file(w.folder / "gates.yaml", w.random)
    return case
