"""Weights files: recognised by their content, read as data and never as code."""

from __future__ import annotations

import json
import re
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from acrank.errors import CandidateError
from acrank.system.files import sha256_of
from acrank.zoo.conversions import other_archive, other_format, pickle_line
from acrank.zoo.payload import RESAVE, only_tensors, tensors_at
from acrank.zoo.pickles import allowed_globals, is_network, refused_globals, strings_of

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["safetensors", "torch"]

_TORCH_LEGACY = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # of files that torch.save wrote before it zipped
_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "teacher", "weights")
_ONE_READER = threading.Lock()  # torch keeps one list of allowed globals for all threads
_DAMAGED = "download or copy it again"
_NOT_WEIGHTS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights", "run `git lfs pull`"),
    (b"\x1f\x8b", "compressed with gzip", "decompress it first"),
    (b"GGUF", "a GGUF file", RESAVE),
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


def check_globals(path: Path, key: str | None = None) -> None:
    """Refuse a torch file whose pickle asks for code, without reading it; no torch needed.

    Raises:
        CandidateError: as `read_state_dict` does.
    """
    if kind_of(path) == "torch" and (wanted := refused_globals(path)):
        raise _runs_code(path, wanted, key)


def read_state_dict(
    path: Path, key: str | None = None, notes: list[str] | None = None, *, device: str = "cpu"
) -> dict[str, Tensor]:
    """The named tensors of a weights file.

    Args:
        path: of a safetensors file, or of one that torch.save wrote.
        key: of the tensors in the file, such as `state_dict` or `model.ema`; without it they must be at the top, or in
            the only nested mapping of tensors, or under the `teacher` beside a `student`.
        notes: gets a note where tensors were chosen among several mappings.
        device: "cpu"; or "meta" for names and shapes without data.

    Raises:
        CandidateError: the file cannot be read, has no or several mappings of tensors, or would run code.
    """
    is_torch = kind_of(path) == "torch"
    payload = _load_torch(path, key, device) if is_torch else _load_safetensors(path, device)
    if key:
        return tensors_at(payload, key, path)
    tensors, chosen = only_tensors(payload, path)
    if notes is not None and chosen:
        notes.append(chosen)
    return tensors


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
    if refusal := other_archive(path, names):
        raise refusal
    if "data.pkl" not in names:
        raise CandidateError(f"{path} is a zip archive that torch.save did not write", hint=RESAVE)
    return "torch"


def _refused(path: Path, head: bytes) -> CandidateError:
    for magic, what, hint in _NOT_WEIGHTS:
        if head.startswith(magic):
            return CandidateError(f"{path} is {what}", hint=hint)
    if refusal := other_format(path, head):
        return refusal
    if head[:1] == b"\x80" or head[257:262] == b"ustar":
        what = "a Python pickle" if head[:1] == b"\x80" else "a tar archive"
        text = f"{path} is {what} that torch.save did not write; reading it could run code"
        return CandidateError(text, hint=RESAVE)
    return CandidateError(f"{path} is neither safetensors nor a torch file", hint=RESAVE)


def _load_safetensors(path: Path, device: str) -> dict[str, Tensor]:
    import safetensors
    import safetensors.torch

    try:
        if device == "meta":
            return _described_by_header(path)
        return safetensors.torch.load_file(path, device=device)
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise CandidateError(f"cannot read {path}: {error}", hint=_DAMAGED) from error


def _described_by_header(path: Path) -> dict[str, Tensor]:
    """Tensors without data of a safetensors file; of number formats only whether they are floating-point is kept."""
    import torch

    with path.open("rb") as file:
        entries = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    kinds = {
        name: torch.float32 if entry["dtype"][0] in "FB" and entry["dtype"] != "BOOL" else torch.int64
        for name, entry in entries.items()
        if name != "__metadata__"
    }
    return {name: torch.empty(entries[name]["shape"], dtype=kind, device="meta") for name, kind in kinds.items()}


def _load_torch(path: Path, key: str | None, device: str) -> Any:
    import pickle

    import torch

    if device == "meta" and not zipfile.is_zipfile(path):
        device = "cpu"  # torch reads old files into memory
    try:
        # an open file: torch treats a path by its suffix
        with _ONE_READER, torch.serialization.safe_globals(allowed_globals()), path.open("rb") as file:
            return torch.load(file, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = refused_globals(path) or [name for name in [_wanted(str(error))] if name]
        if not wanted:
            raise CandidateError(f"{path} is damaged: not a readable torch file", hint=_DAMAGED) from error
        raise _runs_code(path, wanted, key) from error
    except Exception as error:  # foreign bytes: the reader fails in as many ways as a file can be damaged
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CandidateError(f"{path} is truncated or damaged: {reason}", hint=_DAMAGED) from error


def _runs_code(path: Path, wanted: list[str], key: str | None) -> CandidateError:
    names = ", ".join(wanted[:5]) + (", …" if len(wanted) > 5 else "")
    if is_network(wanted):
        text = f"{path} is a whole pickled network, which would run code when read: it asks for {names}"
        return CandidateError(text, hint=pickle_line(path, network=True))
    known = strings_of(path)
    key = key or next((name for name in _KEYS if name in known), None)
    text = f"{path} would run code when read: it asks for {names}"
    return CandidateError(text, hint=pickle_line(path, key=key))


def _wanted(message: str) -> str | None:
    """The function or class that a refused pickle asks for, None where the pickle is only damaged."""
    if "ObjectDType" in message:
        return "a NumPy array of Python objects"
    found = re.search(r"GLOBAL ([\w.]+)", message) or re.search(
        r"[Uu]nsupported (?:class|global|operand) ([\w.]+)", message
    )
    return found[1] if found else None
