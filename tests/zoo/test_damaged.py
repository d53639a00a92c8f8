"""Damaged and hostile weights files: whole, or refused before they are read."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.workbench import Outcome, make_images
from safetensors.torch import save_file
from torch import Tensor

from acrank.errors import CandidateError
from acrank.zoo import Candidate, load_candidate
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.validation import validate_zoo
from acrank.zoo.weights import kind_of, read_state_dict

timm = import_timm()


def rewritten(source: Path, path: Path, change: Callable[[zipfile.ZipInfo, bytes], bytes], **how: Any) -> Path:
    """A torch archive with other members under the checksums of theirs."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", **how) as new:
        for member in old.infolist():
            new.writestr(member.filename, change(member, old.read(member)))
    return path


def flipped(path: Path, member: str, *, count: int = 200) -> None:
    """Flip the highest exponent bit of floats in a member, and leave its checksum."""
    with zipfile.ZipFile(path) as archive:
        found = next(one for one in archive.infolist() if one.filename.endswith(member))
    raw = bytearray(path.read_bytes())
    start = (
        found.header_offset + 30 + sum(struct.unpack("<HH", raw[found.header_offset + 26 : found.header_offset + 30]))
    )
    for i in range(count):
        raw[start + 4 * i + 3] ^= 0x20
    path.write_bytes(raw)


def entry(folder: Path, tensors: Any, name: str = "w", **more: Any) -> Candidate:
    torch.save(tensors, folder / name)
    return Candidate(id=name, architecture="test_resnet", weights=name, folder=folder, **more)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return dict(timm.create_model("test_resnet", num_classes=3).state_dict())


def test_a_wrong_checksum_is_refused_by_score_and_validate(
    tmp_path: Path, tensors: dict[str, Tensor], acrank: Callable[..., Outcome]
) -> None:
    for name in ("intact", "damaged"):
        torch.save(tensors, tmp_path / f"{name}.pth")
    with zipfile.ZipFile(tmp_path / "damaged.pth") as archive:
        largest = max(archive.infolist(), key=lambda one: one.file_size).filename
    flipped(tmp_path / "damaged.pth", largest)
    lines = "".join(f"  - {{id: {n}, architecture: test_resnet, weights: {n}.pth}}\n" for n in ("intact", "damaged"))
    (tmp_path / "zoo.yaml").write_text(f"version: 1\nmodels:\n{lines}")
    make_images(tmp_path / "data")
    done = acrank("zoo", "validate", "--zoo", tmp_path / "zoo.yaml")
    assert done.code == 2
    assert f"'{largest}' is not what its checksum says" in done.out + done.err
    words = ("--zoo", tmp_path / "zoo.yaml", "--data", tmp_path / "data", "--samples", 8, "--repeats", 1, "--no-cache")
    done = acrank("score", *words, "--scores", "logme", "-f", "json")
    rows = {row["model"]: row for row in json.loads(done.out)["rows"]}
    assert rows["intact"]["status"] == "scored"
    assert rows["damaged"]["status"] == "skipped"
    assert largest in rows["damaged"]["reason"]


def test_archives_that_declare_more_than_they_have(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors, tmp_path / "w")
    packed = rewritten(tmp_path / "w", tmp_path / "packed", lambda _, raw: raw, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CandidateError, match="holds a compressed member"):
        read_state_dict(packed)
    again = shutil.copy(tmp_path / "w", tmp_path / "again")
    with zipfile.ZipFile(again, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"other")
    with pytest.raises(CandidateError, match=r"holds the member '.*' twice"):
        read_state_dict(Path(again))


def test_a_bomb_of_members_that_share_their_bytes(tmp_path: Path) -> None:
    """Every entry of the directory points at the same megabyte."""
    with zipfile.ZipFile(tmp_path / "w", "w") as archive:
        archive.writestr("w/data.pkl", bytes(2**20))
        for i in range(9):
            twin = zipfile.ZipInfo(f"w/data/{i}")
            first = archive.filelist[0]
            twin.header_offset, twin.CRC = first.header_offset, first.CRC
            twin.file_size = twin.compress_size = first.file_size
            archive.filelist.append(twin)
    with pytest.raises(CandidateError, match="declares 10485760 bytes and has"):
        kind_of(tmp_path / "w")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}, "gives 'a' a wrong size"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 2**50]}, "truncated safetensors file"),
        ({"dtype": "F32", "shape": ["x"], "data_offsets": [0, 8]}, "damaged safetensors header"),
        ([1], "damaged safetensors header"),
    ],
)
def test_safetensors_headers_are_held_against_the_file(tmp_path: Path, entry: Any, said: str) -> None:
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    for read in (kind_of, read_state_dict):
        with pytest.raises(CandidateError, match=said):
            read(tmp_path / "w")


def test_headers_too_long_or_too_deep(tmp_path: Path) -> None:
    with (tmp_path / "long").open("wb") as file:
        file.write((2**27).to_bytes(8, "little") + b"{")
        file.truncate(2**28)
    with pytest.raises(CandidateError, match="header of more than 64 MiB"):
        kind_of(tmp_path / "long")
    deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    (tmp_path / "deep").write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(CandidateError, match="damaged safetensors header"):
        kind_of(tmp_path / "deep")


def test_what_is_no_ordinary_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in {
        "fifo": "is a FIFO",
        "endless": "is a device",
        "loop": "cannot read",
    }.items():
        candidate = Candidate(id="it", architecture="test_resnet", weights=name, folder=tmp_path)
        with pytest.raises(CandidateError, match=said):
            load_candidate(candidate)


