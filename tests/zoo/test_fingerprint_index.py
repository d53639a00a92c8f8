"""The index in the cache: written once for each version, believed only whole."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from acrank.system.sealed_folder import SealedFolder
from acrank.zoo.fingerprint_index import (
    Index,
    _part_name,
    build_index,
    index_name,
    indexed_so_far,
    is_indexed,
    load_index,
    read_index,
    write_index,
)
from acrank.zoo.fingerprints import Fingerprint, timm_fingerprints

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


def test_an_interrupted_index_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*NAMES, "resnet14t", "resnet18"]
    built: list[str] = []

    def interrupted(given: list[str]) -> Iterator[tuple[str, Fingerprint | None]]:
        for name, one in timm_fingerprints(given):
            if name == "resnet14t" and "resnet14t" not in built:
                built.append(name)
                raise KeyboardInterrupt
            built.append(name)
            yield name, None if name == NAMES[1] else one

    monkeypatch.setattr("acrank.zoo.fingerprint_index._LIBRARIES", {"timm": (lambda: names, interrupted)})
    with pytest.raises(KeyboardInterrupt):
        load_index(tmp_path, "timm")
    assert not is_indexed(tmp_path, "timm")
    assert indexed_so_far(tmp_path, "timm") == (2, 4)
    told: list[tuple[int, int, str]] = []
    whole = load_index(tmp_path, "timm", advance=lambda *step: told.append(step))
    assert built == [*NAMES, "resnet14t", "resnet14t", "resnet18"]
    assert told == [(3, 4, "indexing resnet14t"), (4, 4, "indexing resnet18")]
    assert ([one.name for one in whole.fingerprints], whole.missing) == ([names[0], *names[2:]], [NAMES[1]])
    assert [path.name for path in (tmp_path / "architectures").iterdir()] == [index_name("timm").rpartition("/")[2]]


def test_an_index_is_saved_in_parts_while_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed loses the last seconds only, and other architectures begin anew."""
    monkeypatch.setattr("acrank.zoo.fingerprint_index._SAVED_EVERY", 0.0)
    sizes: list[int] = []
    build_index(timm_fingerprints(NAMES), total=2, save=lambda index: sizes.append(index.size))
    assert sizes == [1, 2]
    monkeypatch.setattr("acrank.zoo.fingerprint_index._LIBRARIES", {"timm": (lambda: NAMES, timm_fingerprints)})
    SealedFolder(tmp_path).write(_part_name("timm", ["other"]), b"x")
    assert indexed_so_far(tmp_path, "timm") == (0, 2)


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
