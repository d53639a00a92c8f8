"""The time that work still takes, from how long this run took for what it has done."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Elapsed time and an estimate of the time left.

    A unit takes as long as the units of this run took on average; the one that is being worked on takes at least as
    long as it has taken so far. The estimate thus goes down while units take their usual time, and up while one takes
    longer; it does not stand still. Where fewer units are done than before, other work began, with a pace of its own.

    Args:
        clock: gives seconds from any moment on; the system's by default.

    Example:
        >>> now = [0.0]
        >>> pace = Pace(lambda: now[0])
        >>> pace.update(2, 7, kept=2)  # two were there before
        >>> now[0] = 10.0
        >>> pace.update(3, 7, kept=2)
        >>> pace.elapsed(), pace.left()
        (10.0, 40.0)
        >>> now[0] = 14.0
        >>> pace.left()
        36.0
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._began = self._since = self._last = self._clock()
        self._own = self._remaining = 0

    def update(self, done: int, total: int, *, kept: int = 0) -> None:
        """Take in how far the work has come.

        Args:
            done: units that are done.
            total: units in all.
            kept: how many of `done` this run did not have to do.
        """
        own = done - kept
        if own <= 0:
            self._began = self._since = self._last = self._clock()
        elif own != self._own:
            if own < self._own:
                self._since = self._last
            self._last = self._clock()
        self._own, self._remaining = own, total - done

    def elapsed(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self._began

    def left(self) -> float | None:
        """Seconds that the rest takes; None before the first unit is done."""
        if self._own <= 0:
            return None
        if self._remaining <= 0:
            return 0.0
        spent, current = self._last - self._since, self._clock() - self._last
        each = max(spent / self._own, (spent + current) / (self._own + 1))
        return max(each - current, 0.0) + (self._remaining - 1) * each


def in_clock(seconds: float | None) -> str:
    """Seconds as hours, minutes and seconds; None as "-:--".

    >>> in_clock(7), in_clock(130.6), in_clock(3725), in_clock(None)
    ('0:07', '2:10', '1:02:05', '-:--')
    """
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
