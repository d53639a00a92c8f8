"""HDF5 targets: storage and links outside the file, virtual datasets, odd types, bombs and damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from fuzz.case import Case
from fuzz.generators.arrays import arrays, odd_images, odd_labels
from fuzz.odd import damaged, instead_of_file
from fuzz.workspace import Workspace, move

SECRET = "xyzzyplugh"


def _score(w: Workspace, **known: Any) -> Case:
    return w.score_one(w.folder / "x.h5", **known)


def _with_images(w: Workspace, more: Callable[[h5py.File], object], **known: Any) -> Case:
    """Sound images, and labels that `more` makes."""
    with h5py.File(w.folder / "x.h5", "w") as file:
        file["images"] = arrays()["images"]
        more(file)
    return _score(w, **known)


@move
def sound(w: Workspace) -> Case:
    """Images and labels of three types."""
    classes = w.random.choice((np.arange(16) % 2, np.array(["a", "b"] * 8, dtype="S1"), np.arange(16) % 2 == 0))
    return _with_images(w, lambda file: file.__setitem__("labels", classes), sound=True)


@move
def external_storage(w: Workspace) -> Case:
    """Labels whose bytes lie in another file, a secret one."""
    (w.folder / "secret").write_text(SECRET * 40)
    size = w.random.choice((1, 10))
    dtype = f"S{size}" if size > 1 else "u1"
    store = [(str(w.folder / "secret"), 0, h5py.h5f.UNLIMITED)]

    def make(file: h5py.File) -> None:
        file.create_dataset("labels", (16,), dtype, external=store)

    return _with_images(w, make, secret=SECRET, nonsense=True)


@move
def external_link(w: Workspace) -> Case:
    """Labels that are a link into another file."""
    with h5py.File(w.folder / "secret.h5", "w") as file:
        file["x"] = np.array([SECRET.encode(), b"b"] * 8)

    def make(file: h5py.File) -> None:
        file["labels"] = h5py.ExternalLink(str(w.folder / "secret.h5"), "x")

    return _with_images(w, make, secret=SECRET, nonsense=True)


@move
def virtual(w: Workspace) -> Case:
    """Labels made of another file's, or of its own."""
    with h5py.File(w.folder / "secret.h5", "w") as file:
        file["x"] = np.array([SECRET.encode(), b"b"] * 8)
    other = w.random.choice((str(w.folder / "secret.h5"), ".", str(w.folder / "x.h5"), "nothing.h5"))
    layout = h5py.VirtualLayout((16,), "S10")
    layout[:] = h5py.VirtualSource(other, "x" if "secret" in other else "labels", (16,))
    return _with_images(w, lambda file: file.create_virtual_dataset("labels", layout), secret=SECRET, nonsense=True)


@move
def virtual_images(w: Workspace) -> Case:
    """Images made of its own file's images."""
    layout = h5py.VirtualLayout((16, 24, 24, 3), "u1")
    layout[:] = h5py.VirtualSource(".", "images", (16, 24, 24, 3))
    with h5py.File(w.folder / "x.h5", "w") as file:
        file.create_virtual_dataset("images", layout)
        file["labels"] = arrays()["labels"]
    return _score(w, nonsense=True)


@move
def loops(w: Workspace) -> Case:
    """Soft links that go round, groups in the place of datasets, datasets of nothing."""
    kinds: tuple[Callable[[h5py.File], object], ...] = (
        lambda file: file.__setitem__("labels", h5py.SoftLink("/labels")),
        lambda file: file.__setitem__("labels", h5py.SoftLink("/nothing")),
        lambda file: file.create_group("labels"),
        lambda file: file.__setitem__("labels", h5py.Empty("f")),
        lambda file: file.__setitem__("labels", 3),
        lambda file: file.__setitem__("labels", file["/"].ref),
    )
    return _with_images(w, w.random.choice(kinds), nonsense=True)


