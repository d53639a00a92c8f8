"""Code of libraries without their own downloads, and whether an address can be reached at all."""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLongError
from typing import Any
from urllib.parse import urlsplit

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


#: Seconds that a server has to accept a connection, and for which what was found is taken to hold.
PATIENCE = 5.0
KNOWN_FOR = 60.0
_found: dict[str, tuple[float, str]] = {}


def why_unreachable(url: str) -> str:
    """Why no connection to a server can be made; empty where one can. Asked again, it answers at once for a minute.

    Behind a proxy (HTTPS_PROXY and its like) it is the proxy that must accept the connection.

    Args:
        url: of the server, such as an endpoint of an API.

    Example:
        >>> why_unreachable("http://127.0.0.1:9")
        'http://127.0.0.1:9 cannot be reached: Connection refused'
    """
    known = _found.get(url)
    if known is None or time.monotonic() - known[0] > KNOWN_FOR:
        known = _found[url] = (time.monotonic(), _tried(url))
    return known[1]


def _tried(url: str) -> str:
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    outcome: Future[str] = Future()
    # looking a name up has no time limit of its own
    threading.Thread(target=_connect, args=(parts.hostname or "", port, outcome), daemon=True).start()
    try:
        reason = outcome.result(timeout=PATIENCE + 1)
    except TookTooLongError:
        reason = f"no answer within {PATIENCE:.0f} s"
    return f"{url} cannot be reached: {reason}" if reason else ""


def _connect(host: str, port: int, outcome: Future[str]) -> None:
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
        outcome.set_result("")
    except Exception as error:
        outcome.set_result(getattr(error, "strerror", None) or str(error) or type(error).__name__)


@functools.cache
def _install() -> None:
    sys.addaudithook(_refuse)  # once: a hook cannot be removed


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event in _EVENTS and getattr(_thread, "off", False):
        raise DownloadRefusedError("downloads are off")
