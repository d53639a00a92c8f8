"""Saving the rows of a run as they come, at little cost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from acrank.cli.console import warn, write
from acrank.cli.earlier_record import EarlierRecord
from acrank.cli.outputs import partial_path
from acrank.errors import OutputError
from acrank.system.files import is_there

if TYPE_CHECKING:
    from acrank.records import Ranking

ALWAYS = 50  # rows: up to here, outputs are rewritten after every one
SHARE = 0.1  # of the time, beyond: a record grows with its rows, so writing it for each would take ever longer
NOTHING = EarlierRecord()


def write_ranking(ranking: Ranking, outputs: tuple[Path, ...], earlier: EarlierRecord = NOTHING) -> bool:
    """Write a ranking to its outputs, or beside an earlier record that says more; whether to its outputs."""
    beside = tuple(map(partial_path, outputs))
    if earlier.says_more_than(ranking):
        write(ranking.view(), beside)
        return False
    write(ranking.view(), outputs)
    if earlier.ranked:
        for path in filter(is_there, beside):
            path.unlink()
    return True


def write_or_rescue(ranking: Ranking, outputs: tuple[Path, ...], earlier: EarlierRecord = NOTHING) -> bool:
    """As `write_ranking`; where that fails, the record goes into a new folder for temporary files.

    Raises:
        OutputError: the outputs cannot be written; the hint names the record.
    """
    try:
        return write_ranking(ranking, outputs, earlier)
    except OutputError as error:
        if (rescued := _rescued(ranking)) is None:
            raise
        raise OutputError(error.message, hint=f"{error.hint}; the run is in {rescued}") from error


def _rescued(ranking: Ranking) -> Path | None:
    """The record in a new folder for temporary files; None where that cannot be written either."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="acrank-"))
    except OSError:
        return None
    try:
        ranking.save(folder / "run.json")
    except OutputError:
        folder.rmdir()
        return None
    return folder / "run.json"


@contextmanager
def saving(outputs: tuple[Path, ...], earlier: EarlierRecord = NOTHING) -> Iterator[Callable[[Ranking], None]]:
    """A function that saves a partial ranking, or postpones it; a postponed one is saved if the run is cut short.

    An earlier record that says more is not replaced: what is saved until then lies beside it. Where
    outputs cannot be written for now (a full disk, a folder that became read-only), a warning says so once, and the run
    goes on.
    """
    waiting: list[Ranking] = []
    last = spent = 0.0
    has_warned = False

    def save(partial: Ranking) -> None:
        nonlocal last, spent, has_warned
        waiting[:] = [partial]
        started = time.monotonic()
        if len(partial.rows) <= ALWAYS or spent <= SHARE * (started - last):
            try:
                write_ranking(partial, outputs, earlier)
                waiting.clear()
            except OutputError as error:
                if not has_warned:
                    warn(f"{error.message}; the run goes on, and is written at its end")
                has_warned = True
            last = time.monotonic()
            spent = last - started

    try:
        yield save
    except BaseException:
        for partial in waiting:
            write_or_rescue(partial, outputs, earlier)
        if earlier.path is not None and is_there(beside := partial_path(earlier.path)):
            warn(f"{earlier.path} is kept: it says more; this run is in {beside}")
        raise
