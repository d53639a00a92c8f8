"""Checkpoints: damaged archives, tensors that do not fit, code in pickles, and bombs."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from fuzz import bombs
from fuzz.case import Case
from fuzz.generators.manifest import PICKLE
from fuzz.odd import damaged, instead_of_file, nested
from fuzz.workspace import Workspace, move

_HEAD = "classifier"
_STEM = "conv_stem.weight"


def _tensors(w: Workspace) -> dict[str, Tensor]:
    return dict(load_file(w.materials.folder / "a.safetensors"))


def _backbone(tensors: dict[str, Tensor]) -> list[str]:
    return [name for name in tensors if not name.startswith(_HEAD) and not name.endswith("num_batches_tracked")]


def _some(w: Workspace, tensors: dict[str, Tensor]) -> str:
    """The first layer's weights, or any tensor of the backbone."""
    return _STEM if w.random.random() < 0.3 else w.random.choice(_backbone(tensors))


def _case(w: Workspace, path: Path, *, refused: bool = True, **more: Any) -> Case:
    """Rank the file beside a sound one, or validate the manifest; a file that is refused has no rank."""
    zoo = w.write_zoo(w.materials.entry("a", weights=path.name, **more), w.materials.entry("b"))
    if w.random.random() < 0.25:
        return w.case("zoo", "validate", "--zoo", zoo)
    return w.score(zoo=zoo, unranked=("a",) if refused else ())


def _written(w: Workspace, tensors: dict[str, Any], **given: Any) -> Path:
    """As a torch file, plain, nested or of the old kind, or as safetensors."""
    kind = w.random.randrange(4)
    path = w.folder / ("a.safetensors" if kind == 0 else "a.pth")
    if kind == 0:
        save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    else:
        held = {"state_dict": tensors, "epoch": 3} if kind == 2 else tensors
        torch.save(held, path, _use_new_zipfile_serialization=kind != 3, **given)
    return path


@move
def sound(w: Workspace) -> Case:
    """The sound tensors, saved in other ways, give the same values."""
    zoo = w.write_zoo(w.materials.entry("a", weights=_written(w, _tensors(w)).name), w.materials.entry("b"))
    return w.score(zoo=zoo, values=w.materials.values, sound=True)


