"""Worker processes that crash, hang, are killed, or cannot start: only their own task pays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import faulty

from acrank.errors import CandidateError, UsageError
from acrank.executors import ProcessExecutor, run_tasks

FOLDER = Path(__file__).parents[1]


def text_of(outcome: object) -> str:
    assert isinstance(outcome, CandidateError)
    return str(outcome)


def test_each_fault_costs_its_own_task_and_no_other(tmp_path: Path) -> None:
    once = f"once:{tmp_path / 'killed'}"
    words = ["a", "abort", "b", "hang", "c", once, "d", "exit", "raise", "unpicklable", "lambda", "e"]
    with ProcessExecutor(2, timeout=2) as executor:
        pairs = list(run_tasks(executor, faulty.behave, words))
    assert sorted(item for item, _ in pairs) == sorted(words)  # nothing lost, nothing doubled
    found = dict(pairs)
    assert {word: found[word] for word in [*"abcde", once]} == {word: f"{word} done" for word in [*"abcde", once]}
    assert text_of(found["abort"]).startswith("its worker process died 2 times: killed by SIGABRT after ")
    assert text_of(found["exit"]).startswith("its worker process died 2 times: exit code 7 after ")
    assert text_of(found["hang"]) == "timed out after 2 s"
    assert isinstance(found["raise"], ValueError)
    assert text_of(found["unpicklable"]) == "UnpicklableError: 1 and 2"
    assert isinstance(found["lambda"], Exception)


def test_a_worker_killed_while_it_waits_is_replaced() -> None:
    with ProcessExecutor(1) as executor:
        first = executor.submit(faulty.pid_of, 0).result()
        os.kill(first, signal.SIGKILL)
        second = executor.submit(faulty.pid_of, 0).result()
    assert second not in (first, os.getpid())


def test_a_function_is_sent_to_a_worker_once_and_keeps_its_state(tmp_path: Path) -> None:
    log = tmp_path / "log"
    function = faulty.Counting(log)
    with ProcessExecutor(1) as executor:
        assert [executor.submit(function, i).result() for i in range(3)] == [1, 2, 3]
        assert executor.submit(faulty.Counting(log), 0).result() == 1  # another one is another one
    assert log.read_text() == "arrived\n" * 2


def test_each_worker_gets_its_threads_and_its_own_arguments() -> None:
    with ProcessExecutor(2, threads=3, initializer=faulty.tell_device, initargs=[("x",), ("y",)]) as executor:
        assert executor.in_flight == 3
        seen = {outcome for _, outcome in run_tasks(executor, faulty.threads_and_device, range(40))}
    assert seen <= {("3", "x"), ("3", "y")}
    assert seen


def test_a_worker_that_cannot_begin_says_why() -> None:
    with ProcessExecutor(1, initializer=faulty.fail_to_begin) as executor, pytest.raises(ValueError, match="library"):
        executor.submit(faulty.pid_of, 0).result()
    with (
        ProcessExecutor(1, initializer=faulty.die_at_once) as executor,
        pytest.raises(UsageError, match="could not start: exit code 3"),
    ):
        executor.submit(faulty.pid_of, 0).result()


def test_after_shutdown_nothing_runs_and_nothing_is_taken() -> None:
    executor = ProcessExecutor(1)
    pid = executor.submit(faulty.pid_of, 0).result()
    executor.submit(faulty.behave, "hang")
    executor.shutdown()
    with pytest.raises(RuntimeError):
        executor.submit(faulty.pid_of, 0)
    assert gone(pid)


def test_a_worker_that_hangs_ends_with_its_parent_and_prints_nothing_on_stdout(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(FOLDER)!r})\n"
        "from helpers import faulty\nfrom acrank.executors import ProcessExecutor\n"
        "if __name__ == '__main__':\n"
        "    executor = ProcessExecutor(1)\n"
        "    print(executor.submit(faulty.pid_of, 0).result(), flush=True)\n"
        "    executor.submit(faulty.say_and_sleep, 600).result()\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        pid = int(run.stdout.readline())
        assert run.stderr.readline() == "a candidate's own words\n"
        run.kill()
        assert run.stdout.read() == ""
    assert gone(pid)


def test_ctrl_c_does_not_reach_a_worker_that_is_starting(tmp_path: Path) -> None:
    script, started, sent = (tmp_path / name for name in ("script.py", "started", "sent"))
    script.write_text(
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it\n"
        f"started, sent = pathlib.Path({str(started)!r}), pathlib.Path({str(sent)!r})\n"
        "if __name__ == '__mp_main__':\n    started.touch()\n    while not sent.exists(): time.sleep(0.01)\n"
        "from acrank.executors import ProcessExecutor\n"
        "if __name__ == '__main__':\n"
        "    executor = ProcessExecutor(1)\n"
        "    task = executor.submit(max, 1, 2)\n"
        "    try:\n        task.result()\n"
        "    except KeyboardInterrupt:\n        print(task.result())\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        while not started.exists():
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGINT)
        sent.touch()
        out, err = run.communicate()
    assert (out, err) == ("2\n", "")


def gone(pid: int) -> bool:
    """Whether the process has ended, now or soon."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
