"""Weights in the formats of other frameworks: named, with a line to run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from acrank.errors import CandidateError
from acrank.zoo.weights import kind_of, read_state_dict


def refusal(path: Path, raw: bytes | None = None) -> CandidateError:
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(CandidateError) as caught:
        kind_of(path)
    return caught.value


def run(hint: str | None) -> None:
    """The line of a hint, with this Python."""
    line = "python -c " + (hint or "").partition("python -c ")[2]
    line = line.partition(" (its kernels")[0]
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, check=True)


def test_torchscript(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    torch.jit.save(torch.jit.script(layer), tmp_path / "it's.pt")
    error = refusal(tmp_path / "it's.pt")
    assert "TorchScript archive" in error.message
    assert "runs its code" in (error.hint or "")
    run(error.hint)
    assert torch.equal(read_state_dict(tmp_path / "it's-tensors.pth")["weight"], layer.weight)


def test_keras_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["conv/kernel:0"] = torch.ones(3, 3, 1, 2).numpy()
    error = refusal(tmp_path / "m.h5")
    assert "is an HDF5 file, as Keras saves weights" in error.message
    run(error.hint)
    assert read_state_dict(tmp_path / "m-tensors.pth")["conv/kernel:0"].shape == (3, 3, 1, 2)


def test_a_keras_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    error = refusal(tmp_path / "m.keras")
    assert "is a Keras archive" in error.message
    assert "unzip" in (error.hint or "")


def test_an_exported_program(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    torch.export.save(torch.export.export(layer, (torch.rand(1, 2),)), tmp_path / "m.pt2")
    error = refusal(tmp_path / "m.pt2")
    assert "program of torch.export" in error.message
    run(error.hint)
    assert torch.equal(read_state_dict(tmp_path / "m-tensors.pth")["weight"], layer.weight)


@pytest.mark.parametrize(
    ("raw", "said", "line"),
    [
        (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(60), "is an ONNX model", "onnx.load("),
        (b"\x08\x0a:\x90\x01" + bytes(60), "is an ONNX model", "onnx.load("),
        (b"\x1c\0\0\0TFL3" + bytes(60), "is a TensorFlow Lite model", "tf2onnx.convert --tflite"),
    ],
)
def test_onnx_and_tflite(tmp_path: Path, raw: bytes, said: str, line: str) -> None:
    error = refusal(tmp_path / "w.bin", raw)
    assert said in error.message
    assert line in (error.hint or "")
