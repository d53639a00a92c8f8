"""Every table of the study, from the committed CSV files alone, in less than a minute.

    python benchmarks/transferability/tables.py [--half reported] [--resamples 1000]

Prints and writes tables.md: each score's figures averaged over the targets of a half and per target, within each family
and across them, the default's lead over every other score, the direction of AC-Corr, and AC-Norm against vanilla
finetuning.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from scipy.stats import t as student
from study import HERE, Truth, truths

from acrank.comparison.statistics import (
    kendall_tau,
    regret_at_k,
    relative_at_k,
    weighted_tau,
    weighted_tau_truth_ranked,
)

DEFAULT = "default"
NOT_SCORES = ("dataset", "model", "family", "half", "ground_truth", "ground_truth_se")
TRIVIAL = ("params", "mean rank elsewhere")
FIGURES = {
    "weighted tau": weighted_tau,
    "ranked by truth": weighted_tau_truth_ranked,
    "tau-b": kendall_tau,
    "regret": lambda score, truth: regret_at_k(score, truth, 1),
    "Rel@1": lambda score, truth: relative_at_k(score, truth, 1),
}
LEAST = 5  # candidates of a family on a target


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args(words)
    table, found = pd.read_csv(HERE / "results.csv"), truths()
    table["mean rank elsewhere"] = mean_rank_elsewhere(table)
    lines = ["# Tables of the study", "", "Made by tables.py from results.csv and ground_truth_seeds.csv.", ""]
    lines += trust(found)
    for half in ("reported", "choosing"):
        rows = table[table["half"] == half]
        if len(rows):
            lines += averages(rows, found, half, options.resamples)
            lines += per_target(rows, found, half)
            lines += per_family(rows, half, options.resamples)
    lines += direction(table, options.resamples)
    lines += methods()
    text = "\n".join(lines) + "\n"
    (HERE / "tables.md").write_text(text, encoding="utf-8")
    print(text)


def score_names(table: pd.DataFrame) -> list[str]:
    """Columns that rank, the default first."""
    names = [name for name in table.columns if name not in NOT_SCORES]
    return sorted(names, key=lambda name: name != DEFAULT)


def mean_rank_elsewhere(table: pd.DataFrame) -> pd.Series:
    """The trivial ranking: a candidate's mean place, in shares, in the truth of the other targets."""
    places = table.groupby("dataset")["ground_truth"].transform(lambda x: (rankdata(x) - 1) / max(1, len(x) - 1))
    sums, counts = places.groupby(table["model"]).transform("sum"), table.groupby("model")["model"].transform("count")
    return ((sums - places) / (counts - 1)).where(counts > 1)


def trust(found: dict[str, Truth]) -> list[str]:
    """How far the ground truth can be trusted."""
    lines = ["## Ground truth", "", "| target | half | candidates | splits | reliability | ceiling |", "|---|---|---:|---:|---:|---:|"]
    for name, truth in found.items():
        shape = truth.runs.shape
        lines.append(f"| {name} | {truth.half} | {shape[0]} | {shape[1]} | {truth.reliability:.2f} | {truth.ceiling:.2f} |")
    return [*lines, ""]


