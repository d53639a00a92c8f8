"""Join scores and ground truth into results.csv, from which all tables of the study are made.

    python benchmarks/transferability/results.py

Reads scores.csv and ground_truth_seeds.csv; writes results.csv in the long form that `acrank compare` reads too, with
scores as the package gives them and the default ranking's column called `default`, and study.json with settings and
versions.
"""

from __future__ import annotations

import json

import pandas as pd
from candidates import PANEL, PROTONETS
from study import HERE, SIMULATIONS, Truth, runs_written, truths
from targets import STUDIES

from acrank.system.machine import run_environment
from acrank.system.protocols import PROTOCOLS


def main() -> None:
    scores = pd.read_csv(HERE / "scores.csv")
    found = truths()
    parts = [joined(scores[scores["dataset"] == name], truth) for name, truth in found.items()]
    pd.concat(parts).to_csv(HERE / "results.csv", index=False, float_format="%.6g")
    (HERE / "study.json").write_text(json.dumps(about(found), indent=1) + "\n")


def joined(scores: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """The rows of one target: candidates that have both a truth and scores."""
    rows = scores[scores["model"].isin(truth.mean.index)].copy()
    rows = rows.rename(columns=lambda name: name.replace(PROTOCOLS["one-step"].rank_by, "default"))
    rows.insert(3, "half", truth.half)
    rows.insert(4, "ground_truth", truth.mean[rows["model"]].to_numpy())
    rows.insert(5, "ground_truth_se", truth.error[rows["model"]].to_numpy())
    return rows


def about(found: dict[str, Truth]) -> dict[str, object]:
    """Settings and versions, and the reliability of each target's ground truth."""
    targets = {
        name: {
            "half": truth.half,
            "candidates": len(truth.runs),
            "splits": truth.runs.shape[1],
            "reliability": round(truth.reliability, 3),
            "ceiling": round(truth.ceiling, 3),
            "finetuning": STUDIES[name].settings.record(),
            "left_out": list(STUDIES[name].left_out),
        }
        for name, truth in found.items()
    }
    about = {name: value for name, value in vars(PROTOCOLS["one-step"]).items() if name != "segmentation"}
    return {
        "runs_of_finetuning": runs_written(),
        "simulations_of_the_ceiling": SIMULATIONS,
        "one_step": {**about, "name": "one-step", "samples": "the training part of a split"},
        "protonets": list(PROTONETS),
        "panel_of_methods": list(PANEL),
        "targets": targets,
        "environment": run_environment(),
    }


if __name__ == "__main__":
    main()
