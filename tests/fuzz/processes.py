"""Processes of a command: those that are left, and the time that it has had, as Linux tells both."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path


class FairClock:
    """The seconds that a command has had: those in which the machine had other work than it are not counted.

    The kernel says how long each thread was ready to run and waited for a core. Of every second that passes, the
    longest wait of a thread of the command is taken off; at most nineteen twentieths of all time.

    Args:
        child: the process, the first of its session.
    """

    def __init__(self, child: int) -> None:
        self._child = child
        self._start = self._then = time.monotonic()
        self._waits: dict[str, int] = {}
        self._taken_off = 0.0

    def seconds(self) -> float:
        """What the command has had until now."""
        now = time.monotonic()
        if now - self._then >= 1:
            waits = _waits([*session(self._child), self._child])
            longest = max((wait - self._waits.get(name, 0) for name, wait in waits.items()), default=0) / 1e9
            self._taken_off += min(longest, now - self._then)
            self._then, self._waits = now, waits
        passed = now - self._start
        return passed - min(self._taken_off, 0.95 * passed)


def _waits(processes: list[int]) -> dict[str, int]:
    """Thread -> nanoseconds that it has waited for a core."""
    found = {}
    for process in processes:
        for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended, or this kernel does not say
                found[str(path)] = int(path.read_text().split()[1])
    return found


def left(child: int, grace: float) -> list[int]:
    """Processes of the child's session that are still there when the grace is over."""
    clock = FairClock(child)
    while (found := session(child)) and clock.seconds() < grace:
        time.sleep(0.02)
    return found


def kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def session(leader: int) -> list[int]:
    """Processes of a child's session that are alive, without the child."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != leader:
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if os.getsid(int(folder.name)) == leader and state != "Z":
                    found.append(int(folder.name))
    return found
