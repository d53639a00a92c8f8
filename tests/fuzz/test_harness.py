"""The harness sees what it is for: every planted fault is told, and a command without fault is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.case import Case
from fuzz.client import Server
from fuzz.judge import Ended, digests_of, faults_of

PLANTED = {
    "passes": "",
    "crashes": "crashes: signal 11",
    "raises": "traceback: RuntimeError: planted",
    "internal": "exit code 4: error: internal",
    "takes_memory": "takes 2.",
    "raw_bytes": "raw '\\x07', '\\x1b' on stderr",
    "bidi": "raw '\\u202e' on stderr",
    "commands_the_runner": "a command to a CI runner on stdout",
    "leaves_a_process": "leaves 1 processes",
    "connects": "reaches out: socket.",
    "starts_a_program": "reaches out: subprocess.Popen",
    "odd_code": "exit code 9",
    "talks_too_much": "2000007 bytes on stderr",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as found:
        yield found


def case_in(folder: Path, **known: object) -> Case:
    return Case(entry="planted", seed=0, move="planted", folder=folder, argv=("score", "-o", "run.json"), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_told(fault: str, server: Server, tmp_path: Path) -> None:
    found = "; ".join(faults_of(case_in(tmp_path), server.run(tmp_path, plant=fault), {}))
    assert PLANTED[fault] in found
    assert bool(PLANTED[fault]) == bool(found)


@pytest.mark.parametrize("fault", ["hangs", "spins"])
def test_what_does_not_end_is_killed(fault: str, server: Server, tmp_path: Path) -> None:
    (found,) = faults_of(case_in(tmp_path), server.run(tmp_path, 1.0, plant=fault), {})
    assert found.startswith("hangs: killed after ")


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel tells no times of waiting")
def test_time_that_the_machine_gave_to_others_is_not_counted(server: Server, tmp_path: Path) -> None:
    assert server.run(tmp_path, 2.0, plant="waits_for_a_core").code == 0


def test_the_real_commands_run(server: Server, tmp_path: Path) -> None:
    ended = server.run(tmp_path, argv=["--version"])
    assert (ended.code, ended.out[:7], ended.err) == (0, b"acrank ", b"")
    ended = server.run(tmp_path, argv=["score", "--zoo", "nothing.yaml", "--data", "nothing"])
    assert ended.code == 3
    assert ended.err.startswith(b"error: ")


def test_foreign_text_is_told_on_a_terminal_too(server: Server, tmp_path: Path) -> None:
    case = case_in(tmp_path, terminal=True)
    (found,) = faults_of(case, server.run(tmp_path, plant="titles_the_terminal", terminal=True), {})
    assert "\\x1b]0;planted" in found
    assert faults_of(case, server.run(tmp_path, argv=["scores"], terminal=True), {}) == []


def test_permissions_count_for_every_user(server: Server, tmp_path: Path) -> None:
    (tmp_path / "forbidden").touch(mode=0o000)
    assert server.run(tmp_path, plant="reads_the_forbidden").code == 3


def test_files_change_while_a_command_runs(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    plan = {"file": "x", "count": "", "rows": 0, "after": 0.1, "change": "removed", "path": "x"}
    server.run(tmp_path, 1.0, plant="hangs", meanwhile=plan)
    assert not (tmp_path / "x").exists()


FINE = Ended(code=0, timed_out=False, seconds=1, cpu=1, memory=0, orphans=0, out=b"", err=b"", events="")


def test_known_nonsense_must_not_be_ranked(tmp_path: Path) -> None:
    rows = '{"rows": [{"model": "damaged", "rank": 1, "scores": {"x": {"value": 0.5}}}], "settings": {"rank_by": "x"}}'
    (tmp_path / "run.json").write_text(rows)
    assert faults_of(case_in(tmp_path, unranked=("damaged",)), FINE, {}) == ["damaged is ranked in run.json"]
    assert faults_of(case_in(tmp_path, nonsense=True), FINE, {}) == ["nonsense is accepted"]
    assert faults_of(case_in(tmp_path, values={"damaged": 0.4}), FINE, {}) == ["damaged has 0.5 in run.json, not 0.4"]
    assert faults_of(case_in(tmp_path, values={"damaged": 0.5}), FINE, {}) == []


def test_files_are_kept_and_secrets_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("mine")
    kept = case_in(tmp_path, kept=("mine.csv",))
    before = digests_of(kept)
    assert faults_of(kept, FINE, before) == []
    (tmp_path / "mine.csv").write_text("theirs")
    assert faults_of(kept, FINE, before) == ["mine.csv is changed or gone"]
    (tmp_path / "run.json").write_text("a word: xyzzy")
    assert faults_of(case_in(tmp_path, secret="xyzzy"), FINE, {}) == ["the secret is in run.json"]
    (tmp_path / "PWNED").touch()
    assert faults_of(case_in(tmp_path), FINE, {}) == ["foreign code ran"]
