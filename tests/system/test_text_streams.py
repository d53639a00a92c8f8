"""Streams that escape, whoever writes and in however many parts, and that say why they cannot be written."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.errors import OutputError
from acrank.system.printable import printable
from acrank.system.text_streams import CheckedStream, EscapingStream, behind, checked_stdout, escaped_stderr


class Refusing(io.StringIO):
    """A stream whose every write fails."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def written(*parts: str) -> str:
    raw = io.StringIO()
    stream = EscapingStream(raw)
    for part in parts:
        assert stream.write(part) == len(part)
    stream.finish()
    return raw.getvalue()


@given(st.text(alphabet=["a", ":", "#", "[", "\n", " ", "\x1b"], max_size=12), st.integers(1, 4))
def test_parts_are_written_as_the_whole(text: str, size: int) -> None:
    parts = [text[i : i + size] for i in range(0, len(text), size)]
    assert written(*parts) == printable(text, newlines=True)


def test_a_command_in_parts_is_none() -> None:
    assert written("::", "error", "::x", "\n") == ": :error::x\n"
    assert written("a #", "#", "[debug]\n") == "a # #[debug]\n"


def test_what_a_bar_would_overwrite_is_left_out() -> None:
    assert written("\r 10%", "\r 50%", "\r100%\n", "next\r\n", "\r1") == "100%\nnext\n1"


def test_lines_of_threads_stay_whole() -> None:
    raw = io.StringIO()
    stream = EscapingStream(raw)

    def write(word: str) -> None:
        for _ in range(200):
            stream.write(f"{word * 20}\n")

    threads = [threading.Thread(target=write, args=(word,)) for word in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*raw.getvalue().splitlines()} == {word * 20 for word in "abc"}


@pytest.mark.parametrize("raw", [None, Refusing()])
def test_a_stderr_that_cannot_be_written_raises_nothing(raw: io.StringIO | None) -> None:
    stream = EscapingStream(raw)
    print("lost", file=stream)
    stream.finish()
    assert not stream.isatty()
    with pytest.raises(OSError):  # noqa: PT011 - io.UnsupportedOperation has no text of its own
        stream.fileno()


def test_stderr_is_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stderr
    with escaped_stderr():
        print("a\x1b", file=sys.stderr)
        print("whole", end="", file=sys.stderr)
        print("drawn\x1b", file=behind(sys.stderr))
    assert sys.stderr is before
    assert behind(before) is before
    assert capsys.readouterr().err == "a\\x1b\ndrawn\x1b\nwhole"


def test_a_full_stdout_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="cannot write stdout: No space left on device"):
        CheckedStream(Refusing()).write("x")


def test_a_closed_stdout_is_an_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with checked_stdout():
        with pytest.raises(OutputError, match="stdout is closed"):
            print("x")
        with pytest.raises(OutputError, match="stdout is closed"):
            sys.stdout.check()  # type: ignore[attr-defined]


def test_a_reader_that_left_stays_a_broken_pipe() -> None:
    class Left(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        CheckedStream(Left()).write("x")


def test_handles_that_are_closed_are_occupied(tmp_path: Path) -> None:
    """Else the next file would be opened as stdout, and take what is printed."""
    code = (
        "from acrank.system.text_streams import occupy_closed_handles; occupy_closed_handles();"
        f"file = open({str(tmp_path / 'file')!r}, 'w'); file.write(str(file.fileno()))"
    )
    subprocess.run(["bash", "-c", f'{sys.executable} -c "{code}" <&- >&- 2>&-'], check=True)
    assert int((tmp_path / "file").read_text()) > 2
