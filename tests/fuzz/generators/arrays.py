"""The .npz and .npy files of a target: odd keys, shapes and types, headers that lie, bombs, and pickles."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np

from fuzz import bombs
from fuzz.case import Case
from fuzz.generators.manifest import PICKLE
from fuzz.materials import pixels
from fuzz.odd import damaged, instead_of_file
from fuzz.workspace import Workspace, move


def arrays(each: int = 8) -> dict[str, np.ndarray]:
    """Sound images and labels of two classes."""
    images = np.stack([pixels(label, index) for label in range(2) for index in range(each)])
    return {"images": images, "labels": np.repeat([0, 1], each)}


def odd_labels(w: Workspace, count: int) -> np.ndarray:
    """Labels that are hardly labels."""
    rng = w.rng
    kinds: tuple[Any, ...] = (
        rng.random(count),
        np.full(count, np.nan),
        np.where(np.arange(count) == 0, np.inf, rng.random(count)),
        np.arange(count),
        np.zeros(count, int),
        np.full(count, -(2**63), np.int64),
        np.full(count, 2**64 - 1, np.uint64),
        rng.random(count) + 1j,
        np.arange(count).astype("datetime64[s]"),
        np.array([(1, 2.0)] * count, dtype=[("a", int), ("b", float)]),
        np.array([b"a", b"b"] * (count // 2)),
        np.array(["\x1b[31m", "b\u202e"] * (count // 2)),
        np.array(["::error::x\n::error::y", "b"] * (count // 2)),
        np.array([True, False] * (count // 2)),
        np.zeros((count, 1), int),
        np.zeros((count, 3), int),
        np.zeros((count, 3, 3)),
        np.array(3),
        np.zeros(0),
        np.zeros(count, np.float16),
        np.zeros(count, "V8"),
        np.arange(count).astype("timedelta64[D]"),
    )
    return np.asarray(kinds[w.random.randrange(len(kinds))])


def odd_images(w: Workspace, count: int) -> np.ndarray:
    """Images that are hardly images."""
    kinds: tuple[Any, ...] = (
        np.zeros((count, 0, 0, 3), np.uint8),
        np.zeros((count, 24), np.uint8),
        np.zeros((count, 24, 24, 3, 1, 1), np.uint8),
        np.zeros((count, 24, 24, 7), np.uint8),
        np.full((count, 24, 24), np.nan),
        np.full((count, 24, 24), 1e308),
        np.zeros((count, 24, 24), np.complex64),
        np.zeros((count, 24, 24), "datetime64[s]"),
        np.zeros((count, 24, 24), "U1"),
        np.zeros((count, 24, 24), bool),
        np.zeros((count, 24, 24), [("a", int)]),
        np.zeros((count, 1, 1, 3), np.uint8),
        np.zeros((count, 3, 24, 24), np.int64),
        np.array(0),
        np.zeros(0),
        np.full((count, 24, 24, 3), -(2**62)),
    )
    return np.asarray(kinds[w.random.randrange(len(kinds))])


def _score(w: Workspace, **known: Any) -> Case:
    more = (
        ("--task", w.random.choice(("classification", "regression", "multilabel"))) if w.random.random() < 0.2 else ()
    )
    score = w.score_any if w.move == "labels" else w.score_one
    return score(w.folder / "x.npz", *more, **known)


@move
def sound(w: Workspace) -> Case:
    """Images and labels, or masks."""
    held = arrays()
    if w.random.random() < 0.5:
        np.savez(w.folder / "x.npz", **held)
        return w.score_one(w.folder / "x.npz", sound=True)
    held["masks"] = np.zeros((16, 24, 24), np.uint8)
    for index, mask in enumerate(held["masks"]):
        mask[4 : 8 + index % 8, 4:16] = 1
    np.savez(w.folder / "x.npz", images=held["images"], masks=held["masks"])
    return w.score_any(w.folder / "x.npz", "--samples", 8, sound=True)


@move
def labels(w: Workspace) -> Case:
    """Odd labels."""
    held = arrays()
    np.savez(w.folder / "x.npz", images=held["images"], labels=odd_labels(w, len(held["images"])))
    return _score(w)


@move
def images(w: Workspace) -> Case:
    """Odd images."""
    held = arrays()
    np.savez(w.folder / "x.npz", images=odd_images(w, len(held["labels"])), labels=held["labels"])
    return _score(w)


@move
def too_few(w: Workspace) -> Case:
    """One image a class, other lengths, one class: nothing to rank by."""
    held = arrays()
    images = held["images"]
    choices: tuple[dict[str, np.ndarray], ...] = (
        arrays(1),
        {"images": images, "labels": np.zeros(len(images), int)},
        {"images": images, "labels": held["labels"][:-1]},
        {"images": images[:0], "labels": held["labels"][:0]},
        {"images": images},
        {"labels": held["labels"]},
        {},
        {"images": images, "labels": np.array([f"c{i}" for i in range(len(images))])},
    )
    np.savez(w.folder / "x.npz", **w.random.choice(choices))
    return w.score_one(w.folder / "x.npz", nonsense=True)


@move
def pickled(w: Workspace) -> Case:
    """Arrays of objects, which are pickles."""
    header = bombs.npy_header("'|O'", (16,))
    with zipfile.ZipFile(w.folder / "x.npz", "w") as archive:
        for name in ("images.npy", "labels.npy"):
            archive.writestr(name, header + PICKLE)
    return _score(w, nonsense=True)


@move
def lying_header(w: Workspace) -> Case:
    """A header of more than there is."""
    descr = w.random.choice(("'|u1'", "'<f8'", "'<U999999'", "'<c16'", "'|V9999999'", "'x'", "[('a', '<f8')]", "'|O'"))
    shape = w.random.choice(
        ((2**40,), (16, 2**20, 2**20), (-1,), (2**62, 2**62), (0, 2**62), (16, 50_000, 50_000, 3), ())
    )
    held = io.BytesIO()
    np.save(held, arrays()["labels"])
    lying = bombs.npy_header(descr, shape) + b"\0" * 64
    bodies = [lying, held.getvalue()] if w.random.random() < 0.7 else [held.getvalue(), lying]
    with zipfile.ZipFile(w.folder / "x.npz", "w") as archive:
        for name, body in zip(("images.npy", "labels.npy"), bodies, strict=True):
            archive.writestr(name, body)
    return _score(w, nonsense=True)


@move
def odd_header(w: Workspace) -> Case:
    """A header that is no header."""
    texts = (
        b"{'descr': ",
        b"[" * 9000,
        b"(" * 200 + b")" * 200,
        b"\xff" * 60,
        b"{}",
        b"1",
        b"{'descr': '|u1', 'shape': 'x'}",
    )
    text = w.random.choice(texts)
    body = b"\x93NUMPY" + w.random.choice((b"\1\0", b"\2\0", b"\x09\x09")) + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(w.folder / "x.npz", "w") as archive:
        archive.writestr("images.npy", body)
        archive.writestr("labels.npy", body)
    return _score(w, nonsense=True)


@move
def zip_bomb(w: Workspace) -> Case:
    """A member that unfolds to three GiB."""
    zeros = 3 * 2**30
    count = zeros // (2**14 * 3)
    name, other = w.random.sample(("images.npy", "labels.npy"), 2)
    header = bombs.npy_header("'|u1'", (count, 128, 128, 3) if name == "images.npy" else (zeros,))
    (w.folder / "x.npz").write_bytes(bombs.zip_of(name, header, zeros))
    held = io.BytesIO()
    np.save(held, np.arange(count) % 2 if name == "images.npy" else arrays()["images"])
    with zipfile.ZipFile(w.folder / "x.npz", "a") as archive:
        archive.writestr(other, held.getvalue())
    return _score(w)


@move
def damaged_archive(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten."""
    save = w.random.choice((np.savez, np.savez_compressed))
    save(w.folder / "x.npz", **arrays())  # type: ignore[operator]
    path = w.folder / "x.npz"
    path.write_bytes(damaged(path.read_bytes(), w.random))
    return _score(w)


