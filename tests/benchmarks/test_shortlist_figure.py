"""The figure that a verdict tells of the studies is that of their committed tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import benchmarks
from acrank.records.study_figures import SHORTLIST
from acrank.scores import SCORES

STUDY = Path(*benchmarks.__path__) / "transferability"
#: Table -> its column of the default score.
TABLES = {"results.csv": "default"} | {
    f"study2/results_{pool}_choosing.csv": "finetunability" for pool in ("a", "b", "c2d")
}


def test_the_best_of_the_first_is_that_near_to_the_best() -> None:
    behind, upwards = [], not SCORES[SHORTLIST.score].higher_is_better
    for name, column in TABLES.items():
        known = pd.read_csv(STUDY / name).dropna(subset=[column, "ground_truth"])
        for _, rows in known.groupby("dataset"):
            first = rows.sort_values(column, ascending=upwards).head(SHORTLIST.first)
            behind.append(rows["ground_truth"].max() - first["ground_truth"].max())
    assert len(behind) == SHORTLIST.targets
    assert sum(one <= SHORTLIST.within for one in behind) == SHORTLIST.times
