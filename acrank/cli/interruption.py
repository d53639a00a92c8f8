"""What an interrupted command says: what is kept, and the line that goes on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from acrank.cli.console import say

_kept: str | None = None  # what an interrupted command has left
_flags: tuple[str, ...] = ()  # that the line which goes on needs


@contextmanager
def resumable(kept: Callable[[], str | None], flags: tuple[str, ...] = ("--resume",)) -> Iterator[None]:
    """Inside this context an interrupted command says what is kept where, and the line that goes on.

    Args:
        kept: says it, such as "3 of 7 candidates are kept in run.json"; None where nothing would go on.
        flags: what the line that goes on has beside the words of this one.
    """
    global _kept, _flags
    _kept, _flags = None, flags
    try:
        yield
    except KeyboardInterrupt:
        _kept = kept()
        raise


def say_interrupted(words: Sequence[str]) -> None:
    """Say that a command was interrupted, what it left, and the line that goes on.

    Args:
        words: the command line without the program.
    """
    global _kept
    if _kept is None:
        say("interrupted")
        return
    say(f"interrupted: {_kept}")
    again = [*words, *(flag for flag in _flags if flag not in words)]
    say(f"to go on: {shlex.join(['acrank', *again])}", whole=True)
    _kept = None
