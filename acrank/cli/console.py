"""What the commands say: data to stdout, everything else to stderr, all of it printable.

What comes from a file, a name or a user may hold anything. It is escaped here, and by the streams that `main` puts in
the place of Python's own (`acrank.system.text_streams`), so that warnings and logs of libraries are, too.
"""

from __future__ import annotations

import itertools
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from acrank.cli.terminal import PLAIN, has_colour, width_of
from acrank.errors import AcrankError
from acrank.formats import format_of, render
from acrank.formats.annotations import error_annotation
from acrank.formats.fitting import wrapped
from acrank.formats.machine_readable import ascii_json
from acrank.formats.table import to_table
from acrank.system.files import atomic_write, check_writable
from acrank.system.printable import printable
from acrank.system.text_streams import CheckedStream, Discarding, behind, discard
from acrank.system.view import View
from acrank.system.words import closest

if TYPE_CHECKING:
    from acrank.records import Ranking
    from acrank.targets.understanding import Understanding

#: Lines of notes on candidates that are shown without -v.
_MOST_NOTES = 8

_verbosity = 0
_quiet = False
_progress = True
_data: TextIO | None = None  # stdout, while it is kept for data
_people: TextIO | None = None  # stderr, while it is kept for errors


def set_verbosity(level: int) -> int:
    """Remember how often -v was given: from 1 on, commands say more; from 2 on, errors come with their traceback."""
    global _verbosity
    _verbosity = level
    return level


def verbosity() -> int:
    """How often -v was given."""
    return _verbosity


def set_quiet(quiet: bool) -> bool:
    """Remember whether -q was given; `quietly` heeds it."""
    global _quiet
    _quiet = quiet
    return quiet


def is_quiet() -> bool:
    """Whether -q was given."""
    return _quiet


def set_progress(hidden: bool) -> bool:
    """Remember whether --no-progress was given."""
    global _progress
    _progress = not hidden
    return hidden


def shows_progress() -> bool:
    """Whether progress is wanted, as a bar or as lines."""
    return _progress


@contextmanager
def quietly() -> Iterator[None]:
    """Inside this context stderr holds nothing but annotations, where -q was given; errors are reported after it."""
    global _people
    if not _quiet:
        yield
        return
    _people, sys.stderr = sys.stderr, Discarding()
    try:
        yield
    finally:
        _people, sys.stderr = None, _people


@contextmanager
def stdout_for_data() -> Iterator[None]:
    """Inside this context only `show` and `put` write to stdout; what libraries print goes to stderr.

    Raises:
        OutputError: the process was started without a stdout.
    """
    global _data
    before = sys.stdout
    if isinstance(before, CheckedStream):
        before.check()
    _data, sys.stdout = before, sys.stderr
    try:
        yield
    finally:
        _data, sys.stdout = None, before


def say(text: str, *, whole: bool = False) -> None:
    """A line for people, to stderr; on a terminal it goes on below at a space.

    Args:
        text: what is said.
        whole: whether it stays one line, to be copied.
    """
    text = printable(text)
    width = None if whole else width_of(sys.stderr)
    if width and len(text) > width // 2:  # characters take two cells at most
        text = wrapped(text, width - 2).replace("\n", "\n  ")
    print(text, file=sys.stderr)


def warn(text: str) -> None:
    """One line that a reader must not miss, to stderr."""
    say(f"warning: {text.removeprefix('warning: ')}")


def annotate(title: str, message: str) -> None:
    """An error that GitHub Actions marks on the run: the one command to a runner that acrank gives, on stderr."""
    line = error_annotation(printable(title), printable(message, newlines=True))
    print(line, file=behind(_people or sys.stderr))


def put(text: str) -> None:
    """Lines of text to stdout."""
    _send(printable(text, newlines=True))


