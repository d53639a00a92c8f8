"""The progress of a command: a bar on a terminal, elsewhere a line for every unit of work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from acrank.system.printable import printable
from acrank.system.text_streams import behind, escaped_stderr

#: (done, total, text beside the bar)
Advance = Callable[[int, int, str], None]


def is_shown() -> bool:
    """Whether there is a bar: stderr is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def progress(text: str) -> Iterator[Advance]:
    """A bar on stderr with a text, what is done and the time left; nothing where stderr is no terminal.

    Args:
        text: beside the bar until the first step is done.
    """
    if not is_shown():
        yield lambda done, total, text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(file=behind(sys.stderr))
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar, escaped_stderr():
        task = bar.add_task(printable(text), total=None)
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=printable(text))
