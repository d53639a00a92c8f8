"""Coverage of 95% intervals, simulated over populations, study sizes and methods.

A study is n models drawn from a population, each with two scores and a truth. An interval should contain the
mean of the statistic over all studies of that size from that population (weighted tau depends on n: its hyperbolic
weights favour the top ever more, so a value for n = infinity would be another quantity). That mean is taken over
5,000 further studies.

    python benchmarks/comparison/coverage.py --studies 1000 --out benchmarks/comparison/coverage

writes coverage.json (everything) and coverage.md (the tables). About half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from methods import DIFFERENCES, INTERVALS, Draws, draw_counts
from numpy.typing import NDArray

from acrank.comparison.resampling import CORRELATIONS, statistics_of_counts

Floats = NDArray[np.float64]
SIZES = (8, 12, 20, 50)
REFERENCE_STUDIES = 5_000
FIGURES = (*CORRELATIONS, "top_1_hit", "rel_at_1", "regret_at_1")


def gaussian(rng: np.random.Generator, n: int, rho: float, other: float) -> Floats:
    """Truth and two scores that correlate with it by `rho` and `other`: [3, n]."""
    truth, a, b = rng.normal(size=(3, n))
    return np.stack(
        [truth, rho * truth + np.sqrt(1 - rho**2) * a, other * truth + np.sqrt(1 - other**2) * b], dtype=np.float64
    )


def tied(rng: np.random.Generator, n: int) -> Floats:
    """Truth and scores rounded to half a standard deviation: many ties."""
    return np.round(2 * gaussian(rng, n, 0.6, 0.3)) / 2


def collapsed(rng: np.random.Generator, n: int) -> Floats:
    """A fifth of the models fail to train: heavy lower tail of the truth, which one of the scores foresees."""
    columns = gaussian(rng, n, 0.5, 0.5)
    failed = rng.random(n) < 0.2
    columns[:2, failed] -= 3.0
    return columns


def accuracies(rng: np.random.Generator, n: int) -> Floats:
    """Accuracies crowded under a ceiling, as on easy targets: skewed, and closest at the top."""
    columns = gaussian(rng, n, 0.7, 0.4)
    columns[0] = 1 - 0.05 * np.exp(-columns[0])
    return columns


POPULATIONS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "no relation": lambda rng, n: gaussian(rng, n, 0.0, 0.0),
    "weak (0.3)": lambda rng, n: gaussian(rng, n, 0.3, 0.0),
    "medium (0.6)": lambda rng, n: gaussian(rng, n, 0.6, 0.3),
    "strong (0.9)": lambda rng, n: gaussian(rng, n, 0.9, 0.8),
    "ties (0.6)": tied,
    "failures (0.5)": collapsed,
    "ceiling (0.7)": accuracies,
}


def observe(columns: Floats, counts: NDArray[np.float32]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """The statistics of both scores for every row of counts."""
    truth, one, other = columns
    positive = truth - truth.min() + 1  # Rel@k needs a positive truth
    found = [statistics_of_counts(score, positive, counts, top=(1,)) for score in (one, other)]
    return found[0], found[1]


def expectation(population: str, n: int, seed: int) -> dict[str, float]:
    """Mean over many studies of every statistic of the first score, and of the two scores' differences."""
    rng = np.random.default_rng(seed)
    sums: dict[str, list[float]] = {}
    once = np.ones((1, n), np.float32)
    for _ in range(REFERENCE_STUDIES):
        one, other = observe(POPULATIONS[population](rng, n), once)
        for name in FIGURES:
            sums.setdefault(name, []).append(one[name][0])
            sums.setdefault(f"difference of {name}", []).append(one[name][0] - other[name][0])
    return {name: float(np.nanmean(values)) for name, values in sums.items()}


def study_block(task: tuple[str, int, int, int, int]) -> dict[str, Any]:
    """Coverage and width of every method over a block of studies of one population and size."""
    population, n, studies, resamples, seed = task
    target = expectation(population, n, seed)
    rng = np.random.default_rng(seed + 1)
    held: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(studies):
        columns = POPULATIONS[population](rng, n)
        counts, parts = draw_counts(rng, n, resamples)
        one, other = observe(columns, counts)
        for name in FIGURES:
            _record(held, name, INTERVALS, Draws.of(one[name], parts, n), target[name])
            difference = f"difference of {name}"
            _record(held, difference, DIFFERENCES, Draws.of(one[name] - other[name], parts, n), target[difference])
    cells = {key: np.nanmean(np.array(values), axis=0) for key, values in held.items()}
    rows = [[*key.split("|"), *(round(float(value), 4) for value in values)] for key, values in cells.items()]
    return {"population": population, "n": n, "studies": studies, "target": target, "rows": rows}


