"""A lock between processes that change one file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acrank.errors import OutputError
from acrank.system.files import cannot_write

_BETWEEN = 0.02  # seconds between two tries


@contextmanager
def file_lock(path: Path, *, seconds: float = 60.0) -> Iterator[None]:
    """Inside this context no other process is inside it for the same path.

    The lock is one of the operating system (`flock`) on an empty file `.NAME.lock` beside the path, which stays there;
    it ends with the process, however that ends.

    Args:
        path: of the file that is changed; it need not exist.
        seconds: how long to wait for another process.

    Raises:
        OutputError: the lock cannot be made, the system or the file system has no such locks, or another process does
            not end.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "history.csv"
        >>> with file_lock(path):
        ...     sorted(one.name for one in path.parent.iterdir())
        ['.history.csv.lock']
    """
    try:
        import fcntl
    except ImportError as error:
        raise OutputError(f"cannot lock {path}: this system has no flock", hint="write another file") from error
    handle = _opened(path)
    try:
        ends = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= ends:
                    raise OutputError(
                        f"{path} is locked by another process", hint="try again when it has ended"
                    ) from None
                time.sleep(_BETWEEN)
            except OSError as error:
                raise OutputError(
                    f"cannot lock {path}: {error.strerror or error}", hint="choose a file system that has locks"
                ) from error
        yield
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    """The lock file, which another user may have made: a lock needs no right to write it."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        try:
            return os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
