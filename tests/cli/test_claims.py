"""Two commands that write the same outputs at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.workbench import Outcome

from acrank.cli.claims import claimed
from acrank.errors import OutputError

HOLD = """
import sys
from pathlib import Path
from acrank.cli.claims import claimed
with claimed([Path(sys.argv[1])]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed a path; it is killed in the end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_command_is_refused_until_the_first_has_ended(folder: Path, acrank: Callable[..., Outcome]) -> None:
    words = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, "--repeats", 1]
    Path("elsewhere").symlink_to(folder)
    with held(folder / "run.json"):
        for output in ("run.json", "elsewhere/run.json"):
            done = acrank(*words, "-o", "scores.csv", "-o", output)
            assert done.code == 2
            assert f"{output} is being written by another acrank" in done.err
        done = acrank("finetune", *words[1:5], "-o", "run.json", "--overwrite")
        assert "is being written by another acrank" in done.err
        assert not Path("run.json").exists()
        assert acrank(*words, "-o", "other.json").code == 0
    assert acrank(*words, "-o", "scores.csv", "-o", "run.json").code == 0
    assert not [path.name for path in folder.iterdir() if "lock" in path.name]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this process and of those that it starts."""
    found = tmp_path / "temporary"
    found.mkdir()
    monkeypatch.setenv("TMPDIR", str(found))
    monkeypatch.setattr("tempfile.tempdir", str(found))
    return found


def test_where_no_lock_can_be_made_two_may_write(tmp_path: Path, temporary: Path) -> None:
    temporary.rmdir()
    entered = []
    with held(tmp_path / "run.json"), claimed([tmp_path / "run.json"]):
        entered.append(temporary.exists())
    assert entered == [False]


def test_the_lock_is_no_link_of_somebody_else(tmp_path: Path, temporary: Path) -> None:
    precious, lock = tmp_path / "precious", temporary / f"acrank-{os.getuid()}.lock"
    precious.write_text("mine")
    lock.symlink_to(precious)
    entered = []
    with held(tmp_path / "run.json"), claimed([tmp_path / "run.json"]):
        entered.append(precious.read_text())  # neither locked somebody's file
    assert entered == ["mine"]
    lock.unlink()
    refused = pytest.raises(OutputError, match="another acrank")
    with held(tmp_path / "run.json"), refused, claimed([tmp_path / "run.json"]):
        pass
    assert lock.stat().st_mode & 0o777 == 0o600


def test_a_loop_of_links_is_claimed_as_any_path(tmp_path: Path, temporary: Path) -> None:
    """Whether it can be written is for the command to say."""
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    refused = pytest.raises(OutputError, match=r"loop\.json is being written by another acrank")
    with held(loop), refused, claimed([loop]):
        pass
    with claimed([loop]):
        assert (temporary / f"acrank-{os.getuid()}.lock").exists()
