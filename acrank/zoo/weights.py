"""Weights files: recognised by their content, read as data and never as code."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from acrank.errors import CandidateError
from acrank.system.files import sha256_of
from acrank.system.words import closest

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["safetensors", "torch"]

_TORCH_LEGACY = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # of files that torch.save wrote before it zipped
_RESAVE = "save its tensors with safetensors or torch.save, and point `weights` at that file"
_DAMAGED = "download or copy it again"
_NOT_WEIGHTS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights", "run `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file", _RESAVE),
    (b"\x1f\x8b", "compressed with gzip", "decompress it first"),
    (b"GGUF", "a GGUF file", _RESAVE),
    (b"<", "a web page or XML, not weights", "download the file itself"),
)


def kind_of(path: Path) -> Kind:
    """The kind of a weights file, judged by its content alone; no torch needed.

    Returns:
        "safetensors", or "torch" for anything torch.save wrote, zipped or legacy.

    Raises:
        CandidateError: the file is missing, empty, truncated, or of an unsupported kind.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CandidateError(f"cannot read {path}: {error.strerror}", hint="check `weights` in the manifest") from error
    if not head:
        raise CandidateError(f"{path} is empty", hint=_DAMAGED)
    if head[8:9] == b"{":
        return _safetensors(path, int.from_bytes(head[:8], "little"))
    if head.startswith(b"PK"):
        return _zip(path)
    if _TORCH_LEGACY in head[:32]:
        return "torch"
    raise _refused(path, head)


