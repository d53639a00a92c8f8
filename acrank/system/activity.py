"""What long work says of itself while it lasts: the package announces, whoever listens shows it.

Announcements cost next to nothing where nobody listens, as in worker processes and in scripts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How far something has come.

    Attributes:
        name: what is done, such as "scoring" or "reading images"; announcements of one stage follow each other.
        what: to which candidate or file.
        done, total: units that are done, and units in all; None where nobody knows.
        unit: of `done` and `total`: "" for things that are counted, "images", or "B" for bytes.
        kept: how many of `done` were there when the work began; the time left does not count them.
        most: how many units there may be in the end, where that is more than `total`.
        is_main: whether this is the work that was asked for, rather than a part of it.
    """

    name: str
    what: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    kept: int = 0
    most: int | None = None
    is_main: bool = False


@dataclass(frozen=True)
class Detail:
    """A line for those who asked for more."""

    text: str


Listener = Callable[[Stage | Detail], None]
_listeners: list[Listener] = []
_lock = threading.Lock()


def announce(news: Stage | Detail) -> None:
    """Tell everyone who listens, in whatever thread this is called.

    Example:
        >>> heard = []
        >>> with listening(heard.append):
        ...     announce(Detail("a line"))
        >>> announce(Detail("nobody listens"))
        >>> heard
        [Detail(text='a line')]
    """
    for listener in tuple(_listeners):
        listener(news)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside this context the listener gets what is announced in this process; it may be called by several threads."""
    with _lock:
        _listeners.append(listener)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(listener)
