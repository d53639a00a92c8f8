"""What the study's README says of a history is what its script gives from the committed tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from acrank.comparison.statistics import weighted_tau
from benchmarks.transferability import history


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(history.HERE / "results.csv")


def test_the_packages_weight_is_the_best_of_those_tried_on_the_choosing_half(table: pd.DataFrame) -> None:
    unseen = table["ground_truth"].where(table["half"] == "choosing", 0.0)  # the choice must not see the other half
    lines = list(history.choice(table.assign(ground_truth=unseen)))
    assert lines[1].startswith("0.7335  same task first, 1, 2 targets")
    assert lines[-1] == "the package: same task first, 1, 2 targets"
    assert len(lines) == 32


def test_the_figures_of_the_reported_half(table: pd.DataFrame) -> None:
    truth = table.set_index(["dataset", "model"])["ground_truth"]
    found = history.rankings(table, "reported")
    taus = {
        name: np.mean(
            [
                weighted_tau(list(one[name].values()), [truth[target, model] for model in one[name]])
                for target, one in found.items()
            ]
        )
        for name in found["digits"]
    }
    assert {name: round(float(tau), 3) for name, tau in taus.items()} == {
        "default": 0.638,
        "history of all other targets, any task": 0.678,
        "default + history of all other targets, any task": 0.684,
        "history of all other targets, same task first": 0.794,
        "default + history of all other targets, same task first": 0.737,
        "history of the choosing half, any task": 0.643,
        "default + history of the choosing half, any task": 0.691,
        "history of the choosing half, same task first": 0.731,
        "default + history of the choosing half, same task first": 0.721,
    }
