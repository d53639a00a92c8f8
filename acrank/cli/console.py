"""What the commands say: data to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from acrank.errors import AcrankError
from acrank.formats import FORMATS, format_of, render
from acrank.system.files import atomic_write, check_writable
from acrank.system.view import View

if TYPE_CHECKING:
    from acrank.records import Ranking

_verbosity = 0


def set_verbosity(level: int) -> int:
    """Remember how often -v was given; from 2 on, errors come with their traceback."""
    global _verbosity
    _verbosity = level
    return level


def say(text: str) -> None:
    """One line for people, to stderr."""
    print(text, file=sys.stderr)


def warn(text: str) -> None:
    """One line that a reader must not miss, to stderr."""
    say(f"warning: {text.removeprefix('warning: ')}")


def show(view: View, format_name: str) -> None:
    """The view to stdout: as wide as the terminal on one, uncut in a pipe or a file."""
    if format_name == "table" and sys.stdout.isatty():
        text = FORMATS["table"](view, width=_terminal_width(), colour="NO_COLOR" not in os.environ)  # type: ignore[call-arg]
    else:
        text = render(view, format_name)
    encoding = sys.stdout.encoding or "utf-8"  # what it lacks, such as a table's rule in ASCII, is shown as escapes
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def check_outputs(paths: Iterable[Path]) -> None:
    """Fail before the work: every -o path must have a known suffix and be writable."""
    for path in paths:
        format_of(path)
        check_writable(path)


def write(view: View, paths: Iterable[Path]) -> None:
    """The view to each path, in the format that its suffix asks for."""
    for path in paths:
        atomic_write(path, render(view, format_of(path)))


def finish(view: View, format_name: str, written: Iterable[Path] = ()) -> None:
    """The end of a command: the view to stdout, and which files were written without being asked for."""
    show(view, format_name)
    if names := ", ".join(str(path) for path in written):
        say(f"written: {names}")


def tell_notes(ranking: Ranking) -> None:
    """Warnings and notes of a ranking, to stderr."""
    for text in ranking.warnings:
        warn(text)
    for text in ranking.notes:
        say(text if text.startswith("warning: ") else f"note: {text}")
    for row in ranking.rows:
        for text in row.notes:
            say(f"note: {row.model}: {text}")


def report_failure(error: BaseException) -> int:
    """Say what went wrong as `error:` and `hint:` lines, and return the exit code."""
    if _verbosity >= 2 and not isinstance(error, typer.Exit | SystemExit):
        traceback.print_exception(error)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return error.code or 0
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        say("interrupted")
        return 130
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        return 0
    if isinstance(error, AcrankError):
        return _explain(error.message, error.hint, error.exit_code)
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        say(error.format_message())  # type: ignore[attr-defined]
        return 2
    if hasattr(error, "format_message"):  # Click's own usage errors
        return _explain(error.format_message(), _help_hint(error), 2)
    return _explain(
        f"internal: {type(error).__name__}: {error}", "please report it; -vv shows the traceback", AcrankError.exit_code
    )


def _explain(message: str, hint: str | None, code: int) -> int:
    say(f"error: {' '.join(message.split())}")
    if hint:
        say(f"hint: {hint}")
    return code


def _help_hint(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path if context else 'acrank'} --help`"


def _terminal_width() -> int:
    return os.get_terminal_size(sys.stdout.fileno()).columns
