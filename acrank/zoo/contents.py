"""What a checkpoint holds, as names and shapes: read without its data where the format allows, and never as code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from acrank.errors import CandidateError
from acrank.zoo.fingerprints import Shape
from acrank.zoo.payload import RESAVE, _mappings
from acrank.zoo.weights import _load_torch, kind_of, read_state_dict

_LARGEST_PICKLE = 64 * 2**20  # bytes of what torch.save writes beside the numbers; a large network takes 1 MB
_LARGEST_HEADER = 64 * 2**20


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
    if _is_safetensors(path):
        return {"": _shapes(read_state_dict(path, device="meta"))}
    _check_size(path)
    payload = _load_torch(path, None, "meta")
    found = {key: _shapes(tensors) for key, tensors in _mappings(payload)}
    if not found:
        raise CandidateError(f"{path} has no mapping of tensors", hint=RESAVE)
    return found


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") > _LARGEST_HEADER:
        raise CandidateError(f"{path} has a safetensors header of more than 64 MiB", hint=RESAVE)
    return kind_of(path) == "safetensors"


def _check_size(path: Path) -> None:
    """Refuse an archive whose pickle would fill the memory when it is read."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = max((one.file_size for one in archive.infolist() if one.filename.endswith("data.pkl")), default=0)
    if size > _LARGEST_PICKLE:
        raise CandidateError(f"{path} holds a pickle of {size / 2**20:.0f} MiB, no checkpoint's", hint=RESAVE)


def _shapes(tensors: Mapping[str, object]) -> dict[str, Shape]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in tensors.items()}