def _record(held: dict[str, Any], figure: str, methods: dict[str, Any], draws: Draws, target: float) -> None:
    if not np.isfinite(draws.value):
        return
    for method, interval in methods.items():
        low, high = interval(draws)
        covered = low - 1e-12 <= target <= high + 1e-12
        held.setdefault(f"{figure}|{method}", []).append((float(covered), high - low, float(target > high)))


def main() -> None:
    """Run the study and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000, help="studies per population and size")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("coverage"))
    args = parser.parse_args()
    tasks = [
        (population, n, args.studies, args.resamples, args.seed + 1000 * i + n)
        for i, population in enumerate(POPULATIONS)
        for n in SIZES
    ]
    with ProcessPoolExecutor(args.workers) as pool:
        blocks = []
        for block in pool.map(study_block, tasks):
            blocks.append(block)
            print(f"{block['population']}, n = {block['n']}: done", file=sys.stderr, flush=True)
    write(blocks, args.out)


def write(blocks: list[dict[str, Any]], out: Path) -> None:
    """coverage.json, one line per population and size, and coverage.md."""
    lines = ",\n".join(json.dumps(block) for block in blocks)
    out.with_suffix(".json").write_text(f"[\n{lines}\n]\n")
    out.with_suffix(".md").write_text(tables(blocks))


def tables(blocks: list[dict[str, Any]]) -> str:
    """Markdown tables, one per statistic: methods by study sizes."""
    text = [_INTRODUCTION.format(studies=blocks[0]["studies"], populations=len(POPULATIONS)), _choice(blocks)]
    for figure in dict.fromkeys(row[0] for block in blocks for row in block["rows"]):
        text += [f"## {figure}", "", _header(), *_figure_rows(blocks, (figure,)), ""]
    return "\n".join(text)


_INTRODUCTION = """# Coverage of nominal 95% intervals

Percent of {studies} studies per cell whose interval holds the mean of the figure: mean over {populations} populations,
and the worst population in brackets. *Distance* is the mean over populations and sizes of |coverage - 95|, in points;
its own simulation error is about 0.1. *Width* is the mean width. Written by `coverage.py`.

`acrank compare` uses the percentile bootstrap for every figure: it is nearest to 95% over the three taus, over the
differences of two scores, and on Rel@1 and regret. On weighted tau alone half samples without replacement, which make
no ties, are as near (0.06 points, less than the simulation error). Its intervals of Pearson's correlation are too
narrow below 20 models, and no method tried holds what it should for the top-k figures.
"""


def _choice(blocks: list[dict[str, Any]]) -> str:
    """The tables that the choice of the method rests on: the three taus together, and differences of two scores."""
    taus = CORRELATIONS[:3]
    differences = tuple(f"difference of {name}" for name in CORRELATIONS)
    parts = [
        *("## The three taus together", "", _header(), *_figure_rows(blocks, taus), ""),
        *("## Differences of two scores, all five correlations", "", _header(), *_figure_rows(blocks, differences), ""),
    ]
    return "\n".join(parts)


def _header() -> str:
    sizes = " | ".join(f"n = {n}" for n in SIZES)
    return f"| method | {sizes} | distance | width |\n| --- |" + " ---: |" * (len(SIZES) + 2)


def _figure_rows(blocks: list[dict[str, Any]], figures: tuple[str, ...]) -> list[str]:
    cells: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for block in blocks:
        for name, method, coverage, width, _ in block["rows"]:
            if name in figures:
                cells.setdefault(method, {}).setdefault(block["n"], []).append((coverage, width))
    rows = []
    for method, sizes in cells.items():
        each = [np.array(sizes[n])[:, 0] for n in SIZES]
        distance = np.mean([abs(coverage - 0.95).mean() for coverage in each])
        width = np.mean([np.array(sizes[n])[:, 1].mean() for n in SIZES])
        shown = " | ".join(f"{100 * c.mean():.1f} ({100 * c.min():.1f})" for c in each)
        rows.append((distance, f"| {method} | {shown} | {100 * distance:.2f} | {width:.3f} |"))
    return [line for _, line in sorted(rows)]


if __name__ == "__main__":
    main()
