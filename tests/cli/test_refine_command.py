"""`acrank score --refine`: one command from images to a decision, its outputs, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.workbench import Outcome

from acrank.cli.commands import completed
from acrank.errors import UsageError
from acrank.finetuning.outcomes import Outcome as Trained
from acrank.refining import training
from acrank.refining.refine_settings import RefineSettings, seconds_of

WORDS = ("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--samples", "12", "--repeats", "1", "--allow-code")
SCORES = ("--scores", "channel_alignment", "--no-cache", "--device", "cpu")


@pytest.fixture
def folder(folder_to_train: Path) -> Path:
    return folder_to_train


def test_from_images_to_a_decision(folder: Path, acrank: Callable[..., Outcome]) -> None:
    done = acrank(*WORDS, *SCORES, "--refine", "2", "--refine-budget", "10m", "-f", "csv")
    assert done.code == 0, done.err
    rows = list(csv.DictReader(done.out.splitlines()))
    assert done.out == (folder / "scores.csv").read_text()
    assert list(rows[0])[:5] == ["rank", "band", "model", "status", "joint"]
    trained = [row for row in rows if row["refined"]]
    assert len(trained) == 2
    assert all(float(row["refined_low"]) <= float(row["refined"]) for row in trained)
    assert all(row["epochs"] for row in trained)
    assert "refined: 2 candidates trained" in done.err
    assert "round 1, 1/2" in done.err
    record = json.loads((folder / "run.json").read_text())
    assert (record["rank_by"], record["complete"]) == ("joint", True)
    assert (folder / "run.work" / "truth.csv").exists()

    compared = acrank("compare", "run.json", "--truth", "run.work/truth.csv")
    assert compared.code == 0, compared.err
    again = acrank(*WORDS, *SCORES, "--resume", "-f", "csv")  # what was trained stays with the row
    assert again.code == 0, again.err
    assert [row["refined"] for row in csv.DictReader(again.out.splitlines())] == [row["refined"] for row in rows]


def test_what_an_earlier_run_trained_is_told_as_kept(folder: Path, acrank: Callable[..., Outcome]) -> None:
    done = acrank(*WORDS, *SCORES, "--refine", "2")
    assert "(kept)" not in done.err
    again = acrank(*WORDS, *SCORES, "--refine", "2", "--resume")
    lines = [line for line in again.err.splitlines() if line.startswith("round 1, ")]
    assert len(lines) == 2
    assert all(line.endswith("(kept)") for line in lines)


def test_what_an_interruption_leaves_has_the_trainings(
    folder: Path, acrank: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, begun = training._train, 0

    def interrupted_at(number: int) -> Callable[..., Trained]:
        def call(*about: Any) -> Trained:
            nonlocal begun
            begun += 1
            if begun == number:
                raise KeyboardInterrupt
            return train(*about)

        return call

    kept = "interrupted: 3 of 3 candidates are kept in run.json"
    expected = {1: "no training is finished yet", 3: "1 finished training in run.work"}
    for number, trainings in expected.items():  # the second run trains one
        monkeypatch.setattr(training, "_train", interrupted_at(number))
        done = acrank(*WORDS, *SCORES, "--refine", "2", "--resume")
        assert done.code == 130
        assert done.err.splitlines()[-2] == f"{kept}, and {trainings}"
    monkeypatch.setattr(training, "_train", train)
    assert acrank(*WORDS, *SCORES, "--refine", "2", "--resume").code == 0


def test_fewer_trainings_leave_the_record_as_it_was(folder: Path, acrank: Callable[..., Outcome]) -> None:
    assert acrank(*WORDS, *SCORES, "--refine", "3").code == 0
    before = json.loads((folder / "run.json").read_text())
    done = acrank(*WORDS, *SCORES, "--refine", "1", "--resume", "-q")
    assert done.code == 2
    assert "run.json is kept, for it says more: 3 ranked, 3 trained (this run: 3 ranked, " in done.err
    after = json.loads((folder / "run.json").read_text())
    assert after["complete"]
    assert after["rows"] == before["rows"]


def test_finished_trainings_are_not_deleted_unasked(folder: Path, acrank: Callable[..., Outcome]) -> None:
    assert acrank(*WORDS, *SCORES, "--refine", "2").code == 0
    kept = {path: path.read_bytes() for path in (folder / "run.work").rglob("*.json")}
    done = acrank(*WORDS, *SCORES, "--refine", "2")
    assert done.code == 2
    trainings = sum(path.parent.name.startswith("round-") and path.name != "settings.json" for path in kept)
    assert f"error: run.work holds {trainings} finished trainings of an earlier run\n" in done.err
    assert "hint: go on with --resume, name another -o, or delete them with --overwrite" in done.err
    assert {path: path.read_bytes() for path in (folder / "run.work").rglob("*.json")} == kept
    done = acrank(*WORDS, *SCORES, "--refine", "2", "--overwrite")
    assert done.code == 0, done.err


def test_the_number_may_be_left_out() -> None:
    alone = {"--refine": "5"}
    assert completed(["score", "--refine"], alone) == ["score", "--refine", "5"]
    assert completed(["--refine", "--refine-budget", "9s"], alone) == ["--refine", "5", "--refine-budget", "9s"]
    assert completed(["--refine", "7"], alone) == ["--refine", "7"]
    assert completed([], alone) == []
    assert completed(["--refine=7"], alone) == ["--refine=7"]


def test_left_out_on_the_command_line(folder: Path, acrank: Callable[..., Outcome]) -> None:
    done = acrank(*WORDS, *SCORES, "-o", "out.json", "--refine-budget", "0.01s", "--refine")
    assert done.code == 0, done.err
    record = json.loads((folder / "out.json").read_text())
    assert record["settings"]["refine"]["candidates"] == 5
    assert done.err.count("warning: --refine-budget 0.01s is too short: one learning rate") == 1
    assert record["warnings"][-1].startswith("--refine-budget 0.01s is too short")
    assert "The budget was too short to train any candidate" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--refine", "0"), "--refine is 0"),
        (("--refine", "x"), "Invalid value for '--refine'"),
        (("--refine-budget", "5m"), "--refine-budget is for --refine"),
        (("--refine", "2", "--refine-budget", "soon"), "--refine-budget is a time, got 'soon'"),
        (("--refine", "2", "--shard", "1/2"), "--refine needs the whole ranking"),
        (("--refine", "2", "--executor", "ray"), "--refine does not run on Ray"),
    ],
)
def test_what_is_refused(folder: Path, acrank: Callable[..., Outcome], words: tuple[str, ...], message: str) -> None:
    done = acrank(*WORDS, *SCORES, *words)
    assert done.code == 2
    assert message in done.err
    assert not (folder / "run.json").exists()


@pytest.mark.parametrize("text", ["", "0", "0s", "-1m", "1d", "1e3", "10 minutes", "nan", "1" * 20])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is a time"):
        seconds_of(text)


def test_an_empty_budget_is_refused() -> None:
    with pytest.raises(UsageError, match="is a time"):
        RefineSettings(refine=1, refine_budget="")
