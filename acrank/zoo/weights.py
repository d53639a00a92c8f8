"""Weights files: recognised by their content, read as data and never as code."""

from __future__ import annotations

import json
import math
import re
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from acrank.errors import CandidateError
from acrank.system.bounds import first_bytes
from acrank.system.files import open_regular, sha256_of
from acrank.zoo.archives import archive_names, check_archive
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
_LARGEST_HEADER = 64 * 2**20
_LARGEST_REPEATED = 64 * 2**20
_FORMATS = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL", "C64")
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
    head = first_bytes(path, 512, CandidateError, hint="check `weights` in the manifest")
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
    from acrank.zoo.number_formats import in_known_format  # loads torch

    is_torch = kind_of(path) == "torch"
    if device != "meta":
        check_archive(path)
    payload = _load_torch(path, key, device) if is_torch else _load_safetensors(path, device)
    tensors, chosen = (tensors_at(payload, key, path), None) if key else only_tensors(payload, path)
    if notes is not None and chosen:
        notes.append(chosen)
    for name, value in tensors.items():
        _check_extent(path, name, value)
    return {name: in_known_format(value) for name, value in tensors.items()}


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
    if header > _LARGEST_HEADER:
        raise CandidateError(f"{path} has a safetensors header of more than 64 MiB", hint=RESAVE)
    if 8 + header > size:
        raise _truncated(path, size)
    entries = safetensors_entries(path)
    try:
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        told = next((name for name, entry in entries.items() if not _is_told(entry)), None)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise CandidateError(f"{path} has a damaged safetensors header", hint=_DAMAGED) from error
    if size < 8 + header + end:
        raise _truncated(path, size)
    if told is not None:
        raise CandidateError(f"{path}: the safetensors header gives {told[:80]!r} a wrong size", hint=_DAMAGED)
    return "safetensors"


def safetensors_entries(path: Path) -> dict[str, Any]:
    """The header of a safetensors file without its metadata: name -> `dtype`, `shape` and `data_offsets`.

    Raises:
        CandidateError: it is damaged.
    """
    try:
        with open_regular(path) as file:
            entries = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return {name: entry for name, entry in entries.items() if name != "__metadata__"}
    except (ValueError, AttributeError, RecursionError) as error:
        raise CandidateError(f"{path} has a damaged safetensors header", hint=_DAMAGED) from error


def _is_told(entry: Mapping[str, Any]) -> bool:
    """Whether the bytes of a tensor are those of its shape; of a number format unknown here the library judges."""
    begin, end = entry["data_offsets"]
    found = re.search(r"\d+", entry["dtype"])
    bits = int(found[0]) if found else 8  # BOOL
    return bool(end - begin == math.prod(entry["shape"]) * bits // 8) if entry["dtype"] in _FORMATS else True


def _truncated(path: Path, size: int) -> CandidateError:
    return CandidateError(f"{path} is a truncated safetensors file of {size} bytes", hint=_DAMAGED)


def _zip(path: Path) -> Kind:
    names = archive_names(path)
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
        # read, not mapped: a mapped file that is cut short meanwhile ends the process
        with open_regular(path) as file:
            return safetensors.torch.load(file.read())
    except KeyError as error:  # a number format that the library has no type of torch's for
        raise CandidateError(f"cannot read {path}: torch has no number format {error}", hint=RESAVE) from error
    except (safetensors.SafetensorError, ValueError, TypeError, RuntimeError, OSError) as error:
        raise CandidateError(f"cannot read {path}: {error}", hint=_DAMAGED) from error


def _check_extent(path: Path, name: str, value: Tensor) -> None:
    """Refuse a tensor that repeats few bytes so often that a copy of it would fill the memory."""
    import torch

    size = value.numel() * value.element_size()
    if value.layout == torch.strided and not value.is_meta and size > _LARGEST_REPEATED:
        stored = value.untyped_storage().nbytes()
        if size > stored:
            text = f"{path}: the tensor {name[:80]!r} has {size} bytes over {stored} that are stored"
            raise CandidateError(text, hint=RESAVE)


def _described_by_header(path: Path) -> dict[str, Tensor]:
    """Tensors without data of a safetensors file; of number formats only their kind is kept."""
    import torch

    kinds = {"F": torch.float32, "B": torch.float32, "BOOL": torch.bool, "C": torch.complex64}
    entries = safetensors_entries(path)
    formats = {name: entry["dtype"] for name, entry in entries.items()}
    dtypes = {name: kinds.get(one, kinds.get(one[0], torch.int64)) for name, one in formats.items()}
    return {name: torch.empty(entries[name]["shape"], dtype=one, device="meta") for name, one in dtypes.items()}


def _load_torch(path: Path, key: str | None, device: str) -> Any:
    import pickle

    import torch

    if device == "meta" and not zipfile.is_zipfile(path):
        device = "cpu"  # torch reads old files into memory
    try:
        # an open file: torch treats a path by its suffix
        with _ONE_READER, torch.serialization.safe_globals(allowed_globals()), open_regular(path) as file:
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
