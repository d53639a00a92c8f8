"""Names and shapes of a file: without its numbers, and never as code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from acrank.errors import CandidateError
from acrank.zoo.contents import shapes_by_key

TENSORS = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}
SHAPES = {"a.weight": (2, 3), "a.bias": (2,)}


@pytest.mark.parametrize("zipped", [True, False])
def test_every_mapping_has_its_key(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "w"
    payload = {"state_dict": TENSORS, "ema": {"net": TENSORS}, "epoch": 3}
    torch.save(payload, path, _use_new_zipfile_serialization=zipped)
    assert shapes_by_key(path) == {"state_dict": SHAPES, "ema.net": SHAPES}


def test_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w")
    assert shapes_by_key(tmp_path / "w") == {"": SHAPES}


def test_a_large_pickle_in_a_small_archive_is_refused_unread(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(65 * 2**20))
    assert (tmp_path / "w").stat().st_size < 2**20
    with pytest.raises(CandidateError, match="holds a pickle of 65 MiB"):
        shapes_by_key(tmp_path / "w")


def test_a_huge_header_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "w").open("wb") as file:
        file.write((2**27).to_bytes(8, "little") + b"{")
        file.truncate(2**28)
    with pytest.raises(CandidateError, match="header of more than 64 MiB"):
        shapes_by_key(tmp_path / "w")


def test_files_without_tensors(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w")
    with pytest.raises(CandidateError, match="no mapping of tensors"):
        shapes_by_key(tmp_path / "w")
