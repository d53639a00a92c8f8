"""What the names of quality measures tell, and which truths are refused for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from acrank.comparison.column_rules import RANGES
from acrank.comparison.measure_names import TASK_OF_METRIC, is_lower_better, is_share
from acrank.comparison.tables import read_scores, read_truth
from acrank.errors import TableError
from acrank.finetuning.tasks import METRICS
from acrank.history import read_history

LOWER = """
loss, val_loss, valLoss, LOSS, Loss, validation loss, Val-Loss, log loss, logloss, dice_loss, loss_dice, val_loss_dice
RMSE, rmse, nRMSE, test_rmse, MAE, mse, mean_squared_error, meanSquaredError, mean absolute error, MSE loss, BCELoss
error, errors, err, error rate, Error_rate, top1_error, top-1 err, top5err, testerror, misclassification rate
Hausdorff, hausdorff_distance, HD95, hd, average surface distance, cross-entropy, crossEntropy, NLL, perplexity, WER
negative log likelihood, brier score, ECE, FPR, false positive rate, false_negative_rate, miss rate, equal error rate
1-accuracy, 1 - AUC, 1-balanced accuracy, one_minus_dice
"""
NOT_LOWER = """
neg_mean_squared_error, neg_log_loss, negMSE, neglogloss, negative error, inverse rmse, -loss, -rmse, 1 - error, 1-fpr
accuracy, balanced_accuracy, auc, dice, iou, kappa, f1, R2, r2_score, mAP, mIoU, score, quality, log_likelihood, psnr
lossless, lossless_accuracy, glossary, mirror, error reduction, brier skill score, error detection f1, auc_asd
hearing_loss_auc, 1-shot accuracy, 1-NN accuracy, negative predictive value, true negative rate, recall_negative
"""


def named(text: str) -> list[str]:
    return [name.strip() for line in text.strip().splitlines() for name in line.split(",")]


def written(folder: Path, metric: str, *values: object) -> Path:
    path = folder / "table.csv"
    lines = [f"d,m{i},{value},{metric}" for i, value in enumerate(values)]
    path.write_text("\n".join(["dataset,model,ground_truth,metric", *lines]) + "\n")
    return path


@pytest.mark.parametrize("name", named(LOWER))
def test_a_measure_of_which_lower_is_better_is_refused_wherever_truths_are_read(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, 0.1, 0.5, 0.7)
    for read in (read_truth, read_scores, lambda path: read_history([path])):
        with pytest.raises(TableError, match=r"line 2: column 'metric' holds .*, of which lower is better") as caught:
            read(path)
        assert caught.value.hint == "write the negative of every value, or another measure"


@pytest.mark.parametrize("name", named(NOT_LOWER))
def test_other_measures_are_not_taken_for_such(name: str) -> None:
    assert not is_lower_better(name)


def test_negated_errors_stay_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path, "rmse", -0.3, 0, "", -0.1)
    assert {model: found.mean for model, found in read_truth(path).datasets["d"].items()} == {
        "m0": -0.3,
        "m1": 0.0,
        "m3": -0.1,
    }
    with pytest.raises(TableError, match="line 4: column 'metric' holds 'rmse'"):
        read_truth(written(tmp_path, "rmse", -0.3, 0, 0.1))


def test_every_measure_of_finetuning_has_its_task() -> None:
    assert {name: task for task, names in METRICS.items() for name in names} == dict(TASK_OF_METRIC)
    assert all(is_share(name) and not is_lower_better(name) for name in TASK_OF_METRIC)
    assert set(TASK_OF_METRIC) == set(RANGES)


def test_the_task_is_not_guessed_from_the_name_of_another_measure(tmp_path: Path) -> None:
    for metric, task in (("mAP", ""), ("", ""), ("Balanced accuracy", "classification"), ("dice", "segmentation")):
        path = written(tmp_path, metric, 0.1, 0.5)
        assert [one.task for one in read_history([path]).results] == [task]
        assert read_truth(path).tasks.get("d", "") == task
