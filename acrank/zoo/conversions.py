"""Weights in formats that are not read, and the line that converts each to one that is."""

from __future__ import annotations

import shlex
from pathlib import Path

from acrank.errors import CandidateError

_TRUST = "only if you trust where the file comes from, since this runs its code"
_HDF5 = (
    "import h5py, torch; t = {}; h5py.File(SOURCE).visititems(lambda n, v: t.update({n: torch.from_numpy(v[()])})"
    " if isinstance(v, h5py.Dataset) and v.dtype.kind == 'f' else None); torch.save(t, TARGET)"
)
_ONNX = (
    "import onnx, torch; from onnx import numpy_helper as n; torch.save({i.name: torch.from_numpy(n.to_array(i).copy())"
    " for i in onnx.load(SOURCE).graph.initializer}, TARGET)"
)
_KERAS_LAYOUT = "its kernels are [height, width, in, out]: build that network with `factory:`, names by `rename`"
_FOLDED = "exporting may have folded normalisation into convolutions: better save the state dict where it was trained"


def pickle_line(path: Path, *, network: bool = False, key: str | None = None) -> str:
    """The hint with the line that saves the tensors of a torch file which asks for code.

    Args:
        path: of the file.
        network: whether it is a whole pickled network.
        key: dotted, of the tensors in the file.

    Example:
        >>> print(pickle_line(Path("w.pth"), key="model.ema"))
        only if you trust where the file comes from, since this runs its code: python -c "import torch; p = \
torch.load('w.pth', map_location='cpu', weights_only=False); torch.save(p['model']['ema'], 'w-tensors.pth')"
    """
    at = "".join(f"[{part!r}]" for part in (key or "").split(".") if part)
    saved = "p.state_dict()" if network else f"p{at}"
    code = "import torch; p = torch.load(SOURCE, map_location='cpu', weights_only=False)"
    return f"{_TRUST}: {_line(f'{code}; torch.save({saved}, TARGET)', path)}"


def torchscript_line(path: Path) -> str:
    """The hint with the line that saves the tensors of a TorchScript archive."""
    code = "import torch; torch.save(torch.jit.load(SOURCE, map_location='cpu').state_dict(), TARGET)"
    return f"{_TRUST}: {_line(code, path)}"


def other_format(path: Path, head: bytes) -> CandidateError | None:
    """The refusal of a file in the format of another framework, None where it is none.

    Args:
        path: of the file.
        head: its first bytes, at least 64 where it has them.
    """
    if head.startswith(b"\x89HDF"):
        text = f"{path} is an HDF5 file, as Keras saves weights"
        return CandidateError(text, hint=f"{_line(_HDF5, path)} ({_KERAS_LAYOUT})")
    if head[4:8] == b"TFL3":
        line = f"python -m tf2onnx.convert --tflite {shlex.quote(str(path))} --output {_named(path, '.onnx')}"
        return CandidateError(f"{path} is a TensorFlow Lite model", hint=f"{line}, then as the .onnx hint says")
    if _is_onnx(head):
        return CandidateError(f"{path} is an ONNX model", hint=f"{_line(_ONNX, path)} ({_FOLDED})")
    return None


def other_archive(path: Path, names: set[str]) -> CandidateError | None:
    """The refusal of a zip archive of another format, None where it is none.

    Args:
        path: of the archive.
        names: of its files, without folders.
    """
    if "constants.pkl" in names:
        return CandidateError(f"{path} is a TorchScript archive: it holds code", hint=torchscript_line(path))
    if "model.weights.h5" in names:
        line = f"unzip {shlex.quote(str(path))} model.weights.h5, and point `weights` at that file for the next step"
        return CandidateError(f"{path} is a Keras archive", hint=line)
    if "serialized_exported_program.json" in names or any(name.endswith("model.json") for name in names):
        code = "import torch; torch.save(torch.export.load(SOURCE).state_dict, TARGET)"
        return CandidateError(f"{path} is a program of torch.export", hint=f"{_TRUST}: {_line(code, path)}")
    return None


def _is_onnx(head: bytes) -> bool:
    """Whether a protocol buffer begins as ONNX's ModelProto: its version, then its producer or another known field."""
    return len(head) > 3 and head[0] == 0x08 and 1 <= head[1] <= 64 and head[2] in (0x12, 0x1A, 0x22, 0x2A, 0x3A, 0x42)


def _line(code: str, path: Path) -> str:
    """A shell command that runs Python code, with the path and that of its result in place."""
    code = code.replace("SOURCE", repr(str(path))).replace("TARGET", repr(_named(path, "-tensors.pth")))
    return f'python -c "{code}"' if not set('"$`\\!') & set(code) else f"python -c {shlex.quote(code)}"


def _named(path: Path, end: str) -> str:
    return str(path.with_name(path.stem + end))