@move
def odd_types(w: Workspace) -> Case:
    """Labels of types that only HDF5 has."""
    kinds: tuple[Callable[[h5py.File], object], ...] = (
        lambda file: file.create_dataset("labels", (16,), h5py.vlen_dtype(np.int32)),
        lambda file: file.create_dataset("labels", (16,), h5py.ref_dtype),
        lambda file: file.create_dataset("labels", (16,), h5py.regionref_dtype),
        lambda file: file.create_dataset("labels", (16,), h5py.opaque_dtype(np.dtype("datetime64[s]"))),
        lambda file: file.create_dataset("labels", (16,), np.dtype((np.int32, (3,)))),
        lambda file: file.create_dataset("labels", (16,), "V16"),
        lambda file: file.create_dataset("labels", (16,), np.dtype([("a", "i4"), ("b", "S3")])),
        lambda file: file.create_dataset("labels", (16,), np.complex128),
    )
    return _with_images(w, w.random.choice(kinds), nonsense=True)


@move
def plain_types(w: Workspace) -> Case:
    """Enumerations, texts and what NumPy has."""

    def make(file: h5py.File) -> None:
        kind = w.random.randrange(4)
        if kind == 0:
            file.create_dataset("labels", (16,), h5py.enum_dtype({"a": 0, "b": 1}), data=np.arange(16) % 2)
        elif kind == 1:
            file.create_dataset("labels", (16,), h5py.string_dtype(), data=["a\x1b[31m", "b\u202e"] * 8)
        else:
            value = odd_labels(w, 16)
            file["labels"] = _stored(value)

    return _with_images(w, make)


@move
def images(w: Workspace) -> Case:
    """Odd images."""
    value = odd_images(w, 16)
    with h5py.File(w.folder / "x.h5", "w") as file:
        file["images"] = _stored(value)
        file["labels"] = arrays()["labels"]
    return _score(w)


@move
def declared(w: Workspace) -> Case:
    """Images or labels that are declared, and were never written."""
    shape = w.random.choice(((16, 20_000, 20_000, 3), (16, 2**20, 2**20), (2**40, 24, 24), (16, 24, 24, 2**30)))
    side = min(shape[1], 1000)
    with h5py.File(w.folder / "x.h5", "w") as file:
        chunks = (1, side, min(shape[2], 1000), *shape[3:4])
        chunks = tuple(min(one, 100) if i == 3 else one for i, one in enumerate(chunks))
        file.create_dataset("images", shape, "u1", chunks=chunks)
        if w.random.random() < 0.5:
            file["labels"] = np.arange(16) % 2
        else:
            file.create_dataset("labels", (shape[0],), "i8", chunks=(min(shape[0], 1000),))
    return _score(w)


@move
def bomb(w: Workspace) -> Case:
    """Chunks that unfold to GiB."""
    side = 20_000
    with h5py.File(w.folder / "x.h5", "w") as file:
        images = file.create_dataset("images", (8, side, side), "u1", chunks=(1, side, side), compression="gzip")
        raw = _zlib_zeros(side * side)
        for index in range(8):
            images.id.write_direct_chunk((index, 0, 0), raw)
        file["labels"] = np.arange(8) % 2
    return _score(w)


@move
def damaged_file(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten, mostly where the headers are."""
    path = w.folder / "x.h5"
    with h5py.File(path, "w") as file:
        for name, value in arrays(4).items():
            file.create_dataset(name, data=value, compression=w.random.choice((None, "gzip")))
        file["more/labels"] = np.array(["a", "b"] * 4, dtype="S2")
    raw = path.read_bytes()
    at = w.random.choice((2048, 4096, len(raw)))
    path.write_bytes(damaged(raw[:at], w.random) + raw[at:])
    return _score(w)


@move
def too_few(w: Workspace) -> Case:
    """One image a class, or other lengths."""
    held = w.random.choice((arrays(1), {**arrays(), "labels": np.zeros(3, int)}, {"images": arrays()["images"]}, {}))
    with h5py.File(w.folder / "x.h5", "w") as file:
        for name, value in held.items():
            file[name] = value
    return _score(w, nonsense=True)


@move
def no_file(w: Workspace) -> Case:
    """A device, a FIFO, a folder."""
    instead_of_file(w.folder / "x.h5", w.random)
    return _score(w, nonsense=True)


def _stored(value: np.ndarray) -> np.ndarray:
    """As HDF5 can hold it: texts as bytes, dates as numbers."""
    if value.dtype.kind == "U":
        return np.char.encode(value, "utf-8")
    return value.view(np.int64) if value.dtype.kind in "Mm" else value


def _zlib_zeros(size: int) -> bytes:
    import zlib

    packer = zlib.compressobj(1)
    block = bytes(10**6)
    return b"".join(packer.compress(block) for _ in range(size // 10**6)) + packer.flush()
