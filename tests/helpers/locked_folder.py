"""A folder that the process may no longer enter, also where the tests run as the superuser."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_NOBODY = 65534


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for everybody, and be an ordinary user meanwhile."""
    is_root = os.geteuid() == 0
    folder.chmod(0o000)
    if is_root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)