@move
def flipped_under_crc(w: Workspace) -> Case:
    """Exponents of a torch archive are flipped, and its checksums are not mended."""
    path = w.folder / "a.pth"
    torch.save(_tensors(w), path)
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if "/data/" in one.filename and one.file_size >= 64]
        largest = w.random.sample(sorted(members, key=lambda one: -one.file_size)[:12], 3)
    raw = bytearray(path.read_bytes())
    for one in largest:
        start = one.header_offset + 30 + sum(struct.unpack_from("<HH", raw, one.header_offset + 26))
        for _ in range(w.random.choice((1, 201))):
            at = start + 4 * w.random.randrange(one.file_size // 4) + 3
            raw[at] ^= w.random.choice((0x01, 0x04, 0x40, 0x80))
    path.write_bytes(raw)
    return _case(w, path)


@move
def wrong_crc(w: Workspace) -> Case:
    """A checksum in the archive's directory is another one."""
    path = w.folder / "a.pth"
    torch.save(_tensors(w), path)
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        name = w.random.choice([one.filename for one in archive.infolist() if one.file_size > 64]).encode()
    at = raw.rindex(name) - 46 + 16
    raw[at] ^= 0xFF
    path.write_bytes(raw)
    return _case(w, path)


@move
def damaged_file(w: Workspace) -> Case:
    """Bytes anywhere are flipped, cut or overwritten; the manifest has the sound file's hash, or none."""
    path = _written(w, _tensors(w))
    hashed = w.random.random() < 0.5
    more = {"sha256": _sha256(path)} if hashed else {}
    before = path.read_bytes()
    path.write_bytes(damaged(before, w.random))
    return _case(w, path, refused=hashed and path.read_bytes() != before, **more)


@move
def cut_off(w: Workspace) -> Case:
    """The end of the file is missing."""
    path = _written(w, _tensors(w))
    raw = path.read_bytes()
    path.write_bytes(raw[: w.random.randrange(len(raw) - 1)])
    return _case(w, path)


@move
def other_shape(w: Workspace) -> Case:
    """A tensor of the backbone has another shape."""
    tensors = _tensors(w)
    name = _some(w, tensors)
    kinds = (
        lambda t: t[: max(1, len(t) // 2)][:0],
        lambda t: torch.cat([t, t]),
        lambda t: t.unsqueeze(-1).unsqueeze(0),
    )
    tensors[name] = w.random.choice(kinds)(tensors[name]).contiguous()
    return _case(w, _written(w, tensors))


@move
def other_dtype(w: Workspace) -> Case:
    """A tensor of the backbone has no floating-point numbers."""
    tensors = _tensors(w)
    name = _some(w, tensors)
    tensors[name] = tensors[name].to(w.random.choice((torch.int64, torch.uint8, torch.bool, torch.int8)))
    return _case(w, _written(w, tensors))


@move
def complex_numbers(w: Workspace) -> Case:
    """A tensor of the backbone is complex, sparse or quantised."""
    tensors: dict[str, Any] = _tensors(w)
    name = _some(w, tensors)
    kinds = (
        lambda t: t.to(torch.complex64),
        lambda t: t.to_sparse(),
        lambda t: torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8),
        lambda t: t.to("meta"),
        lambda t: t.tolist(),
        lambda t: None,
    )
    tensors[name] = w.random.choice(kinds)(tensors[name])
    path = w.folder / "a.pth"
    torch.save(tensors, path)
    return _case(w, path)


@move
def half_precision(w: Workspace) -> Case:
    """Another floating-point type is no fault."""
    dtype = w.random.choice((torch.float16, torch.bfloat16, torch.float64))
    return _case(w, _written(w, {name: value.to(dtype) for name, value in _tensors(w).items()}), refused=False)


@move
def not_finite(w: Workspace) -> Case:
    """One value is NaN or infinite."""
    tensors = _tensors(w)
    name = _some(w, tensors)
    tensors[name].view(-1)[0] = w.random.choice((float("nan"), float("inf"), -float("inf")))
    return _case(w, _written(w, tensors))


@move
def negative_variance(w: Workspace) -> Case:
    """Running variances below zero."""
    tensors = _tensors(w)
    name = w.random.choice([one for one in tensors if one.endswith("running_var")])
    tensors[name] = -tensors[name].abs() - 1
    return _case(w, _written(w, tensors))


@move
def missing(w: Workspace) -> Case:
    """A tensor of the backbone is not there, or under another name."""
    tensors = _tensors(w)
    name = _some(w, tensors)
    value = tensors.pop(name)
    if w.random.random() < 0.5:
        tensors[f"xyzzy.{name}"] = value
    more = w.random.choice(({}, {}, {"min_match": 0.5}))
    return _case(w, _written(w, tensors), refused=not more or name == _STEM, **more)


@move
def nothing_fits(w: Workspace) -> Case:
    """No tensor, or none of this network."""
    choices: tuple[dict[str, Any], ...] = ({}, {"x": torch.zeros(3)}, {"state_dict": {}}, {_STEM: torch.zeros(1)})
    path = w.folder / "a.pth"
    torch.save(w.random.choice(choices), path)
    return _case(w, path, **w.random.choice(({}, {"min_match": 0.01, "allow_unused": True})))


@move
def code_in_a_pickle(w: Workspace) -> Case:
    """A pickle that runs code, bare or in an archive."""
    path = w.folder / w.random.choice(("a.pth", "a.pkl", "a.safetensors", "a.bin"))
    if w.random.random() < 0.4:
        path.write_bytes(PICKLE)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", PICKLE)
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/byteorder", "little")
    return _case(w, path)


@move
def expanded(w: Workspace) -> Case:
    """A tensor whose strides are zero: four bytes on disk, TiB once copied; in place of another or beside them."""
    tensors = _tensors(w)
    beside = w.random.random() < 0.5
    tensors["extra.weight" if beside else _STEM] = torch.zeros(1).expand(2**20, 2**20)
    path = w.folder / "a.pth"
    torch.save(tensors, path)
    return _case(w, path, refused=not beside)


@move
def deep(w: Workspace) -> Case:
    """Very deep or very wide data beside the tensors, or a value that contains itself."""
    loop: list[Any] = []
    loop.append(loop)
    beside = w.random.choice((nested(200), loop, dict.fromkeys(range(10**5), 0), ["x" * 100] * 10**5, {"": {"": {}}}))
    path = w.folder / "a.pth"
    torch.save({"state_dict": _tensors(w), "beside": beside}, path)
    return _case(w, path, refused=False)


@move
def zip_bomb(w: Workspace) -> Case:
    """A member of the archive unfolds to GiB."""
    path = w.folder / "a.pth"
    name = w.random.choice(("archive/data/0", "archive/data.pkl", "archive/version"))
    path.write_bytes(bombs.zip_of(name, b"", 3 * 2**30))
    if w.random.random() < 0.5:
        with zipfile.ZipFile(path, "a") as archive:
            buffer = io.BytesIO()
            torch.save(_tensors(w), buffer)
            with zipfile.ZipFile(buffer) as held:
                for one in held.infolist():
                    if one.filename != name:
                        archive.writestr(one, held.read(one))
    return _case(w, path)


@move
def safetensors_header(w: Workspace) -> Case:
    """Headers of safetensors that declare too much, overlap, or are no header."""
    data = bytearray(save(_tensors(w)))
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + size])
    # a counter of batches is no weight: in another shape it is left over, and nothing is lost
    first = next(name for name in header if name != "__metadata__" and not name.endswith("num_batches_tracked"))
    changes: tuple[dict[str, Any], ...] = (
        {"shape": [2**40]},
        {"shape": [-1]},
        {"shape": [0]},
        {"data_offsets": [0, 2**50]},
        {"data_offsets": [10, 0]},
        {"dtype": "F8_E4M3"},
        {"dtype": "x"},
        {"shape": [1] * 100},
    )
    if w.random.random() < 0.7:
        header[first].update(w.random.choice(changes))
        text = json.dumps(header).encode()
        raw = struct.pack("<Q", len(text)) + text + bytes(data[8 + size :])
    else:
        raw = struct.pack("<Q", w.random.choice((0, 2**63, 2**40, len(data)))) + bytes(data[8:])
    path = w.folder / "a.safetensors"
    path.write_bytes(raw)
    return _case(w, path)


@move
def other_kinds(w: Workspace) -> Case:
    """Something else under the name of a checkpoint."""
    path = w.folder / w.random.choice(("a.pth", "a.safetensors", "a.ckpt", "a.h5", "a.onnx", "a.npz"))
    starts = (
        b"",
        b"\0" * 64,
        b"PK\x03\x04",
        b"PK\x05\x06" + b"\0" * 18,
        b"\x89HDF\r\n\x1a\n",
        b"\x80\x02.",
        b"\x80\x05.",
    )
    more = (b"<html>", b"version https://git-lfs.github.com/spec/v1\n", b"\x1f\x8b\x08", b"{}", w.random.randbytes(999))
    path.write_bytes(w.random.choice((*starts, *more)))
    return _case(w, path)


@move
def no_file(w: Workspace) -> Case:
    """A device, a FIFO, a folder."""
    path = w.folder / w.random.choice(("a.pth", "a.safetensors"))
    instead_of_file(path, w.random)
    return _case(w, path)


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
