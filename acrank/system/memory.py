"""How much memory there is: the machine's, a container's, a limit of the process, a GPU's, and the user's own cap."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from acrank.errors import UsageError

if TYPE_CHECKING:
    import torch

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_OF_PROCESS = Path("/proc/self/cgroup")
#: The files of a limit and a usage in a cgroup, version 2 and 1.
_CGROUP_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
#: With more free bytes than this, what the C library keeps is left to it: the next candidate needs the same pages.
_PLENTY = 4 * 2**30


def bytes_of(text: str) -> int:
    """A size in words as bytes: `4GB`, `500M`, `3GiB`.

    Raises:
        UsageError: not a size.

    >>> bytes_of("4GB"), bytes_of("0.5 GiB")
    (4000000000, 536870912)
    """
    found = _SIZE.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise UsageError(f"--memory {text!r} is not a size", hint="write it like 4GB or 500MB")
    prefix = found[2].lower()
    unit = 1024 ** "kmgt".index(prefix) * 1024 if found[3] and prefix else _UNITS[prefix]
    return int(float(found[1]) * unit)


def free_memory(device: torch.device, cap: str | None = None) -> int:
    """Bytes that this process may still take: on the CPU, or on a GPU.

    The least of what the machine has available, what is left of each cgroup limit and of the process's limit on
    address space, and of the cap. Where that is little, pages that the C library keeps are given back first.

    Args:
        device: where the memory is needed.
        cap: the most that the process may use, as `bytes_of` reads it; None for no cap.
    """
    if device.type == "cuda":
        import torch

        free = torch.cuda.mem_get_info(device)[0]
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        left = free + reserved
        return left if cap is None else min(left, bytes_of(cap) - torch.cuda.memory_allocated(device))
    found = _free_on_the_cpu(cap)
    if found < _PLENTY:
        return_pages()
        found = _free_on_the_cpu(cap)
    return found


def _free_on_the_cpu(cap: str | None) -> int:
    import psutil

    own = psutil.Process().memory_info()
    found = [psutil.virtual_memory().available, *_left_of_cgroups()]
    if (limit := _address_space()) is not None:
        found.append(limit - own.vms)
    if cap is not None:
        found.append(bytes_of(cap) - own.rss)
    return max(0, min(found))


def reuse_pages() -> None:
    """Let the C library keep what is freed for the next allocation; glibc only.

    By default every large tensor is mapped anew, above 32 MB whatever the threshold, and the kernel clears its pages.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def return_pages() -> None:
    """Give what the C library keeps back to the system; glibc only."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def return_pages_above(size: int) -> None:
    """Give back what the C library keeps where the process holds more bytes than this.

    Blocks of one candidate's sizes do not fit those of the next; below it, keeping them saves the kernel's work.
    """
    import psutil

    if psutil.Process().memory_info().rss > size:
        return_pages()


def _left_of_cgroups() -> list[int]:
    """What is left of the limits of the process's cgroups, from its own up to the root."""
    found = []
    for folder in _cgroups():
        for limit, usage in _CGROUP_FILES:
            with suppress(OSError, ValueError):
                top = int((folder / limit).read_text())
                found.append(top - int((folder / usage).read_text()) + _file_pages(folder))
    return found


def _cgroups() -> list[Path]:
    """Folders of the cgroups that limit the process's memory; version 1 has a tree of its own for memory."""
    one, memory = _CGROUP, _CGROUP / "memory"
    with suppress(OSError):
        for line in _CGROUP_OF_PROCESS.read_text().splitlines():
            number, kinds, name = line.split(":", 2)
            if number == "0" or "memory" in kinds.split(","):
                root = one if number == "0" else memory
                own = root / name.lstrip("/")
                return [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return [one, memory]


def _file_pages(folder: Path) -> int:
    """Bytes of file pages in a cgroup, which the kernel drops under pressure; 0 where it does not say."""
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "inactive_file":
                return int(value)
    return 0


def _address_space() -> int | None:
    """The process's limit on its address space, None where there is none."""
    if os.name != "posix":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft
