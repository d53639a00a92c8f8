"""A history that grows: nothing twice, nothing half, nothing of others lost, whoever else is writing."""

from __future__ import annotations

import csv
import errno
import itertools
import multiprocessing
import os
from pathlib import Path

import pytest

from acrank.comparison.csvtable import CsvRow
from acrank.errors import OutputError, TableError
from acrank.finetuning.outcomes import Outcome, Results
from acrank.history import read_history
from acrank.history.appending import (
    HISTORY_COLUMNS,
    append_history,
    check_appendable,
    rows_of_finetuning,
    rows_of_refining,
)
from acrank.records import Ranking, Refined, Row, Value
from acrank.system.file_lock import file_lock


def cells(model: str, value: float, **more: str) -> dict[str, str]:
    known = {"dataset": "scans", "model": model, "method": "vanilla", "seed": "0", "split": "0", "metric": "dice"}
    return {**known, "ground_truth": str(value), "task": "segmentation", "protocol": "p1", "target": "f1", **more}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def values(path: Path) -> list[tuple[str, str, str]]:
    return [(row["dataset"], row["model"], row["ground_truth"]) for row in read(path)]


def test_the_same_candidate_target_and_way_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert append_history(path, [cells("a", 0.1), cells("a", 0.2, seed="1"), cells("b", 0.3)]).replaced == 0
    done = append_history(path, [cells("a", 0.5)])
    assert (done.added, done.replaced) == (1, 2)
    assert values(path) == [("scans", "b", "0.3"), ("scans", "a", "0.5")]
    assert list(read(path)[0]) == list(HISTORY_COLUMNS)


@pytest.mark.parametrize(("other", "replaced"), [
    ({"dataset": "renamed"}, 1),  # the images tell
    ({"target": "f0 f1"}, 1),
    ({"target": ""}, 1),  # only the name is known
    ({"target": "f2"}, 0),
    ({"target": "", "dataset": "renamed"}, 0),
    ({"protocol": "p2"}, 0),
    ({"protocol": ""}, 1),  # of `finetune -o`
    ({"method": "ac-norm"}, 0),
    ({"metric": "iou"}, 0),
])  # fmt: skip
def test_what_is_the_same(tmp_path: Path, other: dict[str, str], replaced: int) -> None:
    path = tmp_path / "history.csv"
    append_history(path, [cells("a", 0.1, **other)])
    assert append_history(path, [cells("a", 0.5)]).replaced == replaced


