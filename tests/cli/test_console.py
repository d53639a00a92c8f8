"""What the commands say and where: streams, widths, exit codes, the two lines of an error."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from acrank import errors
from acrank.cli import console, main
from acrank.cli.app import build
from acrank.cli.options import DataCommand
from acrank.formats import View

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
from acrank.cli.console import show
from acrank.formats import View
show(View(columns=["model", "score"], rows=[["{name}", 0.5]], record={{"x": 1}}, title="t"), "table")
"""
LONG = "ckpt[final]-" + "n" * 200 + ".pth"


@pytest.fixture(autouse=True)
def _quiet_again():
    yield
    console.set_verbosity(0)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, cwd=ROOT, env=os.environ | environment
    )


def view() -> View:
    return View(columns=["model", "score"], rows=[["a", 0.5]], record={"x": 1})


# --- data to stdout, the rest to stderr -------------------------------------------------------------------------------


def test_people_read_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("done")
    console.warn("careful")
    assert capsys.readouterr() == ("", "done\nwarning: careful\n")


@pytest.mark.parametrize("name", ["table", "json", "csv", "markdown"])
def test_data_goes_to_stdout(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.show(view(), name)
    captured = capsys.readouterr()
    assert captured.out.endswith("\n")
    assert captured.err == ""


def test_a_table_in_a_pipe_is_uncut_plain_text() -> None:
    done = run_python(SHOW.format(name=LONG), COLUMNS="40")
    assert LONG in done.stdout.decode()
    assert b"\x1b" not in done.stdout


def test_force_color_colours_a_pipe_and_no_color_wins() -> None:
    assert b"\x1b[1m" in run_python(SHOW.format(name=LONG), FORCE_COLOR="1").stdout
    assert b"\x1b" not in run_python(SHOW.format(name=LONG), FORCE_COLOR="1", NO_COLOR="1").stdout


def on_terminal(code: str, columns: int, **environment: str) -> str:
    """stdout of `code` on a pseudo-terminal that many columns wide."""
    leader, follower = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    subprocess.run(
        [sys.executable, "-c", code],
        stdout=follower,
        check=True,
        cwd=ROOT,
        env=os.environ | {"TERM": "xterm"} | environment,
    )
    os.close(follower)
    with os.fdopen(leader, "rb") as file:
        return os.read(file.fileno(), 65536).decode().replace("\r\n", "\n")


def test_a_table_on_a_terminal_is_as_wide_as_it() -> None:
    text = on_terminal(SHOW.format(name=LONG), columns=50)
    assert "\x1b[1m" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= 50
    assert re.search(r"^ckpt\[final\]-n+…n+\.pth    0\.5$", plain, re.MULTILINE)


def test_columns_says_how_wide_a_terminal_is_read() -> None:
    assert max(map(len, on_terminal(SHOW.format(name=LONG), columns=50, COLUMNS="70", NO_COLOR="1").splitlines())) == 70


SAID = """
import sys
from acrank.cli.console import say
sys.stderr = sys.stdout
say("warning: " + "some words " * 9 + "w" * 70)
say("to go on: acrank score " + "--model x " * 9, whole=True)
"""


def test_messages_go_on_below_at_a_space_on_a_terminal() -> None:
    *wrapped, whole = on_terminal(SAID, columns=50).splitlines()
    assert max(map(len, wrapped)) <= 50
    assert wrapped[0] == "warning: some words some words some words some"
    assert all(line.startswith("  ") for line in wrapped[1:])
    assert re.fullmatch(r"  w+…w+", wrapped[-1])
    assert whole == "to go on: acrank score " + "--model x " * 9
    assert len(run_python(SAID).stdout.splitlines()) == 2


def test_no_color_is_heeded() -> None:
    assert "\x1b" not in on_terminal(SHOW.format(name="a"), columns=50, NO_COLOR="1")
    assert "\x1b" in on_terminal(SHOW.format(name="a"), columns=50, NO_COLOR="")  # as no-color.org has it
    assert "\x1b" not in on_terminal(SHOW.format(name="a"), columns=50, TERM="dumb")


def test_a_terminal_of_unknown_width_gets_the_table_uncut() -> None:
    assert LONG in on_terminal(SHOW.format(name=LONG), columns=0)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_the_output_cannot_encode_is_escaped(encoding: str) -> None:
    done = run_python(SHOW.format(name="\u65e5\u672c-ok"), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"\\u65e5\\u672c-ok" in done.stdout
    assert b"\n-----" in done.stdout  # the rule below the headings


# --- files ------------------------------------------------------------------------------------------------------------


def test_every_output_gets_the_format_of_its_suffix(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.json", "a.csv", "a.md", "a.txt")]
    console.check_outputs(paths)
    assert not list(tmp_path.iterdir())
    console.write(view(), paths)
    texts = [path.read_text(encoding="utf-8") for path in paths]
    assert texts[:3] == ['{\n "x": 1\n}\n', "model,score\na,0.5\n", "| model | score |\n| --- | ---: |\n| a | 0.5 |\n"]
    assert texts[3].splitlines()[0].split() == ["model", "score"]


@pytest.mark.parametrize(
    ("name", "error"),
    [("a.html", errors.UsageError), ("missing/a.json", errors.OutputError), ("folder.csv", errors.OutputError)],
)
def test_outputs_are_refused_before_the_work(tmp_path: Path, name: str, error: type[Exception]) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error):
        console.check_outputs([tmp_path / "good.json", tmp_path / name])


# --- failures ---------------------------------------------------------------------------------------------------------


EXPECTED = [errors.AcrankError, *errors.UsageError.__subclasses__(), errors.TargetError, errors.CandidateError]


@pytest.mark.parametrize("kind", [*EXPECTED, errors.NothingRankedError])
def test_an_expected_error_is_two_lines_and_its_code(
    kind: type[errors.AcrankError], capsys: pytest.CaptureFixture[str]
) -> None:
    code = console.report_failure(kind("no images\n  in ./target", hint="give a folder"))
    assert code == kind.exit_code
    assert capsys.readouterr() == ("", "error: no images in ./target\nhint: give a folder\n")


def test_an_error_without_a_hint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.report_failure(errors.TargetError("no images"))
    assert capsys.readouterr().err == "error: no images\n"


def test_an_unexpected_error_is_internal_and_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.report_failure(ZeroDivisionError("division by zero")) == 4
    captured = capsys.readouterr()
    assert captured.err.startswith("error: internal: ZeroDivisionError: division by zero\nhint: ")
    assert "-vv" in captured.err


@pytest.mark.parametrize(("level", "shown"), [(0, False), (1, False), (2, True), (3, True)])
def test_tracebacks_show_from_vv_on(level: int, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.set_verbosity(level) == level
    with pytest.raises(errors.TargetError) as caught:
        raise errors.TargetError("no images")
    assert console.report_failure(caught.value) == 3
    err = capsys.readouterr().err
    assert ("Traceback" in err) is shown
    assert err.endswith("error: no images\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (typer.Abort(), 130, "interrupted"),
        (typer.Exit(3), 3, ""),
        (SystemExit(5), 5, ""),
        (SystemExit(), 0, ""),
        (SystemExit("message"), 4, "error: internal: SystemExit: message"),
    ],
)
def test_ways_to_end(error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.set_verbosity(1)
    assert console.report_failure(error) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(said)
    assert bool(captured.err) is bool(said)


LEAVING = """
import sys
from acrank.cli import console
input()  # until the reader has left
try:
    {first}
except BrokenPipeError as error:
    sys.stdout.write("what Python flushes at its end")
    sys.exit(console.report_failure(error))
"""


@pytest.mark.parametrize("first", ["raise BrokenPipeError", "while True: sys.stdout.write('x' * 100)"])
def test_a_reader_that_leaves_early_is_no_error(first: str) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", LEAVING.format(first=first)]
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, env=buffered) as child:
        assert child.stdout is not None
        child.stdout.close()
        child.stdout = None
        _, said = child.communicate(b"\n", timeout=60)
    assert (child.returncode, said) == (0, b"")


def leaves(command: Any) -> list[Any]:
    inner = getattr(command, "commands", {}).values()
    return [leaf for one in inner for leaf in leaves(one)] or [command]


def test_every_command_keeps_stdout_for_its_data() -> None:
    found = leaves(typer.main.get_command(build()))
    assert len(found) >= 12
    assert [command.name for command in found if not isinstance(command, DataCommand)] == []


# --- the door ---------------------------------------------------------------------------------------------------------


def test_version_and_help_are_data(acrank) -> None:
    version = acrank("--version")
    assert (version.code, version.err) == (0, "")
    assert re.fullmatch(r"acrank \d+\.\d+\.\d+\S*\n", version.out)
    assert acrank("--help").code == acrank("-h").code == 0
    assert "Usage: acrank" in acrank("-h").out


def test_nothing_asked_shows_the_help_and_is_a_usage_error(acrank) -> None:
    outcome = acrank()
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[0].startswith("Usage: acrank")
    assert "error:" not in outcome.err


@pytest.mark.parametrize("words", [["--nope"], ["no-such-command"], ["--version=1"]])
def test_a_usage_error_is_two_lines_and_code_two(acrank, words: list[str]) -> None:
    outcome = acrank(*words)
    assert (outcome.code, outcome.out) == (2, "")
    first, second = outcome.err.splitlines()
    assert first.startswith("error: ")
    assert second == "hint: see `acrank --help`"


def test_the_module_runs_as_the_script_does() -> None:
    done = subprocess.run([sys.executable, "-m", "acrank", "--version"], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 0
    assert done.stdout.startswith(b"acrank ")


def test_main_reads_argv_where_none_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["acrank", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("acrank ")
