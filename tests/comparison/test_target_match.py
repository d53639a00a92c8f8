"""A truth of another target, or of another task, than the run that it is held against."""

from __future__ import annotations

from pathlib import Path

import pytest

import acrank
from acrank.errors import TableError
from acrank.gates import GateResult, check_ranking, parse_gates
from acrank.records import Ranking, Row, Value

TARGET = {"name": "v_fold", "task": "classification"}


def run(**target: str) -> Ranking:
    rows = [Row(name, "scored", scores={"s": Value(float(place))}) for place, name in enumerate("abcdef")]
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
    ranking.target = dict(target or TARGET)
    return ranking


def written(folder: Path, **more: str) -> Path:
    path = folder / "truth.csv"
    cells = "".join(f",{cell}" for cell in more.values())
    lines = [f"{name},{0.4 + place / 20}{cells}" for place, name in enumerate("abcdef")]
    path.write_text("\n".join([",".join(["model", "ground_truth", *more]), *lines]) + "\n")
    return path


def checked(ranking: Ranking, path: Path, **more: str) -> GateResult:
    gates = parse_gates({"weighted_tau": {"truth": str(path), "at_least": 0.9, **more}})
    return check_ranking(ranking, gates).results[0]


def test_another_name_is_a_warning_unless_it_was_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, dataset="cityscapes")
    said = "the truth is of 'cityscapes', the run of 'v_fold'"
    assert [line for line in acrank.compare(run(), path).warnings if said in line]
    run().save(tmp_path / "run.json")
    assert [line for line in acrank.compare(tmp_path / "run.json", path).warnings if said in line]
    gate = checked(run(), path)
    assert gate.passed
    assert f"; but {said}" in gate.message
    assert "but" not in checked(run(), path, dataset="cityscapes").message


@pytest.mark.parametrize("name", ["v_fold", "V-Fold", "/data/v_fold/", "VFOLD", "v fold", ""])
def test_other_spellings_of_the_name_are_none(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, dataset=name, task="Classification")
    assert acrank.compare(run(), path).warnings == []
    assert "but" not in checked(run(), path).message
    assert acrank.compare(run(), written(tmp_path)).warnings == []


def test_another_task_is_refused_unless_the_dataset_was_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, dataset="V_FOLD", task="segmentation")
    for ask in (acrank.compare, checked):
        with pytest.raises(TableError, match="is of the task 'segmentation', the run of 'classification'") as caught:
            ask(run(), path)
        assert caught.value.hint == "give the truth of the run's target, or take it with --dataset V_FOLD"
        with pytest.raises(TableError, match="is of the task 'segmentation'"):
            ask(run(), written(tmp_path, task="segmentation"))
        written(tmp_path, dataset="V_FOLD", task="segmentation")
    assert checked(run(), path, dataset="V_FOLD").passed


@pytest.mark.parametrize(("own", "other"), [
    ("segmentation", "Semantic-Segmentation"),
    ("classification", "image classification"),
    ("multilabel", "multi-label classification"),
    ("multilabel", "classification"),
    ("", "segmentation"),
])  # fmt: skip
def test_other_names_of_the_task_are_taken(tmp_path: Path, own: str, other: str) -> None:
    path = written(tmp_path, dataset="v_fold", task=other)
    assert acrank.compare(run(name="v_fold", task=own), path).warnings == []


def test_a_measure_of_another_task_is_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, dataset="v_fold", metric="dice")
    said = "the measure of the truth is one of segmentation, the task of the run is classification"
    assert acrank.compare(run(), path).warnings == [said]
    assert checked(run(), path).message.endswith(f"; but {said}")
    assert acrank.compare(run(name="v_fold", task="segmentation"), path).warnings == []
