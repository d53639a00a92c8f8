"""Records that are stale, partial or not to be believed: what `score --resume`, `merge` and `check` make of them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from helpers.workbench import Outcome, entry, make_zoo, network, write_zoo

from acrank.records import Ranking, Row

Command = Callable[..., Outcome]
CANDIDATES = 3  # of the fixture `folder`


def words(*more: object) -> list[object]:
    base = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, "--repeats", 1]
    return [*base, "--no-cache", *more]


def rows(path: str = "run.json") -> dict[str, Row]:
    return {row.model: row for row in Ranking.load(Path(path)).rows}


def test_resume_computes_a_candidate_with_other_weights_anew(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    before = rows()
    torch.save(network(7).state_dict(), folder / "zoo" / "net1.pth")
    done = acrank(*words("--resume"))
    assert done.code == 0, done.err
    assert "recomputed: net1 (its weights changed)" in done.err
    assert "recomputed: net0" not in done.err
    after = rows()
    assert after["net0"] == before["net0"]
    assert acrank(*words("-o", "fresh.json")).code == 0
    assert after["net1"].scores == rows("fresh.json")["net1"].scores != before["net1"].scores


def test_resume_computes_candidates_of_changed_code_anew(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    with (folder / "zoo" / "small_networks.py").open("a") as file:
        file.write("\n# changed\n")
    done = acrank(*words("--resume"))
    assert all(f"recomputed: net{i} (its code changed)" in done.err for i in range(3)), done.err


def test_merge_refuses_one_candidate_with_two_weights(acrank: Command, folder: Path) -> None:
    assert acrank(*words("-o", "a.json", "--model", "net[01]")).code == 0
    record = json.loads(Path("a.json").read_text())
    record["rows"][0]["weights"]["sha256"] = "0" * 64
    Path("b.json").write_text(json.dumps(record))
    done = acrank("merge", "a.json", "b.json")
    assert done.code == 2
    assert "has other weights, code or entry in b.json than in a.json" in done.err


def test_a_record_says_whether_its_run_ended(acrank: Command, folder: Path) -> None:
    write_zoo(folder / "zoo", entry("net0"), entry("stop", "interrupted", weights="net0.pth"))
    assert acrank(*words()).code == 130
    partial = Ranking.load(Path("run.json"))
    assert (partial.candidates, partial.complete) == (2, False)
    check = ["check", "run.json", "--no-skipped"]
    done = acrank(*check)
    assert done.code == 1
    assert "the run was not finished: 1 of 2 candidates have a row" in done.out
    dataclasses.replace(partial, candidates=1).save(Path("all_rows.json"))
    assert "all candidates have a row" in acrank("check", "all_rows.json", "--no-skipped").out
    assert acrank(*check, "--allow-partial").code == 0
    Path("gates.yaml").write_text("no_skipped: true\nallow_partial: true\n")
    assert acrank("check", "run.json", "--gates", "gates.yaml").code == 0
    Path("gates.yaml").write_text("allow_partial: true\n")
    assert acrank("check", "run.json", "--gates", "gates.yaml").code == 2  # no gate
    make_zoo(folder / "zoo", 2)
    assert acrank(*words()).code == 0
    whole = Ranking.load(Path("run.json"))
    assert (whole.candidates, whole.complete) == (2, True)
    assert acrank(*check).code == 0


def changed_record(name: str, **fields: Any) -> None:
    record = json.loads(Path("run.json").read_text())
    Path(name).write_text(json.dumps({**record, **fields}))


def test_check_believes_no_derived_field(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    record = json.loads(Path("run.json").read_text())
    worst = record["rows"][-1]["model"]
    changed_record("ones.json", rows=[{**row, "rank": 1, "band": 1} for row in record["rows"]])
    assert acrank("check", "ones.json", "--model", worst, "--top-k", 1).code == 1
    changed_record("empty.json", rows=[])
    done = acrank("check", "empty.json", "--no-skipped")
    assert done.code == 1
    assert "the record has no rows" in done.out
    old = {name: value for name, value in record.items() if name not in ("complete", "candidates")}
    Path("old.json").write_text(json.dumps(old))
    done = acrank("check", "old.json", "--no-skipped")
    assert done.code == 0
    assert "does not say whether its run was finished" in done.err


def test_a_model_that_is_listed_twice_is_refused_everywhere(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    record = json.loads(Path("run.json").read_text())
    changed_record("twice.json", rows=[*record["rows"], record["rows"][0]])
    Path("truth.csv").write_text("model,ground_truth\nnet0,1\nnet1,2\nnet2,3\n")
    shutil.copy("twice.json", "run.json")
    for command in (
        ["compare", "twice.json", "--truth", "truth.csv"],
        ["merge", "twice.json"],
        ["check", "twice.json", "--no-skipped"],
        words("--resume"),
    ):
        done = acrank(*command)
        assert done.code == 2
        assert "is listed twice" in done.err, done.err


def test_unknown_scores_are_usage_errors(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--rank-by", "all"))
    assert done.code == 2
    assert "unknown score 'all'" in done.err
    assert acrank(*words()).code == 0
    record = json.loads(Path("run.json").read_text())
    strange = [{**row, "scores": {**row["scores"], "strange": {"value": 1.0}}} for row in record["rows"]]
    changed_record("strange.json", rows=strange)
    assert acrank("merge", "strange.json", "run.json").code == 2


def test_deep_json_is_a_usage_error(acrank: Command, folder: Path) -> None:
    Path("deep.json").write_text("[" * 100_000)
    for command in (["check", "deep.json", "--no-skipped"], ["merge", "deep.json"]):
        done = acrank(*command)
        assert done.code == 2, done.err
        assert "nested too deeply" in done.err
