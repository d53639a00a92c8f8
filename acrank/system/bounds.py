"""Bounds on what a file may take, held before a byte of it is allocated."""

from __future__ import annotations

import stat
from functools import lru_cache
from pathlib import Path

from acrank.errors import AcrankError
from acrank.system.files import open_regular
from acrank.system.memory import free_memory

#: Text files (manifests, records, tables, gates) are not larger; nor is what they hold.
MOST_TEXT = 256 * 2**20
#: The most that one image, volume or array of a data set may take once decoded.
MOST_OF_ONE = 4 * 2**30


def check_regular(path: Path, error: type[AcrankError]) -> None:
    """Refuse what is no ordinary file: devices, FIFOs and sockets never end, or never begin.

    Args:
        path: of the file; links are followed.
        error: what is raised.

    Raises:
        AcrankError: of the class given: it is not there, cannot be looked at, or is no ordinary file.

    Example:
        >>> from acrank.errors import TargetError
        >>> check_regular(Path("/dev/zero"), TargetError)
        Traceback (most recent call last):
        ...
        acrank.errors.TargetError: /dev/zero is a device, not a file
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"cannot read {path}: {reason}", hint="check the path") from problem
    if not stat.S_ISREG(mode):
        raise error(f"{path} is a {_kind(mode)}, not a file", hint="name an ordinary file")


def first_bytes(path: Path, count: int, error: type[AcrankError], *, hint: str = "check the path") -> bytes:
    """The first bytes of an ordinary file, which tell its kind.

    Args:
        path: of the file.
        count: how many, at most.
        error: what is raised.
        hint: of the error.

    Raises:
        AcrankError: of the class given: it cannot be read, or is no ordinary file.
    """
    check_regular(path, error)
    try:
        with open_regular(path) as file:
            return file.read(count)
    except OSError as problem:
        raise error(f"cannot read {path}: {problem.strerror}", hint=hint) from problem


def read_bounded(path: Path, error: type[AcrankError], *, most: int = MOST_TEXT) -> str:
    """The text of an ordinary file, UTF-8, of no more bytes than `most`.

    Raises:
        AcrankError: of the class given: it cannot be read, is no ordinary file, is larger, or is not UTF-8.
    """
    raw = first_bytes(path, most + 1, error)
    if len(raw) > most:
        raise error(f"{path} is larger than {in_words(most)}", hint="is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8: {problem.reason} at byte {problem.start}", hint="save it as UTF-8") from None


def check_fits(needed: int, what: str, error: type[AcrankError], *, most: int = MOST_OF_ONE) -> None:
    """Refuse what would take more bytes than the bound, or than are free; `needed` comes from a header.

    Args:
        needed: bytes once decoded.
        what: would take them, as the subject of a sentence ("image.png").
        error: what is raised.
        most: the bound.

    Raises:
        AcrankError: of the class given.
    """
    import torch

    if needed > most:
        raise error(f"{what} would take {in_words(needed)}, more than {in_words(most)}", hint="is it damaged?")
    if needed > (free := free_memory(torch.device("cpu"))):
        raise error(f"{what} would take {in_words(needed)}, and {in_words(free)} are free", hint="free some memory")


def in_words(size: int) -> str:
    """A number of bytes for people.

    >>> in_words(4 * 2**30), in_words(1500)
    ('4.0 GiB', '1.5 KiB')
    """
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "folder", stat.S_ISFIFO: "FIFO", stat.S_ISSOCK: "socket"}
    return next((name for test, name in kinds.items() if test(mode)), "device")


@lru_cache(maxsize=1)
def kernel_devices() -> frozenset[int]:
    """Devices of what the kernel shows as files, which are no data, and of which some block whoever reads them."""
    found = (device_of(Path(path)) for path in ("/proc", "/sys"))
    return frozenset(one for one in found if one is not None) - {device_of(Path("/")) or 0}


def device_of(path: Path) -> int | None:
    """The device that a file or folder lies on; None where it is not there."""
    try:
        return path.stat().st_dev
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
