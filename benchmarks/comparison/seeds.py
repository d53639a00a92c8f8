"""Coverage of the 95% interval where the truth is a mean over three noisy seeds.

Compares resampling the models alone with resampling models and, within them, seeds (what `acrank compare` does). An
interval should contain the mean weighted tau against such three-seed means over all studies of that size.

    python benchmarks/comparison/seeds.py --out benchmarks/comparison/coverage_seeds.json
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acrank.comparison.aligning import AlignedDataset
from acrank.comparison.measuring import ResampledDataset
from acrank.comparison.permutation import Permutations
from acrank.comparison.resampling import bootstrap_counts, interval
from acrank.comparison.statistics import weighted_tau
from acrank.comparison.tables import Measurement

Floats = NDArray[np.float64]
SIZES = (8, 12, 20, 50)
SEEDS = 3
#: Noise of one seed; the models' own spread is 1.
NOISES = (0.3, 1.0)
TRUTHS = 50


def draw(rng: np.random.Generator, n: int, noise: float) -> tuple[Floats, Floats]:
    """A score that correlates with the true performance by 0.7, and the seeds [n, SEEDS]."""
    true, own = rng.normal(size=(2, n))
    return 0.7 * true + np.sqrt(1 - 0.7**2) * own, true[:, None] + noise * rng.normal(size=(n, SEEDS))


def coverage(task: tuple[int, float, int, int]) -> dict[str, float]:
    """Share of studies whose interval contains the mean, for both ways of resampling."""
    n, noise, studies, resamples = task
    rng = np.random.default_rng([n, round(10 * noise)])
    target = np.mean(
        [weighted_tau(score, seeds.mean(axis=1)) for score, seeds in (draw(rng, n, noise) for _ in range(5000))]
    )
    held = {"models": 0, "models and seeds": 0}
    width = dict.fromkeys(held, 0.0)
    for i in range(studies):
        score, seeds = draw(rng, n, noise)
        found = [Measurement(float(s.mean()), float(s.std(ddof=1) / SEEDS**0.5), tuple(s)) for s in seeds]
        names = [f"{j:02d}" for j in range(n)]
        study = AlignedDataset(name="", models=names, truth=seeds.mean(axis=1), measurements=found, columns={})
        counts = bootstrap_counts([names], resamples, i)[0]
        permutations = Permutations(i, resamples)
        for way, truths in (("models", [study.truth]), ("models and seeds", study.resampled_truths(TRUTHS, i))):
            data = ResampledDataset(aligned=study, counts=counts, truths=truths, top=(), permutations=permutations)
            draws = data.draws(score)["weighted_tau"]
            low, high = interval(draws) or (np.nan, np.nan)
            held[way] += low <= target <= high
            width[way] += high - low
    figures = {f"coverage, {way}": held[way] / studies for way in held}
    return {"n": n, "noise": noise, "studies": studies, **figures, **{f"width, {w}": width[w] / studies for w in held}}


def main() -> None:
    """Run all sizes and noises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("coverage_seeds.json"))
    args = parser.parse_args()
    tasks = [(n, noise, args.studies, args.resamples) for noise in NOISES for n in SIZES]
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(coverage, tasks))
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
