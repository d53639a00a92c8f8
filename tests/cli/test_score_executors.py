"""`acrank score` past one process: the same record, and faults that cost one candidate only."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.faulty_zoo import comparable, faulty, good, write_faulty_zoo
from helpers.workbench import Outcome, make_images, make_zoo
from PIL import Image

import acrank as package
from acrank.cli.execution import LOCAL, PROCESSES, RAY, Execution
from acrank.records import Ranking
from acrank.settings import Settings
from acrank.system.machine import pick_device, use_device
from acrank.targets import open_target

Command = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a target in it and room for a zoo."""
    monkeypatch.chdir(tmp_path)
    for module in ("small_networks", "faulty_networks"):
        monkeypatch.delitem(sys.modules, module, raising=False)  # another test's folder
    make_images(tmp_path / "target")
    return tmp_path


def words(*more: object) -> list[object]:
    return ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, "--no-cache", *more]


def start(*more: object, **options: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "acrank", *map(str, words(*more))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload, no-any-return]


def wait_for(ready: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def done_in(path: Path) -> set[str]:
    return {row.model for row in Ranking.load(path).rows} if path.exists() else set()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As each of the workers has: on some processors more threads sum in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_processes_give_the_record_that_this_process_gives(acrank: Command, folder: Path) -> None:
    make_zoo(folder / "zoo", 4)
    assert acrank(*words("-o", "local.json", "--scores", "all")).code == 0
    done = acrank(*words("-o", "two.json", "--scores", "all", "--devices", "cpu,cpu"))
    assert done.code == 0, done.err
    assert comparable(Path("two.json")) == comparable(Path("local.json"))
    where = json.loads(Path("two.json").read_text())["environment"]["executor"]
    assert (where["kind"], where["workers"]) == ("processes", 2)
    assert Ranking.load(Path("local.json")).environment["executor"] == {
        "kind": "local",
        "threads": torch.get_num_threads(),
    }


@pytest.mark.slow
def test_faults_are_skipped_rows_and_resume_does_them_again(acrank: Command, folder: Path) -> None:
    entries = [good(0), faulty("aborts", "aborts"), faulty("hangs", "hangs"), good(1), faulty("leaves", "leaves")]
    write_faulty_zoo(folder / "zoo", *entries)
    done = acrank(*words("--workers", 2, "--timeout", 15))
    assert done.code == 0, done.err
    rows = {row.model: row for row in Ranking.load(Path("run.json")).rows}
    assert {name for name, row in rows.items() if row.status == "scored"} == {"net0", "net1"}
    assert rows["hangs"].reason == "timed out after 15 s"
    assert rows["aborts"].reason.startswith("its worker process died 2 times: killed by SIGABRT")
    assert rows["leaves"].reason.startswith("its worker process died 2 times: exit code 0")
    code = Path("zoo/faulty_networks.py").read_text()  # repaired, while its entries in the manifest stay
    for name in ("aborts", "hangs", "leaves"):
        code = code.replace(f"def {name}() -> None:", f"def {name}():\n    return small()")
    Path("zoo/faulty_networks.py").write_text(code)
    done = acrank(*words("--resume", "--timeout", 60))
    assert done.code == 0, done.err
    again = {row.model: row for row in Ranking.load(Path("run.json")).rows}
    assert {row.status for row in again.values()} == {"scored"}
    assert again["net0"].seconds == rows["net0"].seconds


def test_a_worker_that_is_killed_costs_nothing(folder: Path) -> None:
    begun = folder / "begun"
    write_faulty_zoo(folder / "zoo", good(0), faulty("slow", "slow", begun=str(begun), seconds=2), good(1))
    with start("--workers", 2, "--no-race", "-o", "run.json") as run:
        wait_for(begun.exists)
        wait_for(lambda: begun.read_text().endswith("\n"))
        os.kill(int(begun.read_text()), signal.SIGKILL)
        assert run.wait(120) == 0, run.stderr.read() if run.stderr else ""
    assert len(begun.read_text().split()) == 2  # begun again, once
    rows = Ranking.load(folder / "run.json").rows
    assert sorted((row.model, row.status) for row in rows) == [(name, "scored") for name in ("net0", "net1", "slow")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "reason"), [("removed", "cannot read target"), ("replaced", "images of the target changed since")]
)
def test_images_that_vanish_or_change_in_mid_run_leave_no_wrong_row(
    acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, how: str, reason: str
) -> None:
    """A worker holds what it decoded; one that begins later finds other images, and scores none on them."""
    monkeypatch.setenv("ACRANK_CACHE", str(folder / "cache"))
    path = folder / "target" / "class1" / "000.png"
    spoils = faulty("spoils", "spoils", path=str(path), how=how)
    write_faulty_zoo(folder / "zoo", good(0), spoils, faulty("aborts", "aborts"), good(1), good(2))
    cached = [word for word in words("--samples", 30, "--no-race") if word != "--no-cache"]
    before = path.read_bytes()
    done = acrank(*cached, "--workers", 1)
    assert done.code == 0, done.err
    rows = {row.model: row for row in Ranking.load(Path("run.json")).rows}
    assert {name for name, row in rows.items() if row.status == "scored"} == {"net0", "spoils"}
    assert rows["net1"].reason.startswith(reason)
    path.write_bytes(before)
    write_faulty_zoo(folder / "zoo", good(0), good(1), good(2))
    assert acrank(*cached, "-o", "again.json").code == 0
    assert acrank(*cached, "--no-cache", "-o", "fresh.json").code == 0
    again, fresh = (
        {row.model: row.scores for row in Ranking.load(Path(f"{name}.json")).rows} for name in ("again", "fresh")
    )
    assert again == fresh, "the cache holds nothing of the other images"
    assert again["net0"] == rows["net0"].scores


