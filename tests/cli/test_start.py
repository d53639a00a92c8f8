"""What starting a command loads: itself, and nothing that it does not need."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from acrank.cli.app import COMMANDS

RUN = "from acrank.cli import run; run()"
MAIN = "from acrank.cli import main; main()"
LOADED = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A folder with a manifest."""
    (tmp_path / "model_zoo.yaml").write_text("version: 1\nmodels:\n  - {id: a, source: resnet18.a1_in1k}\n")
    return tmp_path


def run(folder: Path, *words: str, script: str = RUN) -> subprocess.CompletedProcess[str]:
    """`acrank` in a process of its own; the last line of stderr names the modules that it loaded."""
    environment = {key: value for key, value in os.environ.items() if key != "PYDANTIC_DISABLE_PLUGINS"}
    command = [sys.executable, "-c", LOADED + script, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def loaded(done: subprocess.CompletedProcess[str]) -> set[str]:
    return set(done.stderr.splitlines()[-1].split())


def test_a_command_loads_itself_alone(zoo: Path) -> None:
    done = run(zoo, "zoo", "list")
    assert done.returncode == 0
    assert {name for name in loaded(done) if name.startswith("acrank.cli.")} == {
        *("acrank.cli.app", "acrank.cli.console", "acrank.cli.options", "acrank.cli.terminal", "acrank.cli.zoo"),
        *("acrank.cli.commands", "acrank.cli.completion", "acrank.cli.configuration"),
        *("acrank.cli.outputs", "acrank.cli.own_files"),
    }
    assert not {"acrank.records", "numpy"} & loaded(done)


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["zo"], 2), ([], 2), (["--version"], 0)])
def test_every_command_is_there_where_none_is_named(tmp_path: Path, words: list[str], code: int) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == code
    assert {f"acrank.cli.{name}" for name in COMMANDS} <= loaded(done)


def test_no_plugins_of_pydantic_are_looked_for(zoo: Path) -> None:
    info = zoo / "plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pydantic]\nplugin = no_such_module:plugin\n")
    assert "no_such_module" not in run(zoo, "zoo", "list").stderr
    assert "no_such_module" in run(zoo, "zoo", "list", script=MAIN).stderr  # the environment of others stays theirs


def test_ctrl_c_while_the_process_ends_prints_no_traceback() -> None:
    script = (
        "import atexit, sys, time\n"
        "atexit.register(lambda: (print('ending', flush=True), time.sleep(20)))\n"
        "sys.argv = ['acrank', '--version']\n"
        "from acrank.cli import run\nrun()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "ending\n":
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (130, "")


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")]
)
def test_threads_that_wait_spin_for_a_short_time_unless_the_user_says_otherwise(
    given: dict[str, str], spins: str
) -> None:
    script = f"import os, acrank.cli as cli; cli.main = lambda: print(os.environ.get('GOMP_SPINCOUNT')) or 0; {RUN}"
    environment = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment | given)
    assert done.stdout == f"{spins}\n"
