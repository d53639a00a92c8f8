"""Code of libraries without their own downloads."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from typing import Any

#: What Python reports before an address is looked up, connected to or opened (PEP 578); files by URL are among them.
_EVENTS = frozenset(("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "urllib.Request"))
_thread = threading.local()


class DownloadRefusedError(RuntimeError):
    """Something wanted to reach an address inside `downloads_off`."""


@contextlib.contextmanager
def downloads_off() -> Iterator[None]:
    """Inside this context nothing in this thread reaches an address; other threads go on as they were.

    Raises:
        DownloadRefusedError: at the attempt, in the code that makes it.

    Example:
        >>> import urllib.request
        >>> with downloads_off():
        ...     urllib.request.urlopen("file:///etc/hostname")
        Traceback (most recent call last):
        ...
        acrank.system.offline.DownloadRefusedError: downloads are off
    """
    _install()
    before = getattr(_thread, "off", False)
    _thread.off = True
    try:
        yield
    finally:
        _thread.off = before


@functools.cache
def _install() -> None:
    sys.addaudithook(_refuse)  # once: a hook cannot be removed


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event in _EVENTS and getattr(_thread, "off", False):
        raise DownloadRefusedError("downloads are off")
