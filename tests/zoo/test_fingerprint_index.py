"""The index in the cache: written once for each version, believed only whole."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from acrank.zoo.fingerprint_index import Index, build_index, index_path, is_indexed, load_index, read_index, write_index
from acrank.zoo.fingerprints import timm_fingerprints

NAMES = ["resnet10t", "vit_tiny_patch16_224"]


@pytest.fixture(scope="module")
def index() -> Index:
    return build_index(timm_fingerprints(NAMES), total=2)


def test_an_index_is_read_as_written(tmp_path: Path, index: Index) -> None:
    write_index(tmp_path / "i", index)
    found = read_index(tmp_path / "i")
    assert found is not None
    assert found.fingerprints == index.fingerprints
    assert found.having == index.having


def test_progress_is_told() -> None:
    said: list[tuple[int, int, str]] = []
    build_index(timm_fingerprints(NAMES[:1]), total=1, advance=lambda *step: said.append(step))
    assert said == [(1, 1, "indexing resnet10t")]


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "json", "places"])
def test_a_damaged_index_is_none(tmp_path: Path, index: Index, damage: str) -> None:
    path = tmp_path / "i"
    write_index(path, index)
    raw = path.read_bytes()
    record = json.loads(zlib.decompress(raw))
    record["hashes"] = record["hashes"][:3]
    made = {"cut": raw[:-9], "text": b"hello", "empty": b"", "json": zlib.compress(b"[1]")}
    path.write_bytes(made.get(damage) or zlib.compress(json.dumps(record).encode()) if damage != "empty" else b"")
    assert read_index(path) is None
    assert read_index(tmp_path / "nowhere") is None


def test_the_cache_keeps_an_index_by_version(tmp_path: Path, index: Index) -> None:
    assert not is_indexed(tmp_path, "timm")
    path = index_path(tmp_path, "timm")
    path.parent.mkdir()
    write_index(path, index)
    assert is_indexed(tmp_path, "timm")
    assert load_index(tmp_path, "timm").fingerprints == index.fingerprints


def test_indices_are_joined(index: Index) -> None:
    both = index + index
    assert len(both.fingerprints) == 4
    assert next(iter(both.having.values())) == [0, 2]
