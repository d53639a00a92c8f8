"""What a command says while it works: bars, lines, -q, -v, --no-progress, and how to go on after Ctrl-C."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.terminal import on_terminal
from helpers.workbench import Outcome, entry, make_zoo, network, write_zoo

from acrank import Settings
from acrank.cli import console
from acrank.cli.progress import progress
from acrank.ranking.scoring import score
from acrank.records import Ranking
from acrank.system.activity import Detail, Stage, announce, listening
from acrank.zoo import load_zoo

Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _as_before():
    yield
    console.set_verbosity(0)
    console.set_quiet(False)
    console.set_progress(False)


def words(*more: object) -> list[object]:
    command = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18]
    return [*command, "--repeats", 1, *more]


# --- without a terminal -----------------------------------------------------------------------------------------------


def test_a_line_for_every_unit_and_seldom_ones_for_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress("files", every=0) as advance:
        for i in range(3):
            advance(i, 3, f"file {i}")
            for part in range(40):  # of one second each
                now[0] += 1
                announce(Stage(name="reading images", done=part, total=40))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "file" in line] == [
        "0/3 file 0",
        "1/3 file 1, left 1:20",
        "2/3 file 2, left 0:40",
    ]
    assert len(lines) == 3 + 120 // 10 - 1


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("decoding") as advance:
        for i in range(100):
            advance(i + 1, 100, "decoding")
    assert capsys.readouterr().err == ""


def test_no_progress_is_no_lines(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--no-progress"))
    assert done.code == 0
    assert "/2 net" not in done.err
    assert "data: target" in done.err
    assert "/2 net" in acrank(*words("--overwrite")).err  # the next command has them again


def test_quiet_is_no_word_but_errors(acrank: Command, folder: Path) -> None:
    done = acrank(*words("-q"))
    assert (done.code, done.err) == (0, "")
    assert "net0" in done.out
    wrong = acrank(*words("-q", "--rank-by", "logmme"))
    assert wrong.code == 2
    assert wrong.err.splitlines() == ["error: unknown score 'logmme'", "hint: did you mean 'logme'?"]


def test_verbose_says_how_each_candidate_was_computed(acrank: Command, folder: Path) -> None:
    def about(*more: str) -> list[str]:
        err = acrank(*words("-o", "run.json", *more)).err
        return [line for line in err.splitlines() if line.startswith("net0: ")]

    assert about() == []
    times, found = about("-v")
    assert re.fullmatch(
        r"net0: [0-9.]+ s until network and images were there, passes [0-9.]+ s, scores [0-9.]+ s", times
    )
    layers = len(Ranking.load(folder / "run.json").rows[0].layers)
    assert found.startswith(f"net0: {layers} normalisation layers, 16 images at a time, cpu, ")


# --- on a terminal ----------------------------------------------------------------------------------------------------


def shown_on_terminal(command: list[str], columns: int, **environment: str) -> str:
    """stderr of a command on a terminal, without its escapes; a line for every state of the bar."""
    seen = on_terminal(command, columns=columns, **environment)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r", "\n")


BARS = """
from acrank.cli.progress import progress
from acrank.system.activity import Stage, announce
with progress("begin") as advance:
    for i in range(3):
        announce(Stage(name="scoring", what="{name}", done=i + 2, total=9, kept=2, is_main=True))
        announce(Stage(name="downloading", what="org/net", done=1024, total=4096, unit="B"))
        advance(i + 3, 9, "best so far: b")
"""


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_a_bar_fits_and_says_what_runs_and_how_long(columns: int) -> None:
    name = "mobilenetv3_large_100.miil_in21k_ft_in1k"
    text = shown_on_terminal([sys.executable, "-c", BARS.format(name=name)], columns)
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    assert max(map(len, lines)) <= columns
    assert re.search(r"2/9 +0:00 left -:--", text)  # two were kept: nothing is known of the pace yet
    assert re.search(r"5/9 +0:00 left 0:00", text)
    assert "1.0 KiB of 4.0 KiB" in text
    assert (f"scoring {name}, best so far: b" in text) is (columns == 160)
    assert ("━" in text) is (columns > 40)


def test_what_was_kept_of_one_round_is_not_of_the_next() -> None:
    script = """
