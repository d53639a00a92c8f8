"""What a checkpoint holds, as names and shapes: read without its data where the format allows, and never as code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from acrank.errors import CandidateError
from acrank.zoo.fingerprints import Shape
from acrank.zoo.payload import RESAVE, _mappings
from acrank.zoo.weights import _load_torch, kind_of, read_state_dict


def shapes_by_key(path: Path) -> dict[str, dict[str, Shape]]:
    """Dotted key -> name -> shape of every mapping of tensors in a file; the key of the outermost is empty.

    Args:
        path: of a safetensors file, or of one that torch.save wrote.

    Raises:
        CandidateError: the file cannot be read, holds no tensors, or would run code.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "last.ckpt"
        >>> torch.save({"state_dict": {"fc.weight": torch.zeros(2, 3)}, "epoch": 7}, path)
        >>> shapes_by_key(path)
        {'state_dict': {'fc.weight': (2, 3)}}
    """
    if kind_of(path) == "safetensors":
        return {"": _shapes(read_state_dict(path, device="meta"))}
    payload = _load_torch(path, None, "meta")
    found = {key: _shapes(tensors) for key, tensors in _mappings(payload)}
    if not found:
        raise CandidateError(f"{path} has no mapping of tensors", hint=RESAVE)
    return found


def _shapes(tensors: Mapping[str, object]) -> dict[str, Shape]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in tensors.items()}