def read_state_dict(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """The named tensors of a weights file, on the CPU.

    Args:
        path: of a safetensors file, or of one that torch.save wrote.
        key: of the tensors in the file, such as `state_dict` or `model.ema`; without it they must be at the top, or in
            the only nested mapping of tensors.

    Raises:
        CandidateError: the file cannot be read, has no or several mappings of tensors, or would run code.
    """
    payload = _load_safetensors(path) if kind_of(path) == "safetensors" else _load_torch(path)
    return _at(payload, key, path) if key else _only(payload, path)


def check_hash(path: Path, wanted: str | None) -> str:
    """The file's SHA-256.

    Raises:
        CandidateError: it is not `wanted`, the manifest's.
    """
    digest = sha256_of(path)
    if wanted and digest != wanted:
        text = f"{path.name} has sha256 {digest}, the manifest wants {wanted}"
        raise CandidateError(text, hint="get the right file, or correct the manifest if you trust this one")
    return digest


def _safetensors(path: Path, header: int) -> Kind:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            file.seek(8)
            entries = json.loads(file.read(header)) if 8 + header <= size else None
        ends = [entry["data_offsets"][1] for name, entry in (entries or {}).items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise CandidateError(f"{path} has a damaged safetensors header", hint=_DAMAGED) from error
    if entries is None or size < 8 + header + max(ends, default=0):
        raise CandidateError(f"{path} is a truncated safetensors file of {size} bytes", hint=_DAMAGED)
    return "safetensors"


def _zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise CandidateError(f"{path} is truncated or a damaged archive", hint=_DAMAGED) from error
    if "constants.pkl" in names:
        raise CandidateError(f"{path} is a TorchScript archive: it holds code", hint=_RESAVE)
    if "data.pkl" not in names:
        raise CandidateError(f"{path} is a zip archive that torch.save did not write", hint=_RESAVE)
    return "torch"


def _refused(path: Path, head: bytes) -> CandidateError:
    for magic, what, hint in _NOT_WEIGHTS:
        if head.startswith(magic):
            return CandidateError(f"{path} is {what}", hint=hint)
    if head[:1] == b"\x80" or head[257:262] == b"ustar":
        what = "a Python pickle" if head[:1] == b"\x80" else "a tar archive"
        text = f"{path} is {what} that torch.save did not write; reading it could run code"
        return CandidateError(text, hint=_RESAVE)
    return CandidateError(f"{path} is neither safetensors nor a torch file", hint=_RESAVE)


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise CandidateError(f"cannot read {path}: {error}", hint=_DAMAGED) from error


def _load_torch(path: Path) -> Any:
    import pickle

    import torch

    try:
        # an open file: torch treats a path by its suffix
        with torch.serialization.safe_globals(_numpy_scalars()), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _code_wanted(str(error))
        if wanted is None:
            raise CandidateError(f"{path} is damaged: not a readable torch file", hint=_DAMAGED) from error
        raise CandidateError(f"{path} would run code when read: it asks for {wanted}", hint=_RESAVE) from error
    except Exception as error:  # foreign bytes: the reader fails in as many ways as a file can be damaged
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CandidateError(f"{path} is truncated or damaged: {reason}", hint=_DAMAGED) from error


def _code_wanted(message: str) -> str | None:
    """The function or class that a refused pickle asks for, None where the pickle is only damaged."""
    found = re.search(r"GLOBAL ([\w.]+)", message) or re.search(
        r"[Uu]nsupported (?:class|global|operand) ([\w.]+)", message
    )
    return found[1] if found else None


def _numpy_scalars() -> list[Any]:
    """Allowed globals of a pickled NumPy number, as training scripts store losses: its constructor, numeric dtypes."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]  # NumPy 1 and NumPy 2
    return [*names, np.dtype, *dict.fromkeys(type(np.dtype(code)) for code in "?bBhHiIlLqQefd")]


def _at(payload: Any, key: str, path: Path) -> dict[str, Tensor]:
    """The tensors under a dotted key, without other entries beside them."""
    found = _descend(payload, key)
    if found is None:
        known = [name for name, _ in _mappings(payload)] or ([str(k) for k in payload] if _has_names(payload) else [])
        hint = closest(key, known, f"known: {', '.join(known[:10])}" if known else "leave `weights_key` out")
        raise CandidateError(f"{path} has nothing under weights_key {key!r}", hint=hint)
    tensors = {name: value for name, value in found.items() if _is_tensor(value)} if _has_names(found) else {}
    if not tensors:
        names = ", ".join(name for name, _ in _mappings(payload) if name)
        hint = f"tensors are under: {names}" if names else _RESAVE
        raise CandidateError(f"{path} has no tensors under weights_key {key!r}", hint=hint)
    return tensors


def _descend(payload: Any, key: str) -> Any:
    if not _has_names(payload):
        return None
    if key in payload:
        return payload[key]
    head, _, rest = key.partition(".")
    return _descend(payload[head], rest) if rest and head in payload else None


def _only(payload: Any, path: Path) -> dict[str, Tensor]:
    if not _has_names(payload):
        raise CandidateError(f"{path} holds a {type(payload).__name__}, not named tensors", hint=_RESAVE)
    if not payload:
        raise CandidateError(f"{path} holds nothing", hint=_RESAVE)
    found = list(_mappings(payload))
    if not found:
        keys = ", ".join(list(payload)[:10])
        raise CandidateError(f"{path} has no mapping of tensors; its keys: {keys}", hint="give its `weights_key`")
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise CandidateError(f"{path} has several mappings of tensors: {names}", hint="choose one with `weights_key`")
    return found[0][1]


def _mappings(payload: Any, name: str = "", depth: int = 3) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping of tensors with its dotted key, at the top or nested."""
    if not _has_names(payload):
        return
    tensors = {key: value for key, value in payload.items() if not key.endswith(("_metadata", "_extra_state"))}
    if tensors and all(_is_tensor(value) for value in tensors.values()):
        yield name, tensors
        return
    for key, value in payload.items():
        if depth and isinstance(value, Mapping):
            yield from _mappings(value, f"{name}.{key}" if name else key, depth - 1)


def _has_names(payload: Any) -> bool:
    return isinstance(payload, Mapping) and all(isinstance(key, str) for key in payload)


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
