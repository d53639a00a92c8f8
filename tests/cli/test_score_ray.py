"""`acrank score --executor ray` on a cluster of two nodes: the same record as everywhere, also when a node is lost."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.faulty_zoo import comparable, faulty, good, write_faulty_zoo, write_many
from helpers.workbench import Outcome, make_images

from acrank.records import Ranking

pytestmark = pytest.mark.slow
Command = Callable[..., Outcome]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one CPU each, in processes on this machine; the test's folder is the current one."""
    monkeypatch.chdir(tmp_path)
    for module in ("small_networks", "faulty_networks"):
        monkeypatch.delitem(sys.modules, module, raising=False)  # another test's folder
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.second = made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


def words(zoo: str, *more: object) -> list[object]:
    return ["score", "--zoo", zoo, "--data", "target", "--allow-code", "--no-cache", "--threads", 1, *more]


def test_a_crash_costs_one_candidate_and_a_lost_node_none(acrank: Command, cluster: Any) -> None:
    begun = Path("begun").absolute()
    slow = [faulty(f"slow{i}", "slow", begun=str(begun), seconds=1.5) for i in range(8)]
    write_faulty_zoo(Path("zoo"), *slow, faulty("aborts", "aborts"), good(0), good(1))
    make_images(Path("target"))

    def lose_a_node() -> None:
        while not (begun.exists() and len(begun.read_text().splitlines()) >= 3):
            time.sleep(0.1)
        cluster.remove_node(cluster.second, allow_graceful=False)

    loser = threading.Thread(target=lose_a_node)
    loser.start()
    more = ["--samples", 18, "--executor", "ray", "--ray-address", cluster.address]
    done = acrank(*words("zoo/zoo.yaml", *more))
    loser.join()
    assert done.code == 0, done.err
    rows = Ranking.load(Path("run.json")).rows
    assert sorted(row.model for row in rows) == sorted(["aborts", "net0", "net1", *(f"slow{i}" for i in range(8))])
    assert {row.model: row.reason[:32] for row in rows if row.status == "skipped"} == {
        "aborts": "lost by Ray: WorkerCrashedError:"
    }


def test_a_thousand_candidates_give_one_record_through_ray_and_through_shards(acrank: Command, cluster: Any) -> None:
    zoo = str(write_many(Path("zoo"), 1000))
    make_images(Path("target"), classes=2, each=10, size=8)
    base = words(zoo, "--samples", 8, "--repeats", 1)
    done = acrank(*base, "-o", "ray.json", "--executor", "ray", "--ray-address", cluster.address)
    assert done.code == 0, done.err
    for i in range(1, 5):
        assert acrank(*base, "-o", f"part-{i}.json", "--shard", f"{i}/4").code == 0
    assert acrank("merge", *(f"part-{i}.json" for i in range(1, 5)), "-o", "merged.json").code == 0
    merged = comparable(Path("merged.json"))
    assert len({row["model"] for row in merged["rows"] if row["status"] == "scored"}) == len(merged["rows"]) == 1000
    assert comparable(Path("ray.json")) == merged
