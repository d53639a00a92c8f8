"""Weight files: recognised by content, read as data, refused when they are neither whole nor data."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save_file

from acrank.errors import CandidateError
from acrank.zoo.weights import kind_of, read_state_dict

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1.0, 2.0])}


def zipped(payload: Any, path: Path) -> None:
    torch.save(payload, path)


def legacy(payload: Any, path: Path) -> None:
    torch.save(payload, path, _use_new_zipfile_serialization=False)


WRITERS = {"safetensors": save_file, "zipped": zipped, "legacy": legacy}


@pytest.mark.parametrize("name", ["w.bin", "w.th", "w.tar", "w.safetensors", "w"])
@pytest.mark.parametrize("kind", WRITERS)
def test_content_decides_not_the_suffix(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    WRITERS[kind](TENSORS, path)
    assert kind_of(path) == ("safetensors" if kind == "safetensors" else "torch")
    found = read_state_dict(path)
    assert set(found) == set(TENSORS)
    assert all(torch.equal(found[key], value) for key, value in TENSORS.items())


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(tmp_path: Path, kind: str, keep: float) -> None:
    path = tmp_path / "w"
    WRITERS[kind]({"w": torch.randn(1000)}, path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(CandidateError) as caught:
        read_state_dict(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@given(st.binary(max_size=600))
@example(b"")
@example((2).to_bytes(8, "little") + b"{}")  # a whole safetensors file, of no tensors
def test_no_bytes_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "w"
    for head in (b"", b"\x02\0\0\0\0\0\0\0{}", b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x04"):
        path.write_bytes(head + raw)
        outcome = read_or_refusal(path)
        if isinstance(outcome, CandidateError):
            assert str(path) in outcome.message
            assert outcome.hint
        else:
            assert all(isinstance(value, torch.Tensor) for value in outcome.values())


def read_or_refusal(path: Path) -> Mapping[str, torch.Tensor] | CandidateError:
    """What a file holds, or why it is refused; any other error passes, and fails the test."""
    try:
        return read_state_dict(path)
    except CandidateError as error:
        return error


def test_a_truncated_safetensors_file_is_seen_without_reading_it(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w")
    raw = (tmp_path / "w").read_bytes()
    (tmp_path / "w").write_bytes(raw[:-1])
    with pytest.raises(CandidateError, match=f"truncated safetensors file of {len(raw) - 1} bytes"):
        kind_of(tmp_path / "w")


class Evil:
    """A pickle of this leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["zipped", "legacy", "plain"])
@pytest.mark.parametrize("key", [None, "state_dict"])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path: Path, kind: str, key: str | None) -> None:
    path, mark = tmp_path / "w.pth", tmp_path / "mark"
    payload = {"state_dict": TENSORS, "extra": Evil(mark)}
    if kind == "plain":
        path.write_bytes(pickle.dumps(payload))
    else:
        WRITERS[kind](payload, path)
    with pytest.raises(CandidateError, match="code") as caught:
        read_state_dict(path, key)
    assert not mark.exists()
    if kind != "plain":
        assert "mkdir" in caught.value.message
    with path.open("rb") as file:  # the trap itself works
        if kind == "plain":
            pickle.load(file)
        else:
            torch.load(file, weights_only=False)
    assert mark.exists()


def test_numpy_numbers_beside_the_weights_are_data(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    extras = {"best": np.float64(91.7), "epoch": np.int64(3), "small": np.float32(1), "flag": np.bool_(True)}
    torch.save({"state_dict": TENSORS, **extras}, path)
    assert set(read_state_dict(path)) == set(TENSORS)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"hello world, these are no weights", "neither safetensors nor a torch file"),
        (b"\x00" * 257 + b"ustar" + b"\x00" * 300, "tar archive"),
        ((5).to_bytes(8, "little") + b"{nope" + bytes(8), "damaged safetensors header"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(raw)
    with pytest.raises(CandidateError, match=said) as caught:
        kind_of(path)
    assert caught.value.hint


def test_archives_that_are_no_checkpoints(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(CandidateError, match=r"zip archive that torch\.save did not write"):
        kind_of(tmp_path / "w.npz")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(CandidateError, match="holds code"):
        kind_of(tmp_path / "w.pt")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(CandidateError, match=r"cannot read|is a folder, not a file"):
            kind_of(path)


@pytest.mark.parametrize(
    "payload",
    [
        {"epoch": 3, "state_dict": TENSORS, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}},
        {"model": {"net": TENSORS}, "best": torch.tensor(1.0)},
        {**TENSORS, "x._extra_state": None},
    ],
)
def test_the_only_mapping_of_tensors_is_found(tmp_path: Path, payload: Any) -> None:
    torch.save(payload, tmp_path / "w")
    assert set(read_state_dict(tmp_path / "w")) == set(TENSORS)


def test_several_mappings_need_a_key(tmp_path: Path) -> None:
    path = tmp_path / "w"
    torch.save(
        {"state_dict": TENSORS, "ema": {"net": {"b": torch.ones(1)}}, "name.with.dots": {"c": torch.ones(1)}}, path
    )
    with pytest.raises(CandidateError, match=r"state_dict, ema\.net, name\.with\.dots"):
        read_state_dict(path)
    assert set(read_state_dict(path, "state_dict")) == set(TENSORS)
    assert set(read_state_dict(path, "ema.net")) == {"b"}
    assert set(read_state_dict(path, "name.with.dots")) == {"c"}
    with pytest.raises(CandidateError, match="nothing under weights_key 'state_dic'") as caught:
        read_state_dict(path, "state_dic")
    assert "state_dict" in (caught.value.hint or "")
    with pytest.raises(CandidateError, match="no tensors under weights_key 'ema'"):
        read_state_dict(path, "ema")


@pytest.mark.parametrize(
    ("payload", "said"), [([1], "holds a list"), ({}, "holds nothing"), ({"epoch": 3}, "its keys: epoch")]
)
def test_files_without_tensors(tmp_path: Path, payload: Any, said: str) -> None:
    torch.save(payload, tmp_path / "w")
    with pytest.raises(CandidateError, match=said):
        read_state_dict(tmp_path / "w")


def test_tensors_do_not_depend_on_a_file_that_is_cut_short_later(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from acrank.zoo.weights import read_state_dict;"
        "path = Path(sys.argv[1]); tensors = read_state_dict(path); path.open('r+b').truncate(16);"
        "print(float(tensors['w'].sum()))"
    )
    save_file({"w": torch.ones(1000, 1000)}, tmp_path / "w.safetensors")
    command = [sys.executable, "-c", code, str(tmp_path / "w.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1000000.0\n"), done.stderr
