"""Ray: the same outcomes as elsewhere, on a cluster that loses workers and nodes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import faulty

from acrank.errors import CandidateError, MissingExtraError, UsageError
from acrank.executors import run_tasks


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one CPU each, in processes on this machine."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.second = made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from acrank.executors.remote import RayExecutor

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        RayExecutor("local")
    assert caught.value.hint == "pip install 'acrank[ray]'"


@pytest.mark.slow
def test_a_cluster_that_is_not_there_or_too_small_is_said_so(cluster: Any) -> None:
    from acrank.executors.remote import RayExecutor

    with pytest.raises(UsageError, match="no node has 1 CPU and 1 GPU"):
        RayExecutor(cluster.address, gpus=1)
    with pytest.raises(UsageError, match="no node has 2 CPU"):
        RayExecutor(cluster.address, cpus=2)
    with RayExecutor(cluster.address, cpus=0.5) as executor:
        assert executor.in_flight == 8


@pytest.mark.slow
def test_no_cluster_is_a_usage_error() -> None:
    pytest.importorskip("ray")
    from acrank.executors.remote import RayExecutor

    with pytest.raises(UsageError, match="no Ray cluster at 'auto'"):
        RayExecutor("auto")


@pytest.mark.slow
def test_each_fault_costs_its_own_task_and_no_other(cluster: Any, tmp_path: Path) -> None:
    from acrank.executors.remote import RayExecutor

    once = f"once:{tmp_path / 'killed'}"
    words = ["a", "abort", "b", "raise", "unpicklable", once, "c"]
    with RayExecutor(cluster.address) as executor:
        pairs = list(run_tasks(executor, faulty.behave, words))
    found = dict(pairs)
    assert sorted(item for item, _ in pairs) == sorted(words)
    assert {word: found[word] for word in [*"abc", once]} == {word: f"{word} done" for word in [*"abc", once]}
    assert isinstance(found["abort"], CandidateError)
    assert "lost by Ray: WorkerCrashedError" in str(found["abort"])
    assert isinstance(found["raise"], ValueError)
    assert isinstance(found["unpicklable"], Exception)


@pytest.mark.slow
def test_a_task_that_hangs_is_killed_on_its_node(cluster: Any) -> None:
    from acrank.executors.remote import RayExecutor

    with RayExecutor(cluster.address, timeout=3) as executor:
        found = dict(run_tasks(executor, faulty.behave, ["a", "hang", "abort", "b"]))
    assert (found["a"], found["b"]) == ("a done", "b done")
    assert str(found["hang"]) == "timed out after 3 s"
    assert str(found["abort"]).startswith("its worker process died 2 times: killed by SIGABRT")


@pytest.mark.slow
def test_a_function_is_fetched_by_a_worker_once(cluster: Any, tmp_path: Path) -> None:
    from acrank.executors.remote import RayExecutor

    log = tmp_path / "log"
    with RayExecutor(cluster.address, threads=3) as executor:
        list(run_tasks(executor, faulty.Counting(log), range(40)))
        arrived = len(log.read_text().splitlines())
        seen = {outcome for _, outcome in run_tasks(executor, faulty.threads_and_device, range(4))}
    assert 1 <= arrived <= 4  # workers, not tasks
    assert seen == {("3", None)}


@pytest.mark.slow
def test_a_node_that_is_lost_in_mid_run_loses_no_task(cluster: Any) -> None:
    from acrank.executors.remote import RayExecutor

    nodes = set()
    with RayExecutor(cluster.address) as executor:
        stream = run_tasks(executor, faulty.node_after, [0.2] * 40)
        pairs = [next(stream) for _ in range(10)]
        nodes = {outcome for _, outcome in pairs}
        cluster.remove_node(cluster.second, allow_graceful=False)
        pairs += list(stream)
    assert len(nodes) == 2  # both were at work
    assert len(pairs) == 40
    assert all(isinstance(outcome, str) for _, outcome in pairs)


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_running(cluster: Any, tmp_path: Path) -> None:
    from acrank.executors.remote import RayExecutor

    marker = tmp_path / "pid"

    def interrupt() -> None:
        while not (marker.exists() and marker.read_text()):
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt), RayExecutor(cluster.address) as executor:
            list(run_tasks(executor, faulty.note_and_hang, [str(marker)]))
    finally:
        signal.signal(signal.SIGINT, before)
    pid = int(marker.read_text())
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the task still runs")
