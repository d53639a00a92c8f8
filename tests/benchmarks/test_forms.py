"""The default has the form of the second study's table of forms that was taken."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from acrank.scores.finetunability import TYPICAL_DRIFT, finetunability
from acrank.scores.kernels import kernel_ridge_accuracy, kernel_target_alignment
from acrank.scores.knn import knn
from acrank.scores.linear_probe import linear_probe
from benchmarks.transferability.study2 import HERE
from benchmarks.transferability.study2.forms import FORMS, TAKEN, value


def test_the_default_is_the_product_that_was_taken() -> None:
    rng, labels = np.random.default_rng(0), np.arange(40) % 2
    features, later = (rng.normal(size=(40, 6)) + labels[:, None] for _ in range(2))
    rows = {"later_gram": later @ later.T, "later_gram_labels": labels, "later_gram_half": np.arange(40) % 4 < 2}
    parts = {
        "kernel_target_alignment": kernel_target_alignment(rows["later_gram"], labels),
        "kernel_ridge_accuracy": kernel_ridge_accuracy(*rows.values()),
        "knn": knn(features, labels),
        "linear_probe": linear_probe(features, labels),
        "drift": np.sqrt(TYPICAL_DRIFT / (TYPICAL_DRIFT + 0.02)),
    }
    expected = float(np.exp(value(TAKEN, pd.DataFrame([parts])).iloc[0]))
    found = finetunability(**rows, later_gram_features=features, random_head_shifts=[], step_size=1.0)
    assert found == pytest.approx(expected, rel=1e-9)


def test_no_form_of_the_table_has_a_higher_mean() -> None:
    means = pd.read_csv(HERE / "forms.csv").groupby("form")["weighted tau"].mean()
    assert set(means.index) == set(FORMS)
    assert means.idxmax() == TAKEN