@pytest.mark.parametrize("write", [torch.save, save_file])
def test_negative_variances_are_refused(tmp_path: Path, tensors: dict[str, Tensor], write: Callable[..., None]) -> None:
    name = "layer2.0.bn1.running_var"
    write({**tensors, name: -tensors[name]}, tmp_path / "w")
    with pytest.raises(CandidateError, match=f"'{name}' has negative variances"):
        load_candidate(Candidate(id="it", architecture="test_resnet", weights="w", folder=tmp_path))


@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_validate_looks_at_the_values(tmp_path: Path, tensors: dict[str, Tensor], value: float) -> None:
    name = "layer2.0.bn1.running_var"
    entry(tmp_path, {**tensors, name: torch.full_like(tensors[name], value)})
    (tmp_path / "zoo.yaml").write_text("version: 1\nmodels:\n  - {id: m, architecture: test_resnet, weights: w}\n")
    assert [name in str(problem) for problem in validate_zoo(tmp_path / "zoo.yaml")[1]] == [True]


@pytest.mark.parametrize("damage", ["shape", "dtype", "complex", "missing"])
@pytest.mark.parametrize("name", ["conv1.0.weight", "conv1.3.weight"])
def test_min_match_never_lets_the_stem_be_random(
    tmp_path: Path, tensors: dict[str, Tensor], name: str, damage: str
) -> None:
    changed = {
        "shape": {name: torch.rand(tensors[name].shape[0] + 1, *tensors[name].shape[1:])},
        "dtype": {name: tensors[name].int()},
        "complex": {name: tensors[name].to(torch.complex64)},
        "missing": {},
    }[damage]
    rest = {key: value for key, value in tensors.items() if key != name}
    with pytest.raises(CandidateError, match=r"the first layer conv1\.\d.weight.* would stay random"):
        load_candidate(entry(tmp_path, {**rest, **changed}, min_match=0.5))


@pytest.mark.parametrize("name", ["cls_token", "pos_embed", "patch_embed.proj.bias"])
def test_the_stem_of_a_transformer_has_its_tokens(tmp_path: Path, name: str) -> None:
    tensors = {key: value for key, value in timm.create_model("test_vit").state_dict().items() if key != name}
    torch.save(tensors, tmp_path / "w")
    candidate = Candidate(id="it", architecture="test_vit", weights="w", folder=tmp_path, min_match=0.5)
    with pytest.raises(CandidateError, match=f"the first layer {name} would stay random"):
        load_candidate(candidate)


def test_numbers_of_other_kinds_are_no_weights(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    name = "layer3.0.conv1.weight"
    for other in (tensors[name].to(torch.complex64), tensors[name].bool(), tensors[name].to_sparse()):
        with pytest.raises(CandidateError, match=f"would stay random.*{name} \\(file"):
            load_candidate(entry(tmp_path, {**tensors, name: other}))
    eight = {**tensors, name: tensors[name].to(torch.float8_e4m3fn)}
    assert load_candidate(entry(tmp_path, eight)).weights["share"] == 1


def test_no_command_waits_for_a_fifo(
    tmp_path: Path, tensors: dict[str, Tensor], acrank: Callable[..., Outcome]
) -> None:
    """Weights, a factory's module and a manifest; the cache, too, would read them."""
    os.mkfifo(tmp_path / "weights")
    os.mkfifo(tmp_path / "fifo_networks.py")
    torch.save(tensors, tmp_path / "w")
    entries = ["architecture: test_resnet, weights: weights", "architecture: 'factory:fifo_networks:f', weights: w"]
    lines = "".join(f"  - {{id: m{i}, {entry}}}\n" for i, entry in enumerate(entries))
    (tmp_path / "zoo.yaml").write_text(f"version: 1\nmodels:\n{lines}")
    make_images(tmp_path / "data")
    done = acrank("score", "--zoo", tmp_path / "zoo.yaml", "--data", tmp_path / "data", "--allow-code", "-f", "json")
    assert done.code == 3
    assert done.err.count("is a FIFO, not a file") >= 2
    done = acrank("zoo", "validate", "--zoo", tmp_path / "weights")
    assert done.code == 2
    assert "is a FIFO, not a file" in done.err


def test_a_storage_is_not_larger_than_its_member(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(4), "b": torch.ones(3, dtype=torch.float16)}, tmp_path / "w")

    def change(member: zipfile.ZipInfo, raw: bytes) -> bytes:
        old, new = b"K\x04tq\x07Q", b"M\x00\x04tq\x07Q"
        assert (old in raw) == member.filename.endswith("data.pkl")
        return raw.replace(old, new)

    assert set(read_state_dict(tmp_path / "w")) == {"a", "b"}
    path = rewritten(tmp_path / "w", tmp_path / "more", change)
    with pytest.raises(CandidateError, match="gives 'w/data/0' 4096 bytes, and has 16 for it"):
        read_state_dict(path)


def test_a_tensor_that_repeats_a_number_without_end_is_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save({**tensors, "layer1.9.conv1.weight": torch.ones(1).expand(2**20, 2**20)}, tmp_path / "w")
    candidate = Candidate(id="m", architecture="test_resnet", weights="w", folder=tmp_path)
    with pytest.raises(CandidateError, match="has 4398046511104 bytes over 4 that are stored"):
        load_candidate(candidate)
