"""Lock files: `acrank zoo lock`, and `--locked` with locks that are damaged, hostile, or of other files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from fuzz.case import Case
from fuzz.materials import QUICK_FINETUNING
from fuzz.odd import HOSTILE, changed, damaged, instead_of_file
from fuzz.workspace import MOVES, Workspace, move

_LOCK = "zoo.lock.json"
_CODE = "from pathlib import Path\n{}\nimport timm\ndef build(**_): return timm.create_model('test_efficientnet')\n"


def _zoo(w: Workspace) -> Path:
    """A manifest of copies of the weights, which may be changed."""
    for name in "ab":
        shutil.copy(w.materials.folder / f"{name}.safetensors", w.folder)
    return w.write_zoo(*(w.materials.entry(name, weights=f"{name}.safetensors") for name in "ab"))


def _lock(w: Workspace, zoo: Path) -> dict[str, Any]:
    """The lock of a manifest, as `acrank zoo lock` writes it."""
    from acrank.zoo import load_zoo
    from acrank.zoo.locking import lock_zoo

    found: dict[str, Any] = lock_zoo(load_zoo(zoo)).record()
    w.write_record(found, _LOCK)
    return found


def _locked(w: Workspace, *more: object, **known: Any) -> Case:
    """A run that is held against its lock."""
    if w.random.random() < 0.2 and not known.get("values"):
        where = ("--zoo", "zoo.yaml", "--data", w.materials.data, "--model", "a")
        return w.case("finetune", *where, *QUICK_FINETUNING, "-o", "truth.csv", "--locked", *more, **known)
    return w.score("--locked", *more, zoo="zoo.yaml", **known)


@move
def sound(w: Workspace) -> Case:
    """A lock is written, or holds."""
    zoo = _zoo(w)
    if w.random.random() < 0.4:
        return w.case("zoo", "lock", "--zoo", zoo, written=(_LOCK,), sound=True)
    _lock(w, zoo)
    return _locked(w, sound=True, values=w.materials.values)


@move
def changed_files(w: Workspace) -> Case:
    """Weights, their manifest entry or a hash are others than they were."""
    zoo = _zoo(w)
    lock = _lock(w, zoo)
    kind = w.random.randrange(5)
    if kind == 0:
        shutil.copy(w.folder / "b.safetensors", w.folder / "a.safetensors")
    elif kind == 1:
        raw = bytearray((w.folder / "a.safetensors").read_bytes())
        raw[-1 - w.random.randrange(1000)] ^= 1
        (w.folder / "a.safetensors").write_bytes(raw)
    elif kind == 2:
        entries = [w.materials.entry(name, weights=f"{name}.safetensors", license="x" * (name == "a")) for name in "ab"]
        w.write_zoo(*entries)
    elif kind == 3:
        lock["models"]["a"]["files"] = dict.fromkeys(lock["models"]["a"]["files"], "0" * 64)
        w.write_record(lock, _LOCK)
    else:
        del lock["models"]["a"]
        w.write_record(lock, _LOCK)
    return _locked(w, nonsense=True)


@move
def changed_code(w: Workspace) -> Case:
    """The code of a factory is another one than was locked: it must not run."""
    (w.folder / "nets.py").write_text(_CODE.format(""))
    entry = {"id": "a", "architecture": "factory:nets:build", "weights": "a.safetensors", "input": {"size": 32}}
    shutil.copy(w.materials.folder / "a.safetensors", w.folder)
    _lock(w, w.write_zoo({**entry, "input": w.materials.entry("a")["input"]}))
    (w.folder / "nets.py").write_text(_CODE.format("Path('PWNED').touch()"))
    return _locked(w, "--allow-code", nonsense=True)


@move
def odd_locks(w: Workspace) -> Case:
    """Places of a lock hold something else; an entry that is not as it was is refused."""
    lock = _lock(w, _zoo(w))
    w.write_record(changed(lock, w.random), _LOCK)
    return _locked(w)


@move
def damaged_locks(w: Workspace) -> Case:
    """Bytes of a lock are otherwise, or it is none."""
    _lock(w, _zoo(w))
    raw = damaged((w.folder / _LOCK).read_bytes(), w.random)
    texts = (b"", b"[]", b"null", b"[" * 10**5, b'{"kind": "acrank-lock"}', b'{"a":' * 10**5, b"\xff", b"1e999")
    is_none = w.random.random() < 0.5
    (w.folder / _LOCK).write_bytes(w.random.choice(texts) if is_none else raw)
    return _locked(w, nonsense=is_none)


@move
def hostile_locks(w: Workspace) -> Case:
    """Names of models and files, and hashes, that a terminal or a CI runner would obey."""
    lock = _lock(w, _zoo(w))
    text = w.random.choice(HOSTILE)
    kinds: tuple[dict[str, Any], ...] = (
        {"files": {text: "0" * 64}},
        {"files": {"a.safetensors": text}},
        {"entry": text},
        {"revision": text},
        {text: text},
    )
    lock["models"]["a"].update(w.random.choice(kinds))
    lock["models"][text] = lock["models"]["b"]
    w.write_record(lock, _LOCK)
    return _locked(w)


@move
def hostile_manifests(w: Workspace) -> Case:
    """Ids and paths that a terminal would obey go into the lock."""
    text = w.random.choice(HOSTILE)
    name = f"{text.replace('/', '_')}.safetensors"
    shutil.copy(w.materials.folder / "a.safetensors", w.folder / name)
    w.write_zoo(w.materials.entry("a", id=text, weights=w.random.choice((name, f"no{name}"))), w.materials.entry("b"))
    return w.case("zoo", "lock", "--zoo", "zoo.yaml", written=(_LOCK,))


@move
def no_files(w: Workspace) -> Case:
    """Devices, FIFOs and links in the place of the lock, the weights or the code."""
    _lock(w, _zoo(w))
    if w.random.random() < 0.5:
        instead_of_file(w.folder / _LOCK, w.random)
        return _locked(w, nonsense=True)
    instead_of_file(w.folder / "a.safetensors", w.random)
    return _locked(w, nonsense=True) if w.random.random() < 0.5 else w.case("zoo", "lock", "--zoo", "zoo.yaml")


@move
def foreign_files(w: Workspace) -> Case:
    """A file that acrank did not write lies where the lock goes."""
    zoo = _zoo(w)
    (w.folder / "mine.json").write_text(json.dumps({"mine": 1}))
    if w.random.random() < 0.5:
        (w.folder / _LOCK).symlink_to("mine.json")
    else:
        (w.folder / "mine.json").rename(w.folder / _LOCK)
    kept = ("mine.json",) if (w.folder / "mine.json").exists() else (_LOCK,)
    return w.case("zoo", "lock", "--zoo", zoo, nonsense=True, kept=kept)


@move
def any_weights(w: Workspace) -> Case:
    """Weights that the other generator damages are hashed and not loaded."""
    name = w.random.choice(sorted(set(MOVES["weights"]) - {"sound"}))
    MOVES["weights"][name](w)
    return w.case("zoo", "lock", "--zoo", "zoo.yaml", written=(_LOCK,))