@pytest.mark.parametrize("more", [[], ["--workers", "2"]])
def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(folder: Path, more: list[str]) -> None:
    begun = folder / "begun"
    write_faulty_zoo(folder / "zoo", good(0), good(1), faulty("slow", "slow", begun=str(begun), seconds=600), good(2))
    with start("-o", "run.json", *more, start_new_session=True) as run:
        wait_for(lambda: begun.exists() and {"net0", "net1"} <= done_in(folder / "run.json"))
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to every process of the group
        out, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert out == ""
    assert {"net0", "net1"} <= done_in(folder / "run.json")
    wait_for(lambda: not alive(int(begun.read_text().split()[0])), 10)


def test_a_second_ctrl_c_does_not_wait_for_the_end_of_the_first(folder: Path) -> None:
    make_zoo(folder / "zoo", 1)
    script = folder / "stuck.py"
    script.write_text(
        "import time\nfrom acrank.cli.execution import Execution, running\n"
        "with running(Execution()):\n"
        "    try:\n"
        "        print('ready', flush=True)\n        time.sleep(600)\n"
        "    finally:\n"
        "        print('cleaning', flush=True)\n        time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in ("ready\n", "cleaning\n"):
            assert run.stdout.readline() == line
            run.send_signal(signal.SIGINT)
        assert run.wait(10) == 130


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("more", [[], ["--workers", "1"]])
def test_a_full_disk_ends_the_run_and_keeps_what_was_written(acrank: Command, folder: Path, more: list[str]) -> None:
    """A file may hold the record of one candidate, not that of two."""
    make_zoo(folder / "zoo", 4)
    assert acrank(*words("-o", "one.json", "--model", "net0")).code == 0
    limit = Path("one.json").stat().st_size + 600

    def shrink() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with start("-o", "run.json", *more, preexec_fn=shrink) as run:
        _, err = run.communicate(timeout=120)
    assert run.returncode == 2, err
    assert "error: cannot write run.json: " in err
    assert "the run goes on, and is written at its end" in err
    assert len(done_in(folder / "run.json")) == 1
    assert [path.name for path in folder.glob(".acrank-*")] == []
    assert acrank(*words("-o", "run.json", "--resume")).code == 0
    assert len(done_in(folder / "run.json")) == 4


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root may mount a small disk")
def test_a_disk_without_room_is_said_so(acrank: Command, folder: Path) -> None:
    make_zoo(folder / "zoo", 4)
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        done = acrank(*words("-o", "small/run.json"))
        kept = done_in(small / "run.json")
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    assert done.code == 2
    assert "error: cannot write small/run.json: No space left on device" in done.err
    assert "hint: make room" in done.err
    assert 1 <= len(kept) < 4


def test_progress_on_a_terminal_goes_on_with_workers(folder: Path) -> None:
    make_zoo(folder / "zoo", 2)
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "acrank", *map(str, words("--workers", 1))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal) as run:
        os.close(terminal)
        seen = b""
        while True:
            try:
                part = os.read(controller, 4096)
            except OSError:
                break
            seen += part
        assert run.wait(60) == 0
    os.close(controller)
    done, total = re.findall(rb"(\d+)/(\d+)", seen)[-1]  # what is drawn between depends on the time
    assert int(done) == int(total) >= 2


