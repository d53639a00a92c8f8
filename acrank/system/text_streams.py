"""The streams of a command: stderr that makes everything printable, stdout that says why it cannot be written."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from acrank.errors import OutputError
from acrank.system.printable import printable


class WrappedStream(io.TextIOBase):
    """A text stream before another one.

    Args:
        raw: the stream behind it; None where the process was started without one.
    """

    def __init__(self, raw: TextIO | None) -> None:
        self.raw = raw

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream behind it."""
        return getattr(self.raw, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How the stream behind it encodes what its encoding lacks."""
        return getattr(self.raw, "errors", None) or "strict"

    def isatty(self) -> bool:
        """Whether the stream behind it is a terminal."""
        return self.raw is not None and self.raw.isatty()

    def fileno(self) -> int:
        """The handle of the stream behind it.

        Raises:
            OSError: it has none.
        """
        if self.raw is None:
            raise io.UnsupportedOperation("fileno")
        return self.raw.fileno()

    def writable(self) -> bool:
        """True."""
        return True


class Discarding(io.TextIOBase):
    """A text stream that nobody reads."""

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str) -> int:
        """Take the text, and forget it."""
        return len(text)


class EscapingStream(WrappedStream):
    """Lines reach the stream behind with control characters, direction marks and commands to CI runners escaped.

    A line is passed on when it is complete, so that a command cannot be put together from parts. What a carriage
    return would overwrite on a terminal, such as the earlier states of a progress bar, is left out. Where the stream
    behind cannot be written (a full disk, a reader that left), its lines are lost: a run is worth more than they.

    Example:
        >>> EscapingStream(sys.stdout).write("a\\x1b[31m\\n")
        a\\x1b[31m
        7
    """

    def __init__(self, raw: TextIO | None) -> None:
        super().__init__(raw)
        self._rest = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Take some text; its complete lines are written."""
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._put(line + "\n")
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind; an incomplete line waits for its end."""
        if self.raw is not None:
            with suppress(OSError, ValueError):  # ValueError: it is closed
                self.raw.flush()

    def finish(self) -> None:
        """Write what is no complete line yet; what cannot be written is dropped."""
        with self._lock:
            self._put(self._rest)
            self._rest = ""
        try:
            if self.raw is not None:
                self.raw.flush()
        except OSError:  # Python's own flush at the end would fail as well, and turn the exit code into 120
            discard(self)
        except ValueError:  # it is closed
            pass

    def _put(self, line: str) -> None:
        if self.raw is not None and line:
            shown = line.rstrip("\r\n").rpartition("\r")[2] + "\n" * line.endswith("\n")
            with suppress(OSError, ValueError):
                self.raw.write(printable(shown, newlines=True))


class CheckedStream(WrappedStream):
    """stdout: where it is closed or its disk is full, writing raises OutputError; a reader that left stays OSError."""

    def write(self, text: str) -> int:
        """Write some text.

        Raises:
            OutputError: it cannot be written.
            BrokenPipeError: the reader has left.
        """
        raw = self._open()
        if text == "":  # Click's probe of a stream, which swallows what it raises
            return 0
        with self._failures():
            return raw.write(text)

    def flush(self) -> None:
        """Flush the stream behind.

        Raises:
            OutputError, BrokenPipeError: as for `write`.
        """
        with self._failures():
            self._open().flush()

    def check(self) -> None:
        """Fail before the work.

        Raises:
            OutputError: the process was started without a stdout.
        """
        self._open()

    def _open(self) -> TextIO:
        if self.raw is None:
            raise OutputError("stdout is closed", hint="send it to a file or to /dev/null")
        return self.raw

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(self)
            text = f"cannot write stdout: {error.strerror or error}"
            raise OutputError(text, hint="make room, or send it elsewhere") from error


def discard(stream: WrappedStream | TextIO) -> None:
    """Send what a stream still holds to nowhere, so that Python's own flush at the end does not fail."""
    with suppress(io.UnsupportedOperation):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def behind(stream: TextIO) -> TextIO:
    """The stream behind one that escapes; else itself. For what acrank itself draws, such as a bar."""
    return stream.raw if isinstance(stream, EscapingStream) and stream.raw is not None else stream


@contextmanager
def escaped_stderr() -> Iterator[None]:
    """Inside this context, whatever this process writes to `sys.stderr` is made printable: warnings and logs, too."""
    before, stream = sys.stderr, EscapingStream(sys.stderr)
    sys.stderr = stream
    try:
        yield
    finally:
        stream.finish()
        sys.stderr = before


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Inside this context, `sys.stdout` is a CheckedStream."""
    before = sys.stdout
    sys.stdout = CheckedStream(before)
    try:
        yield
    finally:
        sys.stdout = before


def occupy_closed_handles() -> None:
    """Give stdin, stdout and stderr a handle where the process was started without: the next file would get theirs."""
    for handle in (0, 1, 2):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free one
