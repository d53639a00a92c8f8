"""Saving the rows of a run as they come, at little cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from acrank.cli.console import write
from acrank.errors import OutputError

if TYPE_CHECKING:
    from acrank.records import Ranking

ALWAYS = 50  # rows: up to here, outputs are rewritten after every one
SHARE = 0.1  # of the time, beyond: a record grows with its rows, so writing it for each would take ever longer


@contextmanager
def saving(outputs: tuple[Path, ...]) -> Iterator[Callable[[Ranking], None]]:
    """A function that saves a partial ranking, or postpones it; a postponed one is saved if the run is cut short."""
    waiting: list[Ranking] = []
    last = spent = 0.0

    def save(partial: Ranking) -> None:
        nonlocal last, spent
        waiting[:] = [partial]
        started = time.monotonic()
        if len(partial.rows) <= ALWAYS or spent <= SHARE * (started - last):
            write(partial.view(), outputs)
            waiting.clear()
            last = time.monotonic()
            spent = last - started

    try:
        yield save
    except OutputError:  # writing is what failed
        raise
    except BaseException:
        for partial in waiting:
            write(partial.view(), outputs)
        raise
