"""Truths that are partly shares and partly in percent."""

from __future__ import annotations

from pathlib import Path

import pytest

from acrank.comparison.tables import read_truth
from acrank.errors import TableError
from acrank.history import read_history

SHARES = [
    *("accuracy", "Balanced accuracy", "balanced_accuracy", "val_acc", "top-1 accuracy", "auc", "AUROC", "test_auc"),
    *("dice", "Dice", "iou", "mIoU", "f1", "macro-F1", "kappa", "r2", "R²", "mAP"),
]


def written(folder: Path, *values: object, metric: str = "", task: str = "") -> Path:
    path = folder / "table.csv"
    lines = [f"d,m{i},{value},{metric},{task}" for i, value in enumerate(values)]
    path.write_text("\n".join(["dataset,model,ground_truth,metric,task", *lines]) + "\n")
    return path


@pytest.mark.parametrize("metric", SHARES)
def test_shares_and_percent_of_one_dataset_are_refused_by_name(tmp_path: Path, metric: str) -> None:
    said = "line 3: column 'ground_truth' holds 84.2 for 'm1', line 2 0.9 for 'm0': one seems to be in percent"
    path = written(tmp_path, 0.9, 84.2, 0.8, metric=metric)
    for read in (read_truth, lambda path: read_history([path])):
        with pytest.raises(TableError, match=said) as caught:
            read(path)
        assert caught.value.hint == "write all as shares: divide what is in percent by 100"


@pytest.mark.parametrize("values", [(90, 84.2, 0, 0.0), (0.9, 0.842, 0, 1), (1.2, 3.4, 90), (0, 60)])
def test_what_is_all_in_one_unit_is_taken(tmp_path: Path, values: tuple[float, ...]) -> None:
    for metric in SHARES:
        assert len(read_truth(written(tmp_path, *values, metric=metric)).datasets["d"]) == len(values)


def test_a_share_of_more_than_all_is_refused(tmp_path: Path) -> None:
    for values in ((1.9, 1.6), (0.9, 1.2)):
        with pytest.raises(
            TableError, match=rf"holds {max(values)}, the largest accuracy: more than 1, and too little"
        ):
            read_truth(written(tmp_path, *values, metric="accuracy"))
    assert read_truth(written(tmp_path, 0.9, 1.0000000000000002, metric="accuracy"))


def test_without_a_measure_the_task_tells_or_a_plain_pattern(tmp_path: Path) -> None:
    for values, task in (((0.9, 0.5, 30), "classification"), ((0.9, 84, 0.78, 72), ""), ((55, 61, 0.4, 0.35), "")):
        with pytest.raises(TableError, match="one seems to be in percent"):
            read_truth(written(tmp_path, *values, task=task))


@pytest.mark.parametrize(
    "values",
    [
        *((0, 1, 2, 3, 4, 5), (0.4, 0.8, 1.2, 1.6, 2), (0.9, 84), (0.1, 0.2, 2, 3)),
        *((-0.5, 0.5, 0.6, 60, 70), (0.5, 0.6, 600, 700)),
    ],
)
def test_other_values_without_a_measure_are_left_alone(tmp_path: Path, values: tuple[float, ...]) -> None:
    assert len(read_truth(written(tmp_path, *values)).datasets["d"]) == len(values)
    assert len(read_truth(written(tmp_path, 1, 2, task="classification")).datasets["d"]) == 2


def test_other_measures_and_other_datasets_may_have_other_units(tmp_path: Path) -> None:
    assert read_truth(written(tmp_path, 0.9, 84.2, 0.8, 70, metric="psnr"))
    path = tmp_path / "two.csv"
    path.write_text("dataset,model,ground_truth,metric\nx,a,0.9,dice\nx,b,0.8,dice\ny,a,90,dice\ny,b,80,dice\n")
    assert list(read_truth(path).datasets) == ["x", "y"]
