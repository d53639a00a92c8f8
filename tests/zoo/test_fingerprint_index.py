"""The index in the cache: written once for each version, believed only whole."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from acrank.system.sealed_folder import SealedFolder
from acrank.zoo.fingerprint_index import Index, build_index, index_name, is_indexed, load_index, read_index, write_index
from acrank.zoo.fingerprints import timm_fingerprints

NAMES = ["resnet10t", "vit_tiny_patch16_224"]


@pytest.fixture(scope="module")
def index() -> Index:
    return build_index(timm_fingerprints(NAMES), total=2)


def test_an_index_is_read_as_written(tmp_path: Path, index: Index) -> None:
    write_index(tmp_path, "timm", index)
    found = read_index(tmp_path, "timm")
    assert found is not None
    assert found.fingerprints == index.fingerprints
    assert found.having == index.having


def test_progress_is_told() -> None:
    said: list[tuple[int, int, str]] = []
    build_index(timm_fingerprints(NAMES[:1]), total=1, advance=lambda *step: said.append(step))
    assert said == [(1, 1, "indexing resnet10t")]


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "another name", "a bit"])
def test_a_damaged_index_is_none(tmp_path: Path, index: Index, damage: str) -> None:
    write_index(tmp_path, "timm", index)
    path = tmp_path / index_name("timm")
    raw = path.read_bytes()
    if damage == "another name":
        path.rename(tmp_path / index_name("torchvision"))
    else:
        bit = raw[:1000] + bytes([raw[1000] ^ 1]) + raw[1001:]
        path.write_bytes({"cut": raw[:-9], "text": b"hello", "empty": b"", "a bit": bit}[damage])
    assert read_index(tmp_path, "timm") is None
    assert read_index(tmp_path, "torchvision") is None
    assert not is_indexed(tmp_path, "timm")


@pytest.mark.parametrize("content", [b"[1]", b"{}", b"no JSON", b"[" * 100_000])
def test_an_index_of_another_shape_is_none(tmp_path: Path, content: bytes) -> None:
    SealedFolder(tmp_path).write(index_name("timm"), zlib.compress(content))
    assert read_index(tmp_path, "timm") is None


def test_an_index_with_hashes_missing_is_none(tmp_path: Path, index: Index) -> None:
    write_index(tmp_path, "timm", index)
    folder, name = SealedFolder(tmp_path), index_name("timm")
    record = json.loads(zlib.decompress(folder.read(name) or b""))
    record["hashes"] = record["hashes"][:3]
    folder.write(name, zlib.compress(json.dumps(record).encode()))
    assert read_index(tmp_path, "timm") is None


def test_the_cache_keeps_an_index_by_version(tmp_path: Path, index: Index) -> None:
    assert not is_indexed(tmp_path, "timm")
    write_index(tmp_path, "timm", index)
    assert is_indexed(tmp_path, "timm")
    assert load_index(tmp_path, "timm").fingerprints == index.fingerprints


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = (lambda: NAMES[:1], timm_fingerprints)
    monkeypatch.setattr("acrank.zoo.fingerprint_index._LIBRARIES", {"timm": made})
    (tmp_path / "architectures").write_text("in the way")
    assert len(load_index(tmp_path, "timm").fingerprints) == 1
    assert not is_indexed(tmp_path, "timm")


def test_indices_are_joined(index: Index) -> None:
    both = index + index
    assert len(both.fingerprints) == 4
    assert next(iter(both.having.values())) == [0, 2]