def show(view: View, format_name: str) -> None:
    """The view to stdout: as wide as the terminal on one, whole in a pipe or a file."""
    if format_name == "table":
        text = to_table(view, width=width_of(_stdout()), colour=has_colour(_stdout()))
    else:
        text = render(view, format_name)
    if format_name == "json" and not _takes(text):
        text = re.sub(r"[^\x00-\x7e]", lambda found: ascii_json(found[0]), text)
    _send(text)


def _send(text: str) -> None:
    stream = _stdout()
    encoding = stream.encoding or "utf-8"
    if not _takes(text):
        text = text.translate(PLAIN)  # the lines of tables; what the encoding lacks beside them is shown as escapes
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _takes(text: str) -> bool:
    """Whether the encoding of stdout has every character."""
    try:
        text.encode(_stdout().encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _stdout() -> TextIO:
    return sys.stdout if _data is None else _data


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


def tell_target(understanding: Understanding) -> None:
    """What was understood of a target, and what is unlikely about it, to stderr."""
    for text in understanding.lines():
        say(f"data: {text}")
    for text in understanding.warnings:
        warn(text)


def tell_notes(ranking: Ranking, told: Collection[str] = ()) -> None:
    """Warnings, but for those told before, and notes of a ranking, to stderr.

    What is noted on several candidates is one line; of many lines on candidates the first are shown, with -v all.
    """
    for text in ranking.warnings:
        if text not in told:
            warn(text)
    for text in ranking.notes:
        say(text if text.startswith("warning: ") else f"note: {text}")
    from acrank.records.first_candidate import first_names

    models: dict[str, list[str]] = {}
    for row in ranking.rows:
        for text in row.notes:
            models.setdefault(text, []).append(row.model)
    most = len(models) if verbosity() else _MOST_NOTES
    for text, named in itertools.islice(models.items(), most):
        say(f"note: {first_names(named)}: {text}")
    if len(models) > most:
        say(f"note: {len(models) - most} more on candidates: in the run record, and here with -v")


def report_failure(error: BaseException) -> int:
    """Say what went wrong as `error:` and `hint:` lines, and return the exit code."""
    if _verbosity >= 2 and not isinstance(error, typer.Exit | SystemExit):
        _print_lines("".join(traceback.format_exception(error)))
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return error.code or 0
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        say("interrupted")
        return 130
    if isinstance(error, BrokenPipeError):
        discard(sys.stdout)  # the reader left: nothing more to say
        return 0
    if isinstance(error, AcrankError):
        return _explain(error.message, error.hint, error.exit_code)
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        _print_lines(error.format_message() + "\n")  # type: ignore[attr-defined]
        return 2
    if hasattr(error, "format_message"):  # Click's own usage errors
        return _explain(error.format_message().replace("Value error, ", ""), _help_hint(error), 2)
    if isinstance(error, FileNotFoundError | PermissionError) and (found := _lost_folder()):
        return _explain(*found, 2)
    return _explain(
        f"internal: {type(error).__name__}: {error}", "please report it; -vv shows the traceback", AcrankError.exit_code
    )


def _lost_folder() -> tuple[str, str] | None:
    """What keeps the process from its working folder, and a hint: it was removed, or may no longer be entered."""
    try:
        Path.cwd()
        Path("./.").stat()
    except FileNotFoundError:
        return "the working folder no longer exists", "change to a folder that does"
    except PermissionError:
        return "the working folder may no longer be entered", "change to a folder that may"
    return None


def _print_lines(text: str) -> None:
    sys.stderr.write(printable(text, newlines=True))


def _explain(message: str, hint: str | None, code: int) -> int:
    say(f"error: {' '.join(message.split())}")
    if hint:
        say(f"hint: {hint}")
    return code


def _help_hint(error: BaseException) -> str:
    """What to do about a usage error of Click: the choice that is nearest to an unknown one, else the help."""
    found = re.search(r"'([^']*)' is not one of (.+)", str(getattr(error, "message", "")))
    if found and (hint := closest(found[1], re.findall(r"'([^']*)'", found[2]), "")):
        return hint
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path if context else 'acrank'} --help`"