@move
def no_file(w: Workspace) -> Case:
    """A device, a FIFO, a folder, a bare .npy."""
    if w.random.random() < 0.2:
        np.save(w.folder / "x.npy", arrays()["images"])
        return w.score_one(w.folder / "x.npy", nonsense=True)
    instead_of_file(w.folder / "x.npz", w.random)
    return _score(w, nonsense=True)


@move
def odd_keys(w: Workspace) -> Case:
    """Other names, names that are paths, options that name nothing."""
    held = arrays()
    names = w.random.choice((("x", "y"), ("../images", "labels"), ("train_images", "labels"), ("images", "\x1b[31m")))
    np.savez(w.folder / "x.npz", **{names[0]: held["images"], names[1]: held["labels"]})
    keys = w.random.choice(((), ("--images-key", names[0], "--labels-key", names[1]), ("--images-key", "\x1b]0;x\x07")))
    return w.score_one(w.folder / "x.npz", *keys)


@move
def masks(w: Workspace) -> Case:
    """Masks beside the images."""
    held = arrays()["images"]
    choices: tuple[Any, ...] = (
        np.zeros((16, 24, 24), np.uint8),
        np.full((16, 24, 24), 2**31, np.int64),
        np.full((16, 24, 24), np.nan),
        np.zeros((16, 7, 7), np.uint8),
        np.zeros((15, 24, 24), np.uint8),
        w.rng.integers(0, 60_000, (16, 24, 24)),
        -np.ones((16, 24, 24), np.int64),
    )
    np.savez(w.folder / "x.npz", images=held, masks=w.random.choice(choices))
    return w.case(
        "score", "--zoo", w.materials.zoo, "--data", "x.npz", "--model", "a", "--repeats", 1, "-o", "run.json"
    )
