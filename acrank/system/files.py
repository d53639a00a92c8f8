"""Files written whole or not at all, and hashes of files."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from acrank.errors import OutputError

_PREFIX = ".acrank-"  # of temporary files; the path's own name may be as long as a name can be
#: A file changed within these seconds may change again under the same time stamp: its hash is not remembered.
SETTLED_SECONDS = 2.0


def atomic_write(path: Path, data: str | bytes, *, durable: bool = False) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never half of it.

    Text is written as UTF-8 with its own line ends; what UTF-8 lacks (file names of other encodings) becomes escapes.

    Args:
        path: in a folder that exists.
        data: all of the file.
        durable: whether the old or the new file survives a loss of power, too. That can take seconds on a busy disk:
            for results of long work.

    Raises:
        OutputError: the folder is missing, or the path cannot be written.
    """
    raw = data.encode(errors="backslashreplace") if isinstance(data, str) else data
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.umask(mask := os.umask(0))  # the only way to read it
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def is_there(path: Path) -> bool:
    """Whether anything has this path; False for one that nothing can have, such as an overlong one.

    >>> is_there(Path("/")), is_there(Path("a" * 300)), is_there(Path("nul\\0"))
    (True, False, False)
    """
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises where the name is too long


def check_writable(path: Path) -> None:
    """Check before the work that `path` can be written.

    Raises:
        OutputError: it is a folder or not writable, or its folder does not exist.
    """
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder", hint="name a file")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_PREFIX):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits.

    It is remembered in this process until the file's size, inode or time stamps change.
    """
    stamp, is_settled = stamp_of(path)
    return _remembered_digest(path, stamp) if is_settled else _digest(path)


def open_regular(path: Path) -> BufferedReader:
    """Open an ordinary file to read its bytes; what a FIFO or a device would keep waiting for is refused at once.

    Unlike a check before opening it holds for the file that is opened: another may take its place in between.

    Raises:
        OSError: it cannot be opened, or is no ordinary file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    return file


def stamp_of(path: Path) -> tuple[tuple[int, ...], bool]:
    """What changes with a file: device, inode, size, times of the last change; and whether it can be relied on.

    It cannot where the file changed so lately that another change could leave the same times.
    """
    info = path.stat()
    stamp = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    return stamp, time.time() - max(info.st_mtime, info.st_ctime) > SETTLED_SECONDS


@functools.lru_cache(maxsize=64)
def _remembered_digest(path: Path, _: tuple[int, ...]) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path, option: str = "--work-dir") -> None:
    """Make a folder that an option names, and those above it, unless it is there.

    Raises:
        OutputError: it cannot be made, as where a file or a broken link has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {path}: {error.strerror}", hint=f"choose another {option}") from error


@contextlib.contextmanager
def reached(folder: Path) -> Iterator[None]:
    """Say that a folder cannot be used where its files cannot be reached, as where it was locked in mid-run.

    Raises:
        OutputError: within the block a file could not be reached.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error that says that a path could not be written, why, and what helps.

    >>> str(cannot_write(Path("a/b.csv"), OSError(errno.ENOSPC, "No space left on device")))
    'cannot write a/b.csv: No space left on device'
    """
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "make room, or write elsewhere" if full else "choose a folder that exists and is yours"
    return OutputError(f"cannot write {path}: {error.strerror or error}", hint=hint)
