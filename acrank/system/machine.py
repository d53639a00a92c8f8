"""The machine of a run: device, memory, precision, determinism, and the versions of packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

from acrank.errors import AcrankError, UsageError
from acrank.system.words import shortened

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_WORKSPACES = (":4096:8", ":16:8")  # under which cuBLAS is deterministic
_random_state = threading.RLock()
_auto_device: str | None = None  # what `auto` means in a process that was given its own device
#: Packages that a result depends on: their versions are in the run record and in the keys of the cache.
PACKAGES = (
    *("acrank", "torch", "timm", "numpy", "scipy", "scikit-learn", "pillow"),
    *("monai", "segmentation-models-pytorch"),
)


def run_environment() -> dict[str, Any]:
    """Machine and package versions, as plain data for the run record; loads no torch. Each row names its device."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "versions": package_versions(),
    }


def package_versions() -> dict[str, str | None]:
    """The installed version of each of `PACKAGES`, None where it is not installed."""
    installed: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def use_device(name: str | None) -> None:
    """Make `auto` mean this device in this process, as in each worker of `--devices`; None undoes that."""
    global _auto_device
    _auto_device = name


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, torch's CPU allocator or a GPU ran out of memory.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."))
    True
    """
    if isinstance(error, AcrankError):  # its text may mention memory
        return False
    is_named = type(error).__name__ in ("MemoryError", "OutOfMemoryError")
    return is_named or any(sign in _text_of(error) for sign in _OUT_OF_MEMORY)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Inside this context torch's global generator is freshly seeded; its state is restored afterwards.

    One thread at a time: the others wait.

    Args:
        seed: any integer.
        device: a GPU whose state is restored too; others are ignored.
    """
    import torch

    devices = [device] if device is not None and device.type == "cuda" else []
    with _random_state, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def deterministic(enabled: bool) -> Iterator[None]:
    """Inside this context torch uses deterministic algorithms only; its switches, global ones, are restored afterwards.

    An operation without a deterministic algorithm raises RuntimeError.

    Args:
        enabled: False changes nothing.
    """
    if not enabled:
        yield
        return
    import torch

    cudnn, variable = torch.backends.cudnn, "CUBLAS_WORKSPACE_CONFIG"
    flags, workspace = (cudnn.deterministic, cudnn.benchmark), os.environ.get(variable)
    before, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        if workspace not in _WORKSPACES:
            os.environ[variable] = _WORKSPACES[0]
        cudnn.deterministic, cudnn.benchmark = True, False
        torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        cudnn.deterministic, cudnn.benchmark = flags
        if workspace is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = workspace


def mixed_dtype(device: torch.device) -> torch.dtype:
    """The dtype of autocast on a device: bfloat16, or float16 on a GPU that lacks it."""
    import torch

    if device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)):
        return torch.bfloat16
    return torch.float16


def channels_last(model: torch.nn.Module) -> torch.nn.Module:
    """Store a network's 2D convolutions channels last, in place: most networks are faster. Its inputs follow."""
    import torch

    for part in model.parameters():
        if part.dim() == 4:
            part.data = part.data.contiguous(memory_format=torch.channels_last)
    return model


def pick_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda[:N]` or `mps`; auto is that of `use_device`, else cuda, mps or cpu.

    Raises:
        UsageError: not a device, or not available on this machine.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto" and _auto_device is not None:
        return pick_device(_auto_device)
    if wanted == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(f"{wanted!r} is not a device", hint="use auto, cpu, cuda, cuda:0 or mps") from error
    if not available.get(device.type, False):
        raise UsageError(f"device {wanted!r} is not available here", hint="use --device auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {wanted!r} is not available: {torch.cuda.device_count()} GPU(s)", hint="use cuda:0")
    return device


def reason_of(error: Exception) -> str:
    """Why a candidate was skipped, in one line of bounded length.

    >>> reason_of(MemoryError())
    'out of memory (lower the input size in the manifest, or give it more memory)'
    >>> reason_of(ValueError("two\\nlines"))
    'ValueError: two lines'
    """
    text = " ".join(shortened(_text_of(error)).split())
    if isinstance(error, AcrankError):
        return f"{text} ({shortened(error.hint, 500)})" if error.hint else text
    if is_out_of_memory(error):
        return "out of memory (lower the input size in the manifest, or give it more memory)"
    name = shortened(type(error).__name__, 200)
    return f"{name}: {text}" if text else name


def _text_of(error: BaseException) -> str:
    """The message of an error; empty where that of a foreign class fails."""
    try:
        return str(error)
    except Exception:
        return ""
