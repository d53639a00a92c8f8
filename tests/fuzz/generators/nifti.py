"""Volumes: NIfTI headers that lie, .gz bombs, damage, and resampling without end."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import bombs
from fuzz.case import Case
from fuzz.odd import changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move

_SIZE = 12


def header(**more: Any) -> bytes:
    """348 bytes of NIfTI-1 and four more; `more` packs other values at their offsets: dim, datatype, bitpix, …"""
    raw = bytearray(352)
    fields: dict[str, tuple[str, int, Any]] = {
        "sizeof_hdr": ("<i", 0, (348,)),
        "dim": ("<8h", 40, (3, _SIZE, _SIZE, _SIZE, 1, 1, 1, 1)),
        "datatype": ("<h", 70, (4,)),
        "bitpix": ("<h", 72, (16,)),
        "pixdim": ("<8f", 76, (1.0,) * 8),
        "vox_offset": ("<f", 108, (352.0,)),
        "scl": ("<2f", 112, (1.0, 0.0)),
        "codes": ("<2h", 252, (1, 1)),
        "srow": ("<12f", 280, (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)),
        "magic": ("<4s", 344, (b"n+1\0",)),
    }
    for name, (form, offset, value) in fields.items():
        struct.pack_into(form, raw, offset, *more.get(name, value))
    return bytes(raw)


def _body(label: int, index: int) -> bytes:
    rng = np.random.default_rng([3, label, index])
    return (rng.integers(0, 100, (_SIZE,) * 3) + 80 * label).astype("<i2").tobytes()


def _volumes(w: Workspace, *, each: int = 4) -> list[Path]:
    """Class folders of sound volumes, some of them compressed."""
    found = []
    for label in range(2):
        (w.folder / "data" / f"c{label}").mkdir(parents=True)
        for index in range(each):
            path = w.folder / "data" / f"c{label}" / f"{index}.nii{'.gz' if index % 2 else ''}"
            _store(path, header() + _body(label, index))
            found.append(path)
    return found


def _store(path: Path, raw: bytes) -> None:
    path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)


def _score(w: Workspace, *more: object, **known: Any) -> Case:
    return w.score_one(w.folder / "data", "--slices", "3", *more, **known)


def _some(w: Workspace, paths: list[Path]) -> list[Path]:
    return paths if w.random.random() < 0.4 else [w.random.choice(paths)]


@move
def sound(w: Workspace) -> Case:
    """Volumes, as they are or resampled."""
    _volumes(w)
    return _score(w, *w.random.choice(((), ("--spacing", "1,1,1"), ("--intensity", "zscore"))), sound=True)


@move
def lying_headers(w: Workspace) -> Case:
    """Sizes, types, offsets, scales and matrices that cannot be."""
    nan, inf = float("nan"), float("inf")
    choices: tuple[dict[str, Any], ...] = (
        {"dim": (3, 32767, 32767, 32767, 1, 1, 1, 1)},
        {"dim": (3, -5, 12, 12, 1, 1, 1, 1)},
        {"dim": (0, 0, 0, 0, 0, 0, 0, 0)},
        {"dim": (7, 12, 12, 12, 9, 9, 9, 9)},
        {"dim": (9, 12, 12, 12, 1, 1, 1, 1)},
        {"dim": (3, 0, 12, 12, 1, 1, 1, 1)},
        {"datatype": (32,)},
        {"datatype": (128,)},
        {"datatype": (1536,)},
        {"datatype": (1,)},
        {"datatype": (9999,)},
        {"vox_offset": (nan,)},
        {"vox_offset": (1e30,)},
        {"vox_offset": (-352.0,)},
        {"scl": (nan, 0.0)},
        {"scl": (1e38, 1e38)},
        {"scl": (inf, 0.0)},
        {"pixdim": (1.0, 0.0, 0.0, 0.0, 1, 1, 1, 1)},
        {"pixdim": (1.0, nan, inf, -1.0, 1, 1, 1, 1)},
        {"srow": (nan,) * 12},
        {"srow": (0.0,) * 12},
        {"srow": (1e30, 0, 0, 0, 0, 1e-30, 0, 0, 0, 0, 1, 0)},
        {"sizeof_hdr": (0,)},
        {"magic": (b"ni1\0",)},
        {"magic": (b"xxxx",)},
    )
    chosen = w.random.choice(choices)
    for path in _some(w, _volumes(w)):
        _store(path, header(**chosen) + _body(0, 0))
    spacing = ("--spacing", "1,1,1") if w.random.random() < 0.3 else ()
    return _score(w, *spacing)


@move
def damaged_volumes(w: Workspace) -> Case:
    """Bytes of the header, of the voxels or of the archive are otherwise."""
    for path in _some(w, _volumes(w)):
        raw = path.read_bytes()
        at = w.random.choice((352, len(raw)))
        path.write_bytes(damaged(raw[:at], w.random) + raw[at:])
    return _score(w)


@move
def bomb(w: Workspace) -> Case:
    """A .nii.gz of a few MB that unfolds to three GiB; its header says so, or does not."""
    says = w.random.choice(
        ((3, 1024, 1024, 1536, 1, 1, 1, 1), (3, 12, 12, 12, 1, 1, 1, 1), (3, 32000, 32000, 2, 1, 1, 1, 1))
    )
    path = next(one for one in _volumes(w) if one.suffix == ".gz")
    path.write_bytes(bombs.gzip_of(header(dim=says), 3 * 2**30))
    return _score(w)


@move
def endless_resampling(w: Workspace) -> Case:
    """Spacings of micrometres, and voxels of kilometres."""
    paths = _volumes(w)
    if w.random.random() < 0.4:
        for path in paths:
            _store(
                path,
                header(
                    pixdim=(1.0, 9000.0, 9000.0, 9000.0, 1, 1, 1, 1), srow=(9000.0, *[0] * 4, 9000, *[0] * 4, 9000, 0)
                )
                + _body(0, 0),
            )
        return _score(w, "--spacing", "0.1,0.1,0.1", nonsense=True)
    return _score(
        w, "--spacing", w.random.choice(("0.001,0.001,0.001", "1e-9,1,1", "1e-300,1e-300,1e-300")), nonsense=True
    )


@move
def odd_options(w: Workspace) -> Case:
    """Intensities, slices and spacings that make no sense."""
    _volumes(w)
    windows = (
        "window:1,0",
        "window:nan,1",
        "window:-inf,inf",
        "window:",
        "window:1",
        "percentile",
        "zscore",
        "\x1b[31m",
        "window:1e308,1e309",
    )
    more = w.random.choice(
        (("--intensity", w.random.choice(windows)), ("--slices", w.random.choice(("0", "-1", "2", "999999999", "x"))))
    )
    return w.score_one(w.folder / "data", *more)


@move
def no_files(w: Workspace) -> Case:
    """FIFOs, devices and loops among the volumes."""
    for path in _some(w, _volumes(w)):
        instead_of_file(path, w.random)
    return _score(w)


@move
def too_few(w: Workspace) -> Case:
    """One volume a class."""
    _volumes(w, each=1)
    return _score(w, nonsense=True)


@move
def decathlon(w: Workspace) -> Case:
    """A dataset.json with odd values, and paths that lead outside."""
    folder = w.folder / "data"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
        for index in range(4):
            body = (
                _body(0, index)
                if part == "imagesTr"
                else (np.indices((_SIZE,) * 3).sum(0) > 18).astype("<i2").tobytes()
            )
            _store(folder / part / f"{index}.nii.gz", header() + body)
    pairs = [{"image": f"./imagesTr/{i}.nii.gz", "label": f"./labelsTr/{i}.nii.gz"} for i in range(4)]
    tree = {
        "name": "x",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "x"},
        "training": pairs,
        "numTraining": 4,
    }
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: changed(tree, w.random),
        lambda: {**tree, "training": [{**pairs[0], "label": "../../../etc/passwd"}, *pairs[1:]]},
        lambda: {**tree, "training": [{**pairs[0], "image": "/dev/zero"}, *pairs[1:]]},
        lambda: {**tree, "labels": {"0": "\x1b[31m", "1": "::error::x"}},
        lambda: tree,
    )
    (folder / "dataset.json").write_text(json.dumps(w.random.choice(kinds)()), errors="surrogatepass")
    return w.case(
        "score",
        "--zoo",
        w.materials.zoo,
        "--data",
        folder,
        "--model",
        "a",
        "--slices",
        3,
        "--repeats",
        1,
        "-o",
        "run.json",
    )