def test_two_targets_of_one_name_stay_two(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    append_history(path, [cells("a", 0.9, dataset="train"), cells("b", 0.5, dataset="train")])
    append_history(path, [cells("a", 0.1, dataset="train", target="f2"), cells("c", 0.5, dataset="train", target="f2")])
    found = read_history([path])
    assert [(one.digests, sorted(one.models)) for one in found.results] == [({"f1"}, ["a", "b"]), ({"f2"}, ["a", "c"])]
    assert len(found.targets) == 2


def test_new_rows_are_held_against_those_of_the_same_candidate_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row against every new one took a minute for 12,000 and 600."""
    path, text, looked = tmp_path / "history.csv", CsvRow.text, itertools.count()
    append_history(path, [cells(f"m{i}", 0.1, dataset=f"t{j}", target=f"f{j}") for i in range(200) for j in range(10)])
    monkeypatch.setattr(CsvRow, "text", lambda self, column: (next(looked), text(self, column))[1])
    new = [cells(f"m{i}", 0.2, dataset="t0", target="f0") for i in range(200)]
    assert append_history(path, new).replaced == 200
    assert next(looked) < 50 * 2000


def test_rows_and_columns_of_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text('model,ground_truth,remark\n"a, b",0.5,"two\nlines"\n')
    append_history(path, [cells("a", 0.1)])
    first, second = read(path)
    assert (first["model"], first["ground_truth"], first["remark"], first["task"]) == ("a, b", "0.5", "two\nlines", "")
    assert (second["model"], second["remark"]) == ("a", "")


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "history.csv"
    link.symlink_to(tmp_path / "there" / "history.csv")
    append_history(link, [cells("a", 0.1)])
    assert link.is_symlink()
    assert values(tmp_path / "there" / "history.csv") == [("scans", "a", "0.1")]


@pytest.mark.parametrize(("text", "error", "said"), [
    ("rank,model\n1,a\n", TableError, "no column 'ground_truth'"),
    ("model;ground_truth\na;0,5\n", OutputError, "not separated by commas"),
    ("model,ground_truth\n", TableError, "holds no rows"),
])  # fmt: skip
def test_what_is_no_history_is_left_as_it_is(tmp_path: Path, text: str, error: type[Exception], said: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text)
    for change in (lambda: check_appendable(path), lambda: append_history(path, [cells("a", 0.1)])):
        with pytest.raises(error, match=said):
            change()
    assert path.read_text() == text


def _append_some(path: Path, worker: int) -> None:
    for place in range(5):
        append_history(path, [cells(f"m{worker}", place / 10, dataset=f"t{place}", target=f"t{place}")])


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_some, args=(path, worker)) for worker in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert [one.exitcode for one in workers] == [0] * 4
    assert sorted(values(path)) == sorted((f"t{i}", f"m{j}", str(i / 10)) for i in range(5) for j in range(4))


def test_a_locked_history_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    with file_lock(path), pytest.raises(OutputError, match="is locked by another process"), file_lock(path, seconds=0):
        pass


def test_a_lock_file_of_another_user_need_not_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "history.csv", os.open

    def as_another_user(name: Path, flags: int, mode: int = 0o777) -> int:
        if Path(name).name == ".history.csv.lock" and flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name, flags, mode)

    append_history(path, [cells("a", 0.1)])
    monkeypatch.setattr(os, "open", as_another_user)
    append_history(path, [cells("b", 0.2)])
    assert [row["model"] for row in read(path)] == ["a", "b"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OutputError, match="cannot lock"):
        check_appendable(tmp_path / "history.csv")


def test_only_candidates_whose_runs_all_ended_are_taken() -> None:
    run = {"dataset": "scans", "method": "vanilla", "seed": 0, "metric": "balanced_accuracy"}
    outcomes = [
        Outcome(**run, model="whole", split=0, lr=0.1, ground_truth=0.5),
        Outcome(**run, model="whole", split=1, lr=0.1, ground_truth=0.6),
        Outcome(**run, model="failed", split=0, lr=0.1, ground_truth=0.9),
        Outcome(**run, model="failed", split=1, reason="out of memory"),
    ]
    target = {"name": "scans", "parts": {"all": {"fingerprint": "f1"}}}
    rows, left_out = rows_of_finetuning(Results(outcomes, settings={"epochs": 3}, target=target), {"whole": "w1"})
    assert [(row["model"], row["split"], row["ground_truth"]) for row in rows] == [
        ("whole", "0", "0.5"),
        ("whole", "1", "0.6"),
    ]
    assert {(row["task"], row["target"], row["weights"]) for row in rows} == {("classification", "f1", "w1")}
    assert left_out == ["failed (vanilla)"]
    other = rows_of_finetuning(Results(outcomes, settings={"epochs": 4}, target=target), {})[0]
    assert other[0]["protocol"] != rows[0]["protocol"]


def test_the_last_quality_of_each_training_is_taken(tmp_path: Path) -> None:
    rows = [Row(name, "scored", scores={"s": Value(place)}) for place, name in enumerate(("a", "b", "c", "d"))]
    rows[0].refined = Refined(metric="dice", quality=0.75, learning_rate=0.1, rounds=2)
    rows[1].refined = Refined(metric="dice", quality=0.5, learning_rate=0.03, rounds=2)
    rows[2].refined = Refined(metric="dice", quality=None, reason="it diverged")
    about = {"settings": {"seed": 3, "refine": {"epochs": 2}}, "target": {"name": "scans", "fingerprint": "f1"}}
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, **about)
    found, failed = rows_of_refining(ranking, {"a": "w1"})
    append_history(tmp_path / "history.csv", found)
    assert failed == ["c"]
    (result,) = read_history([tmp_path / "history.csv"]).results
    assert {model: one.mean for model, one in result.models.items()} == {"a": 0.75, "b": 0.5}
    assert (result.task, result.digests, result.weights) == ("segmentation", {"f1"}, {"a": "w1"})


def test_candidates_whose_last_rounds_differ_are_not_compared(tmp_path: Path) -> None:
    rows = [Row(name, "scored", scores={"s": Value(1)}) for name in ("winner", "second", "dropped", "first out")]
    for row, quality, number in zip(rows, (0.85, 0.8, 0.9, 0.7), (2, 2, 1, 1), strict=True):
        row.refined = Refined(metric="dice", quality=quality, learning_rate=0.1, rounds=number)
    about = {"settings": {"seed": 3, "refine": {"epochs": 2}}, "target": {"name": "scans", "fingerprint": "f1"}}
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, **about)
    append_history(tmp_path / "history.csv", rows_of_refining(ranking, {})[0])
    found = [one.shares for one in read_history([tmp_path / "history.csv"]).results]
    assert sorted(found, key=len) == [{"dropped": 1.0, "first out": 0.0}, {"second": 0.0, "winner": 1.0}]
