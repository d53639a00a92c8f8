"""The ground truth of the study, its reliability, and the raw observations."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from targets import STUDIES

from acrank.comparison.statistics import weighted_tau

HERE = Path(__file__).parent
SIMULATIONS = 2000
CHOSEN_ON = 5  # splits that there were when the default was chosen


@dataclass(frozen=True)
class Truth:
    """Results of finetuning on one target.

    Attributes:
        half: "choosing" or "reported".
        runs: quality, models by splits; only splits that every model has.
        reliability: mean weighted tau between the means of one half of the splits and of the others, over all halves.
        ceiling: mean weighted tau of a perfect predictor against the published means, simulated from their errors.
    """

    half: str
    runs: pd.DataFrame
    reliability: float
    ceiling: float

    @property
    def mean(self) -> pd.Series:
        return self.runs.mean(axis=1)

    @property
    def error(self) -> pd.Series:
        """Standard error of the mean over splits."""
        return self.runs.std(axis=1, ddof=1) / np.sqrt(self.runs.shape[1])


def truths(method: str = "vanilla", splits: int | None = None) -> dict[str, Truth]:
    """Truths by target, in the study's order; of the first `splits` splits, or of all."""
    table = pd.read_csv(HERE / "ground_truth_seeds.csv")
    table = table[(table["method"] == method) & (table["split"] < (splits or np.inf))]
    found = {}
    for name in STUDIES:
        runs = table[table["dataset"] == name].pivot(index="model", columns="split", values="ground_truth")
        runs = runs.loc[:, runs.notna().mean() > 0.9].dropna() if len(runs) else runs
        if runs.shape[1] >= 2:
            found[name] = Truth(STUDIES[name].half, runs, reliability(runs.to_numpy()), ceiling(runs.to_numpy()))
    return found


def reliability(runs: np.ndarray) -> float:
    """Mean weighted tau between halves of the columns of [models, splits]."""
    splits = range(runs.shape[1])
    halves = [set(half) for half in itertools.combinations(splits, runs.shape[1] // 2)]
    return float(np.mean([_between(runs, half) for half in halves]))


def _between(runs: np.ndarray, half: set[int]) -> float:
    one = runs[:, sorted(half)].mean(1)
    other = runs[:, [split for split in range(runs.shape[1]) if split not in half]].mean(1)
    return (weighted_tau(one, other) + weighted_tau(other, one)) / 2


def ceiling(runs: np.ndarray) -> float:
    """Mean weighted tau between the means and the means plus noise of their standard errors."""
    rng = np.random.default_rng(0)
    mean, error = runs.mean(1), runs.std(1, ddof=1) / np.sqrt(runs.shape[1])
    noisy = mean + error * rng.standard_normal((SIMULATIONS, len(mean)))
    return float(np.mean([weighted_tau(mean, one) for one in noisy]))


def observed_draws(work: Path, target: str) -> Iterator[tuple[str, list[dict[str, np.ndarray]]]]:
    """Each candidate's raw observations, one dictionary per draw."""
    for path in sorted((work / "observed" / target).glob("*.npz")):
        if ".partial" in path.name:
            continue
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        draws: dict[str, dict[str, np.ndarray]] = {}
        for name, values in arrays.items():
            number, _, rest = name.partition("/")
            draws.setdefault(number, {})[rest] = values
        yield path.stem, list(draws.values())


def runs_written() -> int:
    """The number of finished finetuning runs."""
    return sum(
        1 for line in (HERE / "runs.jsonl").read_text().splitlines() if json.loads(line)["ground_truth"] is not None
    )