def averages(rows: pd.DataFrame, found: dict[str, Truth], half: str, resamples: int) -> list[str]:
    """Means over the targets with intervals, and the default's lead."""
    names = score_names(rows)
    ceiling = np.mean([truth.ceiling for truth in found.values() if truth.half == half])
    draws = bootstrap(rows, names, resamples)
    value = {name: mean_figures(rows, name) for name in names}
    count = rows["dataset"].nunique()
    lines = [
        f"## {half.capitalize()} half: means over {count} targets",
        "",
        f"Ceiling of the weighted tau: {ceiling:.2f}; 80% of it: {0.8 * ceiling:.2f}. Intervals: 95%, bootstrap over "
        "targets and candidates. Lead: the default's weighted tau less the score's, paired.",
        "",
        f"| score | {' | '.join(FIGURES)} | lead of the default |",
        f"|---|{'---:|' * (len(FIGURES) + 1)}",
    ]
    for name in sorted(names, key=lambda name: -np.nan_to_num(value[name]["weighted tau"], nan=-9)):
        cells = [cell(value[name][figure], draws[name, figure]) for figure in FIGURES]
        lead = ""
        if DEFAULT in names and name != DEFAULT:
            difference = draws[DEFAULT, "weighted tau"] - draws[name, "weighted tau"]
            lead = cell(value[DEFAULT]["weighted tau"] - value[name]["weighted tau"], difference, sign=True)
        lines.append(f"| {name} | {' | '.join(cells)} | {lead} |")
    return [*lines, ""]


def mean_figures(rows: pd.DataFrame, name: str) -> dict[str, float]:
    parts = [figures(one[name], one["ground_truth"]) for _, one in rows.groupby("dataset", sort=False)]
    return {figure: float(np.nanmean([part[figure] for part in parts])) if len(parts) else np.nan for figure in FIGURES}


def figures(score: Iterable[float], truth: Iterable[float], only: Sequence[str] = tuple(FIGURES)) -> dict[str, float]:
    x, y = np.asarray(score, float), np.asarray(truth, float)
    with np.errstate(all="ignore"):
        return {figure: FIGURES[figure](x, y) for figure in only}


def bootstrap(rows: pd.DataFrame, names: list[str], resamples: int) -> dict[tuple[str, str], np.ndarray]:
    """Means over resampled targets of resampled candidates, the same for every score, so that differences are paired."""
    rng = np.random.default_rng(0)
    targets = [one.reset_index(drop=True) for _, one in rows.groupby("dataset", sort=False)]
    found = {(name, figure): np.full(resamples, np.nan) for name in names for figure in FIGURES}
    for i in range(resamples):
        parts = []
        for place in rng.integers(len(targets), size=len(targets)):
            one = targets[place]
            parts.append(one.iloc[rng.integers(len(one), size=len(one))])
        for name in names:
            values = [figures(part[name], part["ground_truth"], ("weighted tau", "regret")) for part in parts]
            for figure in ("weighted tau", "regret"):
                known = [value[figure] for value in values if not np.isnan(value[figure])]
                found[name, figure][i] = np.mean(known) if known else np.nan
    return found


def cell(value: float, draws: np.ndarray, *, sign: bool = False) -> str:
    text = f"{value:+.2f}" if sign else f"{value:.2f}" if abs(value) >= 0.095 or value == 0 else f"{value:.3f}"
    known = draws[~np.isnan(draws)]
    if len(known) < len(draws) / 2 or np.isnan(value):
        return "" if np.isnan(value) else text
    low, high = np.quantile(known, [0.025, 0.975])
    return f"{text} [{low:+.2f}, {high:+.2f}]" if sign else f"{text} [{low:.2f}, {high:.2f}]"


def per_target(rows: pd.DataFrame, found: dict[str, Truth], half: str) -> list[str]:
    """Weighted tau by target."""
    names, targets = score_names(rows), [name for name in found if name in set(rows["dataset"])]
    lines = [f"## {half.capitalize()} half: weighted tau by target", "", f"| score | {' | '.join(targets)} |"]
    lines.append(f"|---|{'---:|' * len(targets)}")
    for name in names:
        parts = [rows[rows["dataset"] == target] for target in targets]
        values = [weighted_tau(part[name], part["ground_truth"]) for part in parts]
        lines.append(f"| {name} | {' | '.join('' if np.isnan(x) else f'{x:.2f}' for x in values)} |")
    lines.append(f"| *ceiling* | {' | '.join(f'{found[target].ceiling:.2f}' for target in targets)} |")
    return [*lines, ""]


