"""What an interrupted command says: what is kept, and the line that goes on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from acrank.cli.console import say

_kept: str | None = None  # what an interrupted command has left


@contextmanager
def resumable(kept: Callable[[], str | None]) -> Iterator[None]:
    """Inside this context an interrupted command says what is kept where, and the line that goes on.

    Args:
        kept: says it, such as "3 of 7 candidates are kept in run.json"; None where --resume would not go on.
    """
    global _kept
    _kept = None
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
    again = [*words] if "--resume" in words else [*words, "--resume"]
    say(f"to go on: {shlex.join(['acrank', *again])}", whole=True)
    _kept = None
