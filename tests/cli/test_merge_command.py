"""`acrank merge`: shards become the record of one run, and what is not one run is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.faulty_zoo import comparable
from helpers.workbench import Outcome, entry, write_zoo
from hypothesis import given, settings
from hypothesis import strategies as st

from acrank.ranking.joining import merge
from acrank.records import Ranking
from acrank.zoo import load_zoo

Command = Callable[..., Outcome]
CANDIDATES = 5  # of the fixture `folder`


def words(*more: object) -> list[object]:
    base = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, "--repeats", 2]
    return [*base, "--no-cache", *more]


@pytest.mark.parametrize("more", [["--scores", "all"], ["--rank-by", "consensus"]])
def test_shards_merge_to_the_record_of_one_run(acrank: Command, folder: Path, more: list[str]) -> None:
    assert acrank(*words("-o", "whole.json", "--no-race", *more)).code == 0
    for i in (1, 2):
        assert acrank(*words("-o", f"part-{i}.json", "--shard", f"{i}/2", "--no-race", *more)).code == 0
    done = acrank("merge", "part-2.json", "part-1.json", "-o", "all.json", "-f", "csv")
    assert done.code == 0, done.err
    assert comparable(Path("all.json")) == comparable(Path("whole.json"))
    assert len(done.out.splitlines()) == 6
    assert "in none of these parts" not in done.err
    assert acrank(*words("-o", "all.json", "--resume", "--no-race", *more)).code == 0  # a merged record is a record


@given(count=st.integers(1, 40), of=st.integers(1, 12))
@settings(max_examples=20)
def test_every_candidate_is_in_one_shard(tmp_path_factory: pytest.TempPathFactory, count: int, of: int) -> None:
    zoo = load_zoo(write_zoo(tmp_path_factory.mktemp("zoo"), *(entry(f"m{i}") for i in range(count))))
    dealt = [candidate.id for i in range(1, min(of, count) + 1) for candidate in zoo.part(i, of).candidates]
    assert sorted(dealt) == sorted(f"m{i}" for i in range(count))


def test_a_missing_shard_is_a_warning(acrank: Command, folder: Path) -> None:
    acrank(*words("-o", "one.json", "--shard", "1/2"))
    done = acrank("merge", "one.json")
    assert done.code == 0
    assert "warning: 2 of 5 candidates of the shards are in none of these parts" in done.err


def test_a_candidate_in_two_parts_is_kept_once(acrank: Command, folder: Path) -> None:
    acrank(*words("-o", "a.json", "--model", "net[012]"))
    (folder / "zoo" / "net2.pth").rename(folder / "zoo" / "away")
    acrank(*words("-o", "b.json", "--model", "net[1234]"))
    done = acrank("merge", "b.json", "a.json", "-o", "all.json")
    assert done.code == 0, done.err
    rows = {row.model: row.status for row in Ranking.load(Path("all.json")).rows}
    assert rows == dict.fromkeys(("net0", "net1", "net2", "net3", "net4"), "scored")


def test_what_is_not_one_run_is_refused(acrank: Command, folder: Path) -> None:
    acrank(*words("-o", "a.json", "--model", "net[01]"))
    acrank(*words("-o", "seed.json", "--model", "net2", "--seed", 1))
    acrank(*words("-o", "samples.json", "--model", "net2", "--samples", 10))
    record = json.loads(Path("a.json").read_text())
    record["rows"][0]["scores"]["ac_corr"]["value"] += 1e-9
    Path("value.json").write_text(json.dumps(record))
    (folder / "target" / "class0" / "000.png").unlink()
    acrank(*words("-o", "target.json", "--model", "net2"))
    for name, message in {
        "seed.json": "their settings differ in seed\n",
        "samples.json": "their settings differ in samples\n",
        "target.json": "their targets differ in",
        "value.json": f"{record['rows'][0]['model']} has other values in value.json than in a.json",
    }.items():
        done = acrank("merge", "a.json", name, "-o", "all.json")
        assert done.code == 2
        assert message in done.err, done.err
        assert not Path("all.json").exists()
    record["settings"]["zoo"]["sha256"] = "0" * 64
    Path("zoo.json").write_text(json.dumps(record))
    assert "their manifests differ in sha256" in acrank("merge", "a.json", "zoo.json").err
    del record["settings"]["protocol"]
    Path("bare.json").write_text(json.dumps(record))
    assert "its settings cannot be read: 'protocol'" in acrank("merge", "bare.json").err


def test_environments_that_differ_are_all_kept(acrank: Command, folder: Path) -> None:
    acrank(*words("-o", "a.json", "--model", "net[01]"))
    one = Ranking.load(Path("a.json"))
    other = Ranking.load(Path("a.json"))
    other.environment = {"python": "4.0"}
    assert merge({"a": one, "b": one}).environment == one.environment
    assert merge({"a": one, "b": other}).environment == {"parts": [one.environment, {"python": "4.0"}]}
