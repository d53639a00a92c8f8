"""The progress of a command: a bar on a terminal, elsewhere a line for every unit of work, or one now and then."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from acrank.cli.console import is_quiet, say, shows_progress, verbosity
from acrank.cli.terminal import has_colour
from acrank.formats.fitting import shortened_to
from acrank.system.activity import Detail, Stage, listening
from acrank.system.bounds import in_words
from acrank.system.pace import Pace, in_clock
from acrank.system.printable import printable
from acrank.system.text_streams import behind, escaped_stderr

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

#: Seconds between two lines about a part of the work, where there is no bar.
SELDOM = 10.0
#: What the bar and the times beside the text take, in terminal cells; the bar goes where the terminal is narrow.
_BAR, _TIMES, _NARROW = 12, 21, 76


class Advance(Protocol):
    """Tells the bar how far the work has come; `kept` of what is done was there when the command began."""

    def __call__(self, done: int, total: int, text: str, *, kept: int = 0) -> None:
        """Show it."""
        ...


def is_shown() -> bool:
    """Whether there is a bar: stderr is a terminal, and progress is wanted."""
    return sys.stderr.isatty() and shows_progress() and not is_quiet()


@contextmanager
def progress(text: str, *, every: float | None = SELDOM) -> Iterator[Advance]:
    """Shows on stderr what is done, the time it took and the time left, and what the package announces meanwhile.

    Args:
        text: beside the bar until something is done.
        every: where there is no bar, seconds between two lines about the work; 0 for a line at every call; None for
            none, where the caller has its own.
    """
    if is_shown():
        with _bars(text) as shown, listening(shown.hear):
            yield shown.advance
    else:
        lines = _Lines(text, every)
        with listening(lines.hear):
            yield lines.advance


class _Lines:
    """Progress without a bar."""

    def __init__(self, text: str, every: float | None) -> None:
        self.text, self.every = text, every if shows_progress() else None
        self.pace = Pace()
        self.told: dict[str, float] = {}
        self.spoken: set[str] = set()

    def advance(self, done: int, total: int, text: str, *, kept: int = 0) -> None:
        self.pace.update(done, total, kept=kept)
        if self.every is not None and self._is_due(self.text, self.every, done == total):
            left = self.pace.left()
            say(f"{done}/{total} {text}" + (f", left {in_clock(left)}" if left and left > SELDOM else ""))

    def hear(self, news: Stage | Detail) -> None:
        if isinstance(news, Detail):
            _tell(news)
        elif self._is_news(news) and self._is_due(news.name, SELDOM, False):
            count = f": {_count(news)}" if news.total else ""
            say(f"{news.name}{f' {news.what}' if news.what else ''}{count}")

    def _is_news(self, stage: Stage) -> bool:
        """Whether the caller does not tell it himself."""
        return shows_progress() and not (stage.is_main and self.every is None)

    def _is_due(self, stage: str, every: float, is_last: bool) -> bool:
        """Whether a line is wanted now; the first is due only once the work has taken that long."""
        now = time.monotonic()
        due = (is_last and stage in self.spoken) or now - self.told.setdefault(stage, now) >= every
        if due:
            self.told[stage] = now
            self.spoken.add(stage)
        return due


class _Bars:
    """A bar for the work, and one below it for the part that is being done; several threads may tell of both."""

    def __init__(self, bars: Progress, text: str) -> None:
        self.bars, self.lock = bars, threading.RLock()
        self.now, self.note = "", ""
        self.main = Stage(name="")
        self.beside: dict[TaskID, tuple[str, str]] = {}  # text and count of each bar
        self.work = self._add(text)
        self.part: TaskID | None = None
        self.stage = ""

    def advance(self, done: int, total: int, text: str, *, kept: int = 0) -> None:
        with self.lock:
            self.note = text
            before = self.main.kept if done >= self.main.done else 0  # fewer: another round of work began
            self.main = dataclasses.replace(self.main, done=done, total=total, kept=max(kept, before))
            self._show(self.work, self.main, self._text())

    def hear(self, news: Stage | Detail) -> None:
        with self.lock:
            if isinstance(news, Detail):
                _tell(news)
            elif news.is_main:
                self.now, self.main = f"{news.name} {news.what}", news
                self._drop_part()
                self._show(self.work, news, self._text())
            else:
                self._show_part(news)

    def _show_part(self, news: Stage) -> None:
        if self.part is None or news.name != self.stage:
            self._drop_part()
            self.part, self.stage = self._add(news.name), news.name
        self._show(self.part, news, f"{news.name} {news.what}".strip())
        if news.total and news.done >= news.total:
            self._drop_part()

    def _text(self) -> str:
        both = ", ".join(filter(None, (self.now, self.note)))
        return both if self._fitting(both) == printable(both) else self.now or self.note

    def _add(self, text: str) -> TaskID:
        task = self.bars.add_task(shortened_to(printable(text), 12), total=None, count="", pace=Pace())
        self.beside[task] = (text, "")
        self._fit()
        return task

    def _show(self, task: TaskID, step: Stage, text: str) -> None:
        found = next(one for one in self.bars.tasks if one.id == task)
        if step.total is not None:
            found.fields["pace"].update(step.done, max(step.total, step.most or 0), kept=step.kept)
        self.beside[task] = (text, _count(step))
        self.bars.update(task, completed=step.done, total=step.total)
        self._fit()

    def _drop_part(self) -> None:
        if self.part is not None:
            self.bars.remove_task(self.part)
            del self.beside[self.part]
            self.part = None

    def _fit(self) -> None:
        """Shorten the texts to the room that the widest count leaves."""
        for task, (text, count) in self.beside.items():
            self.bars.update(task, description=self._fitting(text), count=count)

    def _fitting(self, text: str) -> str:
        width = self.bars.console.width
        counts = max(len(count) for _, count in self.beside.values())
        room = width - _TIMES - counts - (_BAR + 1 if width >= _NARROW else 0)
        return shortened_to(printable(text), max(room, 4))


@contextmanager
def _bars(text: str) -> Iterator[_Bars]:
    from rich.console import Console
    from rich.progress import Progress

    stream = behind(sys.stderr)
    console = Console(file=stream, no_color=not has_colour(sys.stderr))
    columns = _columns(console)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bars, escaped_stderr():
        yield _Bars(bars, text)


def _columns(console: Console) -> list[Any]:
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Times(ProgressColumn):
        """Time that has passed, and time left."""

        def render(self, task: Task) -> Text:
            pace: Pace = task.fields["pace"]
            return Text(f"{in_clock(pace.elapsed())} left {in_clock(pace.left())}")

    bar = [BarColumn(bar_width=_BAR, complete_style="#2a8fd0", finished_style="#2a8fd0")]
    return [
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        *(bar if console.width >= _NARROW else []),
        TextColumn("{task.fields[count]}", markup=False, table_column=Column(no_wrap=True)),
        Times(table_column=Column(no_wrap=True)),
    ]


def _count(step: Stage) -> str:
    if step.unit == "B":
        return f"{in_words(step.done)} of {in_words(step.total)}" if step.total else in_words(step.done)
    count = f"{step.done}/{step.total}" if step.total is not None else ""
    return f"{count} {step.unit}".strip()


def _tell(detail: Detail) -> None:
    if verbosity():
        say(detail.text)