def test_what_workers_find_out_about_the_target_is_a_note_here(acrank: Command, folder: Path) -> None:
    make_zoo(folder / "zoo", 2)
    for path in (folder / "target").rglob("*.png"):
        pixels = np.asarray(Image.open(path), np.float32) / 255
        Image.fromarray(pixels[..., 0]).save(path.with_suffix(".tif"))
        path.unlink()
    assert acrank(*words("-o", "local.json")).code == 0
    assert acrank(*words("-o", "two.json", "--workers", 1)).code == 0
    notes = Ranking.load(Path("two.json")).notes
    assert notes == Ranking.load(Path("local.json")).notes
    assert "float images: assumed range [0, 1] (29 of 29 images)" in notes
    assert open_target("target").notes == ["float images: assumed range [0, 1]"]  # one range for all of them


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--executor", "local", "--workers", "2"], "--executor local has no workers"),
        (["--executor", "local", "--devices", "cpu"], "--executor local has no workers"),
        (["--executor", "ray", "--devices", "cpu"], "--devices is for processes"),
        (["--devices", "cpu", "--device", "cpu"], "exclude each other"),
        (["--devices", "cpu,cpu", "--workers", "3"], "--devices names 2, --workers says 3"),
        (["--devices", "cpu,cuda:99"], "device 'cuda:99' is not"),
        (["--timeout", "0"], "--timeout must be positive"),
        (["--timeout", "nan"], "--timeout must be positive"),
        (["--shard", "2"], "--shard is I/N"),
        (["--shard", "0/2"], "there is no shard 0/2"),
        (["--shard", "3/2"], "there is no shard 3/2"),
        (["--shard", "4/4"], "shard 4/4 is empty: 3 candidates"),
        (["--executor", "dask"], "dask"),
        (["--workers", "0"], "workers"),
    ],
)
def test_what_cannot_be_is_exit_2_before_any_work(acrank: Command, folder: Path, more: list[str], message: str) -> None:
    make_zoo(folder / "zoo")
    done = acrank(*words(*more))
    assert done.code == 2, done.err
    assert message in done.err.splitlines()[0]
    assert not Path("run.json").exists()


def test_which_executor_the_options_mean() -> None:
    assert Execution().kind == LOCAL
    for one in (
        Execution(workers=1),
        Execution(timeout=5),
        Execution(executor=LOCAL, timeout=5),
        Execution(devices=("cpu",)),
    ):
        assert one.kind == PROCESSES
    assert Execution(executor=RAY, timeout=5, workers=3).kind == RAY


def test_auto_is_the_device_of_the_worker() -> None:
    use_device("meta")
    try:
        with pytest.raises(Exception, match="'meta' is not available"):
            pick_device("auto")
        assert str(pick_device("cpu")) == "cpu"
    finally:
        use_device(None)
    assert str(pick_device("auto")) in ("cpu", "cuda", "mps")


def test_any_executor_of_the_standard_library_will_do(folder: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    make_zoo(folder / "zoo")
    settings = Settings(samples=18, allow_code=True)
    plain = package.score("zoo/zoo.yaml", "target", settings)
    with ThreadPoolExecutor(1) as pool:
        other = package.score("zoo/zoo.yaml", "target", settings, executor=pool)
    assert [(row.model, row.scores, row.rank) for row in other.rows] == [
        (row.model, row.scores, row.rank) for row in plain.rows
    ]
