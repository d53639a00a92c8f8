"""`--history`, `--append-history` and `acrank history`: from one target's trainings to another's ranking."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.workbench import Outcome, make_images

import acrank as package
from acrank.cli.outputs import check_replaceable
from acrank.errors import OutputError
from acrank.history.appending import HISTORY_COLUMNS, append_history
from acrank.records import Ranking
from acrank.settings import Settings

Command = Callable[..., Outcome]
WORDS = ("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--samples", "12", "--repeats", "1", "--allow-code")
SCORES = ("--scores", "channel_alignment", "--device", "cpu")
HISTORY = """\
dataset,model,ground_truth,metric
old,net0,0.9,accuracy
old,net1,0.2,accuracy
older,net0,0.9,accuracy
older,net1,0.8,accuracy
masks,net0,0.1,dice
masks,net1,0.3,dice
"""


@pytest.fixture
def folder(folder_to_train: Path) -> Path:
    (folder_to_train / "history.csv").write_text(HISTORY)
    return folder_to_train


def table(text: str) -> dict[str, dict[str, str]]:
    return {row["model"]: row for row in csv.DictReader(text.splitlines())}


def test_a_history_joins_the_ranking_and_only_the_ranking(folder: Path, acrank: Command) -> None:
    plain = acrank(*WORDS, *SCORES, "-o", "plain.json", "-f", "csv")
    assert plain.code == 0, plain.err
    assert "earlier" not in plain.out.splitlines()[0]
    done = acrank(*WORDS, *SCORES, "-o", "run.json", "--history", "history.csv", "-f", "csv")
    assert done.code == 0, done.err
    rows = table(done.out)
    assert {name: (row["earlier"], row["earlier_targets"], row["earlier_same_task"]) for name, row in rows.items()} == {
        "net0": ("1.0", "2", "2"),
        "net1": ("0.0", "2", "2"),
        "net2": ("", "", ""),
    }
    assert float(rows["net0"]["earlier_weight"]) == 0.5
    assert "2 earlier targets of the same task, 1 of others; 2 of 3 candidates have results there" in done.err
    record = json.loads((folder / "run.json").read_text())
    assert record["rank_by"] == "joint"
    assert [one["name"] for one in record["settings"]["history"]] == ["history.csv"]
    notes = {row["model"]: row["scores"]["joint"]["note"] for row in record["rows"]}
    assert "2 earlier targets of the same task 1.00 (weight 0.50)" in notes["net0"]
    assert notes["net2"].startswith("score ")
    assert "earlier target" not in notes["net2"]
    before = {name: row["channel_alignment"] for name, row in table(plain.out).items()}
    assert before == {name: row["channel_alignment"] for name, row in rows.items()}


def test_a_changed_history_needs_no_passes(folder: Path, acrank: Command) -> None:
    words = (*WORDS, *SCORES, "--no-cache", "-o", "run.json")
    assert acrank(*words, "--history", "history.csv").code == 0
    first = Ranking.load(folder / "run.json")
    (folder / "history.csv").write_text(HISTORY.replace("0.9", "0.0"))
    for weights in (folder / "zoo").glob("*.pth"):
        weights.rename(weights.with_suffix(".gone"))  # nothing could be computed
    done = acrank(*words, "--history", "history.csv", "--resume")
    assert done.code == 0, done.err
    second = Ranking.load(folder / "run.json")
    values = [{row.model: row.value("channel_alignment") for row in one.rows} for one in (first, second)]
    assert values[0] == values[1]
    assert [row.prior.value for row in second.rows if row.model == "net0" and row.prior] == [0.0]
    assert first.settings["history"] != second.settings["history"]
    assert acrank(*words, "--resume").code == 0  # and without one nothing of it stays
    third = Ranking.load(folder / "run.json")
    assert (third.rank_by, "history" in third.settings) == ("channel_alignment", False)
    assert all(row.prior is None for row in third.rows)


def test_parts_to_be_merged_have_one_history(folder: Path, acrank: Command) -> None:
    for part in ("1", "2"):
        words = (*WORDS, *SCORES, "--shard", f"{part}/2", "--history", "history.csv", "-o", f"{part}.json")
        assert acrank(*words).code == 0
    assert acrank(*WORDS, *SCORES, "--no-race", "--history", "history.csv", "-o", "whole.json").code == 0
    done = acrank("merge", "1.json", "2.json", "-o", "merged.json")
    assert done.code == 0, done.err
    merged, whole = (Ranking.load(folder / f"{name}.json") for name in ("merged", "whole"))
    assert [(row.model, row.rank, row.scores["joint"]) for row in merged.rows] == [
        (row.model, row.rank, row.scores["joint"]) for row in whole.rows
    ]
    assert merged.settings["history"] == whole.settings["history"]
    (folder / "history.csv").write_text(HISTORY.replace("0.9", "0.0"))
    assert acrank(*WORDS, *SCORES, "--shard", "2/2", "--history", "history.csv", "-o", "2.json").code == 0
    refused = acrank("merge", "1.json", "2.json")
    assert refused.code == 2
    assert "their settings differ in history" in refused.err


def test_python_takes_paths(folder: Path) -> None:
    settings = Settings(samples=12, repeats=1, scores=("channel_alignment",), device="cpu", allow_code=True)
    found = package.score("zoo/zoo.yaml", "target", settings, history="history.csv")
    several = package.score("zoo/zoo.yaml", "target", settings, history=[folder / "history.csv"])
    assert found.rank_by == several.rank_by == "joint"
    assert [row.prior for row in found.rows] == [row.prior for row in several.rows]


def test_from_one_targets_trainings_to_anothers_ranking(folder: Path, acrank: Command) -> None:
    """`finetune` and `--refine` write the history that the next target reads; it never speaks of itself."""
    make_images(folder / "first", each=8, size=16)
    tune = ("finetune", "--zoo", "zoo/zoo.yaml", "--data", "first", "--allow-code", "--device", "cpu", "--epochs", "1")
    done = acrank(*tune, "--lr", "0.03", "--splits", "1", "--append-history", "grown.csv")
    assert done.code == 0, done.err
    assert "added to grown.csv: 3 rows" in done.err
    score = (*WORDS, *SCORES, "--history", "grown.csv", "--append-history", "grown.csv", "--refine", "2", "-f", "json")
    done = acrank(*score)
    assert done.code == 0, done.err
    rows = json.loads(done.out)["rows"]
    assert all(row["prior"]["targets"] == 1 for row in rows)
    assert sum(row["refined"] is not None for row in rows) == 2
    assert "added to grown.csv: 2 rows" in done.err
    listed = acrank("history", "grown.csv", "-f", "csv")
    assert listed.code == 0, listed.err
    found = list(csv.DictReader(listed.out.splitlines()))
    assert [(row["target"], row["task"], row["candidates"], row["runs"]) for row in found] == [
        ("first", "classification", "3", "3"),
        ("target", "classification", "2", "2"),
    ]
    again = acrank(*score, "--overwrite")
    assert "added to grown.csv: 2 rows, in place of 2" in again.err
    assert "target is left out: these images are the target at hand" in again.err
    shutil.move("target", "renamed")  # another name does not hide it
    again = acrank(*WORDS[:4], "renamed", *WORDS[5:], *SCORES, "--history", "grown.csv", "-o", "r.json")
    assert "target is left out: these images are the target at hand" in again.err


def test_the_table_is_shown_where_the_results_cannot_be_added(
    folder: Path, acrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *rows: object, **more: object) -> None:
        raise OutputError(f"{path} is locked by another process", hint="try again")

    monkeypatch.setattr("acrank.history.appending.append_history", refuse)
    tune = ("finetune", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--device", "cpu", "--epochs", "1")
    for words in ((*tune, "--lr", "0.03", "--splits", "1"), (*WORDS, *SCORES, "--refine", "2")):
        done = acrank(*words, "--append-history", "grown.csv", "-f", "csv")
        assert (done.code, "is locked by another process" in done.err, "net0" in done.out) == (2, True, True), done.err


def test_listings(folder: Path, acrank: Command) -> None:
    done = acrank("history", "history.csv")
    assert done.code == 0, done.err
    assert "Earlier targets" in done.out
    record = json.loads(acrank("history", "history.csv", "--by", "model", "-f", "json").out)
    assert record["kind"] == "acrank-history"
    assert [(row["model"], row["task"], row["targets"], row["share"]) for row in record["rows"]] == [
        ("net0", "classification", 2, 1.0),
        ("net1", "classification", 2, 0.0),
        ("net1", "segmentation", 1, 1.0),
        ("net0", "segmentation", 1, 0.0),
    ]
    assert acrank("history", "history.csv", "-o", "list.md", "-o", "list.csv", "-q").code == 0
    assert (folder / "list.md").read_text().startswith("### Earlier targets")
    assert (folder / "list.csv").read_text().startswith("target,task,method,metric,candidates,runs,best,")
    assert acrank("history", "history.csv", "-o", "list.csv").code == 0  # its own listing may be replaced


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_a_grown_history_is_replaced_only_when_asked(folder: Path, acrank: Command, resume: tuple[str, ...]) -> None:
    path = folder / "grown.csv"
    append_history(path, [dict.fromkeys(HISTORY_COLUMNS, "") | {"model": "net0", "ground_truth": "0.5"}])
    before = path.read_text()
    done = acrank("finetune", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "-o", "grown.csv", *resume)
    assert (done.code, "grown.csv is a history of earlier targets" in done.err) == (2, True), done.err
    check_replaceable([path], [], overwrite=True)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*WORDS, "--history", "none.csv"), "cannot read none.csv"),
        ((*WORDS, "--history", "zoo/zoo.yaml"), "zoo/zoo.yaml"),
        ((*WORDS, "--append-history", "new.csv"), "--append-history is for --refine"),
        ((*WORDS, "--refine", "--append-history", "scores.txt"), "has no column"),
        ((*WORDS, "--history", "history.csv", "-o", "history.csv"), "is an input of this command"),
        (("finetune", "--data", "target", "--append-history", "no/where.csv"), "cannot write no/where.csv"),
        (("history",), "Missing argument"),
        (("history", "history.csv", "-o", "history.csv"), "is an input of this command"),
        (("history", "history.csv", "--by", "task"), "unknown --by 'task'"),
    ],
)
def test_what_is_refused(folder: Path, acrank: Command, words: tuple[str, ...], message: str) -> None:
    (folder / "scores.txt").write_text("a,b\n1,2\n")
    done = acrank(*words)
    assert done.code == 2, done.err
    assert message in done.err
    assert (folder / "history.csv").read_text() == HISTORY
