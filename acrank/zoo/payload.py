"""The named tensors in what a weights file holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acrank.errors import CandidateError
from acrank.system.words import closest

if TYPE_CHECKING:
    from torch import Tensor

RESAVE = "save its tensors with safetensors or torch.save, and point `weights` at that file"
#: Keys of what a training script keeps for itself beside the weights.
_TRAINING = re.compile(
    r"^(optim\w*|\w*loss\w*|criterion|\w*scheduler\w*|\w*scaler\w*|callbacks|hyper_parameters)(\.|$)"
)


def tensors_at(payload: Any, key: str, path: Path) -> dict[str, Tensor]:
    """The tensors under a dotted key, without other entries beside them.

    Raises:
        CandidateError: there are none.
    """
    found = _descend(payload, key)
    if found is None:
        known = [name for name, _ in _mappings(payload)] or ([str(k) for k in payload] if _has_names(payload) else [])
        hint = closest(key, known, f"known: {', '.join(known[:10])}" if known else "leave `weights_key` out")
        raise CandidateError(f"{path} has nothing under weights_key {key!r}", hint=hint)
    tensors = {name: value for name, value in found.items() if _is_tensor(value)} if _has_names(found) else {}
    if not tensors:
        names = ", ".join(name for name, _ in _mappings(payload) if name)
        hint = f"tensors are under: {names}" if names else RESAVE
        raise CandidateError(f"{path} has no tensors under weights_key {key!r}", hint=hint)
    return tensors


def _descend(payload: Any, key: str) -> Any:
    if not _has_names(payload):
        return None
    if key in payload:
        return payload[key]
    head, _, rest = key.partition(".")
    return _descend(payload[head], rest) if rest and head in payload else None


def only_tensors(payload: Any, path: Path) -> tuple[dict[str, Tensor], str | None]:
    """The tensors at the top or in the only nested mapping of them, and a note where they were chosen.

    What a training script keeps for itself (optimiser, loss, …) does not count. Beside a `student` the `teacher` is
    taken, as self-distillation does.

    Raises:
        CandidateError: there is no such mapping, or there are several.
    """
    if not _has_names(payload):
        raise CandidateError(f"{path} holds a {type(payload).__name__}, not named tensors", hint=RESAVE)
    if not payload:
        raise CandidateError(f"{path} holds nothing", hint=RESAVE)
    found = dict(_mappings(payload))
    if not found:
        keys = ", ".join(list(payload)[:10])
        raise CandidateError(f"{path} has no mapping of tensors; its keys: {keys}", hint="give its `weights_key`")
    if len(found) > 1:
        found = {name: tensors for name, tensors in found.items() if not _TRAINING.search(name)} or found
    names = ", ".join(f"`{name}`" for name in found)
    if set(found) == {"student", "teacher"}:
        return found["teacher"], f"weights under `teacher`, of {names}"
    if len(found) > 1:
        text = f"{path} has several mappings of tensors: {names.replace('`', '')}"
        raise CandidateError(text, hint="choose one with `weights_key`")
    return next(iter(found.values())), None


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