from acrank.cli.progress import progress
with progress("refining", every=None) as advance:
    advance(11, 12, "round 1", kept=10)
    advance(2, 24, "round 2")
"""
    assert re.search(r"2/24 +0:00 left 0:00", shown_on_terminal([sys.executable, "-c", script], 80))


@pytest.mark.parametrize("silence", ["set_quiet(True)", "set_progress(True)"])
def test_quiet_and_no_progress_leave_a_terminal_clean(silence: str) -> None:
    script = f"from acrank.cli import console\nconsole.{silence}\n" + BARS.format(name="a")
    assert shown_on_terminal([sys.executable, "-c", script], 80) == ""


# --- what is announced ------------------------------------------------------------------------------------------------


def test_stages_name_the_candidate_and_count_kept_rows(folder: Path) -> None:
    settings = Settings(samples=18, repeats=1, allow_code=True)
    zoo = load_zoo(folder / "zoo" / "zoo.yaml")
    earlier = score(zoo.select(["net0"]), folder / "target", settings)
    heard: list[Any] = []
    with listening(heard.append):
        score(zoo, folder / "target", settings, resume=earlier)
    main = [one for one in heard if isinstance(one, Stage) and one.is_main]
    assert [(one.what, one.done, one.total, one.kept) for one in main] == [("net1", 1, 2, 1)]
    assert any(isinstance(one, Stage) and one.name == "reading images" for one in heard)
    assert any(isinstance(one, Detail) and one.text.startswith("net1: ") for one in heard)


def test_a_race_is_reckoned_with_from_the_start(folder: Path) -> None:
    heard: list[Any] = []
    make_zoo(folder / "zoo", 16)
    with listening(heard.append):
        score(folder / "zoo" / "zoo.yaml", folder / "target", Settings(samples=18, repeats=3, allow_code=True))
    main = [one for one in heard if isinstance(one, Stage) and one.is_main]
    assert (main[0].name, main[0].total, main[0].most) == ("scoring", 16, 18), "one draw for eight candidates"
    assert all(one.most >= one.total >= one.done for one in main)
    assert main[-1].most == main[-1].total
    later = [one.name for one in main[16:]]
    assert later == ["draw 2 of 3:"] * 2


# --- interrupted ------------------------------------------------------------------------------------------------------


def test_interrupted_names_the_record_and_the_line_that_goes_on(acrank: Command, folder: Path) -> None:
    torch.save(network(0).state_dict(), folder / "zoo" / "net 1.pth")
    stops = entry("net 1", "interrupted")
    write_zoo(folder / "zoo", entry("net0"), stops)
    done = acrank(*words())
    assert done.code == 130
    said, again = done.err.splitlines()[-2:]
    assert said == "interrupted: 1 of 2 candidates are kept in run.json"
    assert again.startswith("to go on: acrank score --zoo zoo/zoo.yaml")
    assert again.endswith(" --resume")
    write_zoo(folder / "zoo", entry("net0"), entry("net 1"))
    program, *line = shlex.split(again.removeprefix("to go on: "))
    assert program == "acrank"
    done = acrank(*line)
    assert done.code == 0, done.err
    assert {row.model for row in Ranking.load(folder / "run.json").rows} == {"net0", "net 1"}


def test_interrupted_where_nothing_can_go_on_says_no_more(acrank: Command, folder: Path) -> None:
    write_zoo(folder / "zoo", entry("net0"), entry("stop", "interrupted", weights="net0.pth"))
    done = acrank(*words("-o", "scores.csv"))  # no record
    assert done.code == 130
    assert done.err.splitlines()[-1] == "interrupted"
