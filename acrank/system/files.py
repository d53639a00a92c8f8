"""Files written whole or not at all, and hashes of files."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import tempfile
import time
from pathlib import Path

from acrank.errors import OutputError

_PREFIX = ".acrank-"  # of temporary files; the path's own name may be as long as a name can be
_SETTLED = 2.0  # a file changed within these seconds may change again under the same time stamp
_Stamp = tuple[int, ...]


def atomic_write(path: Path, data: str | bytes, *, durable: bool = False) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never half of it.

    A killed process leaves the old file; after a loss of power only `durable` promises that, and a busy disk can take
    seconds over it: it is for what took long to work out.

    Text is written as UTF-8 with the line ends it has; what UTF-8 lacks (file names of other encodings) as escapes.

    Raises:
        OutputError: the folder is missing, or the path cannot be written.
    """
    raw = data.encode(errors="backslashreplace") if isinstance(data, str) else data
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _cannot_write(path, error) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_writable(path: Path) -> None:
    """Raise OutputError now rather than after the work: `path` must be writable, its folder must exist."""
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder", hint="name a file")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_PREFIX):
            pass
    except OSError as error:
        raise _cannot_write(path, error) from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits.

    A file is read once: its hash is remembered in this process until its size, place on the disk or time stamps change.
    """
    about = path.stat()
    stamp = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    is_settled = time.time() - max(about.st_mtime, about.st_ctime) > _SETTLED
    return _remembered_digest(path, stamp) if is_settled else _digest(path)


@functools.lru_cache(maxsize=64)
def _remembered_digest(path: Path, _: _Stamp) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cannot_write(path: Path, error: OSError) -> OutputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "make room, or write elsewhere" if full else "choose a folder that exists and is yours"
    return OutputError(f"cannot write {path}: {error.strerror or error}", hint=hint)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