def per_family(rows: pd.DataFrame, half: str, resamples: int) -> list[str]:
    """Mean weighted tau within each family of architectures, and between them."""
    names, families = score_names(rows), sorted(rows["family"].unique())
    lines = [
        f"## {half.capitalize()} half: weighted tau within families",
        "",
        "Means over the targets where a family has at least five candidates.",
        "",
        f"| score | {' | '.join(families)} |",
        f"|---|{'---:|' * len(families)}",
    ]
    for name in names:
        cells = [f"{within(rows, name, one):.2f}" for one in families]
        lines.append(f"| {name} | {' | '.join(cells).replace('nan', '')} |")
    return [*lines, ""]


def within(rows: pd.DataFrame, name: str, family: str) -> float:
    values = [
        weighted_tau(one[name], one["ground_truth"])
        for _, one in rows[rows["family"] == family].groupby("dataset")
        if len(one) >= LEAST
    ]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def direction(table: pd.DataFrame, resamples: int) -> list[str]:
    """Tau-b, which is antisymmetric, of AC-Corr taken as lower is better, by family and half."""
    lines = [
        "## The direction of AC-Corr",
        "",
        "Mean tau-b over the targets, with lower AC-Corr (or official AC-Corr) taken as better; 95% intervals, bootstrap "
        "over targets and candidates. Above zero: lower is better.",
        "",
        "| family | AC-Corr, one step, choosing | reported | official AC-Corr, choosing | reported |",
        "|---|---:|---:|---:|---:|",
    ]
    for family in [*sorted(table["family"].unique()), "all"]:
        cells = []
        for column, half in itertools.product(("ac_corr", "official ac_corr"), ("choosing", "reported")):
            rows = table[(table["half"] == half) & ((table["family"] == family) | (family == "all"))]
            cells.append(lowered(rows, column, resamples))
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return [*lines, ""]


def lowered(rows: pd.DataFrame, column: str, resamples: int) -> str:
    if column not in rows:
        return ""
    sign = 1 if column == "ac_corr" else -1  # results.csv has ac_corr turned already, the official one as it is
    targets = [one for _, one in rows.groupby("dataset") if len(one) >= LEAST]
    if not targets:
        return ""
    rng = np.random.default_rng(0)

    def mean(parts: Iterable[pd.DataFrame]) -> float:
        values = np.array([kendall_tau(sign * part[column], part["ground_truth"]) for part in parts])
        return float(np.mean(values[~np.isnan(values)])) if (~np.isnan(values)).any() else np.nan

    draws = [
        mean(
            one.iloc[rng.integers(len(one), size=len(one))]
            for one in (targets[place] for place in rng.integers(len(targets), size=len(targets)))
        )
        for _ in range(min(resamples, 500))
    ]
    return cell(mean(targets), np.array(draws), sign=True)


def methods() -> list[str]:
    """AC-Norm against vanilla finetuning: paired over candidates and splits."""
    one, other = truths("ac-norm"), truths("vanilla")
    lines = [
        "## AC-Norm as finetuning method",
        "",
        "Mean over the panel's candidates; difference paired by candidate and split, with a 95% t interval over the "
        "splits' means.",
        "",
        "| target | candidates | splits | vanilla | AC-Norm | difference |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, truth in one.items():
        runs = truth.runs
        known = other[name].runs.reindex(index=runs.index, columns=runs.columns).dropna()
        runs = runs.loc[known.index]
        gaps = (runs - known).mean(axis=0)
        reach = student.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
        means = f"{known.to_numpy().mean():.3f} | {runs.to_numpy().mean():.3f}"
        change = f"{gaps.mean():+.3f} [{gaps.mean() - reach:+.3f}, {gaps.mean() + reach:+.3f}]"
        lines.append(f"| {name} | {len(runs)} | {runs.shape[1]} | {means} | {change} |")
    return [*lines, ""] if one else []


if __name__ == "__main__":
    main(sys.argv[1:])
