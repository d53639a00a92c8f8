"""Two commands that write the same outputs at once: the second one is refused before it computes anything."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from acrank.errors import OutputError


@contextmanager
def claimed(outputs: Sequence[Path]) -> Iterator[None]:
    """Inside this context no other acrank that claims them writes these outputs; it ends with the process, too.

    A claim is a lock of the operating system on one byte of a file in the folder for temporary files, at a place that
    the path's hash gives, so that nothing is left beside the outputs. Claims hold between the processes of one user on
    one machine. Nothing is claimed where there are no such locks (Windows, some file systems).

    Raises:
        OutputError: another process has claimed one of them.

    Example:
        >>> with claimed([Path("run.json")]):
        ...     pass
    """
    handle = _opened()
    try:
        if handle is not None:
            _claim(handle, outputs)
        yield
    finally:
        if handle is not None:
            os.close(handle)  # which ends all claims of this process


def _claim(handle: int, outputs: Sequence[Path]) -> None:
    import fcntl

    for path in outputs:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place_of(path))
        except (BlockingIOError, PermissionError) as error:
            raise OutputError(
                f"{path} is being written by another acrank", hint="wait until it has ended, or name another -o"
            ) from error
        except OSError:  # a file system without locks
            return


def place_of(path: Path) -> int:
    """The byte that stands for a path, whatever its spelling.

    >>> place_of(Path("run.json")) == place_of(Path("./x/../run.json"))
    True
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(path))).digest()  # a loop of links is no error here
    return int.from_bytes(digest[:7], "big")


def _opened() -> int | None:
    """The lock file; None where there are no locks, it cannot be made, or is not this user's."""
    if importlib.util.find_spec("fcntl") is None:
        return None
    path = Path(tempfile.gettempdir()) / f"acrank-{os.getuid()}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    if os.fstat(handle).st_uid == os.getuid():
        return handle
    os.close(handle)
    return None
