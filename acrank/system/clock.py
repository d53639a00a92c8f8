"""The seconds of a candidate: its own work, without what all candidates share and the first would pay for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_local = threading.local()


class OwnClock:
    """Seconds since it was made, without those of `shared_work` in the same thread.

    >>> clock = OwnClock()
    >>> with shared_work():
    ...     time.sleep(0.2)
    >>> clock.seconds() < 0.1
    True
    """

    def __init__(self) -> None:
        self._started, self._shared = time.perf_counter(), _shared()

    def seconds(self) -> float:
        """So far."""
        return time.perf_counter() - self._started - (_shared() - self._shared)


@contextmanager
def shared_work() -> Iterator[None]:
    """Inside this context a thread works for all candidates: imports, reading the target's images."""
    started, before = time.perf_counter(), _shared()
    try:
        yield
    finally:
        _local.shared = before + time.perf_counter() - started  # work inside of it counts once


def _shared() -> float:
    return getattr(_local, "shared", 0.0)
