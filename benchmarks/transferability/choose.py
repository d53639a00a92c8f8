"""Weighted tau of every variant with the ground truth of one half of the targets.

    python benchmarks/transferability/choose.py [--half choosing] [--work FOLDER] [--top 40]

Writes variants_HALF.csv beside this file: a row per variant with its weighted tau on each target and their mean. The
half named "reported" is to be used once, after everything is chosen.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from study import CHOSEN_ON, HERE, Truth, observed_draws, truths
from truth import WORK
from variants import measures

from acrank.comparison.statistics import weighted_tau


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("choosing", "reported"), default="choosing")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--top", type=int, default=40)
    options = parser.parse_args(words)
    found = {name: truth for name, truth in truths(splits=CHOSEN_ON).items() if truth.half == options.half}
    tables = {name: table_of(options.work, name) for name in found}
    taus = pd.DataFrame({name: taus_of(tables[name], truth) for name, truth in found.items()})
    taus.insert(0, "mean", taus.mean(axis=1, skipna=False))
    taus.sort_values("mean", ascending=False).to_csv(HERE / f"variants_{options.half}.csv", float_format="%.4f")
    about = {name: (one.runs.shape, one.reliability, one.ceiling) for name, one in found.items()}
    for name, (shape, reliable, ceiling) in about.items():
        print(f"{name}: {shape[0]} candidates, {shape[1]} splits, reliability {reliable:.2f}, ceiling {ceiling:.2f}")
    with pd.option_context("display.width", 200, "display.max_rows", None, "display.max_colwidth", 60):
        print(taus.sort_values("mean", ascending=False).head(options.top).round(2))


def table_of(work: Path, target: str) -> pd.DataFrame:
    """Models by variants, means over the draws; computed once, cached beside the observations."""
    path = work / "observed" / f"{target}.csv"
    models = {path.stem for path in (work / "observed" / target).glob("*.npz") if ".partial" not in path.name}
    if path.exists() and path.stat().st_mtime > (HERE / "variants.py").stat().st_mtime:
        known = pd.read_csv(path, index_col=0)
        if set(known.index) == models:
            return known
    rows = {
        model: pd.DataFrame([measures(draw) for draw in draws]).mean() for model, draws in observed_draws(work, target)
    }
    table = pd.DataFrame(rows).T
    table.to_csv(path)
    return table


def taus_of(table: pd.DataFrame, truth: Truth) -> pd.Series:
    """Weighted tau of every variant with the means of the finetuning runs."""
    mean = truth.mean
    models = [model for model in table.index if model in mean.index]
    rows = table.loc[models]
    return pd.Series({name: weighted_tau(np.round(rows[name], 9), mean[models]) for name in rows})


if __name__ == "__main__":
    main(sys.argv[1:])
