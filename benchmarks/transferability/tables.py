"""Every table of the study, from the committed CSV files alone, in less than a minute.

    python benchmarks/transferability/tables.py [--resamples 500]

Prints and writes tables.md: the reliability of the ground truth; each score's statistics averaged over the targets of a
half and per target, within each family and across them; the default's lead over every other score; controls; the
direction of AC-Corr; and AC-Norm against vanilla finetuning.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from figures import FIGURES, Columns, Floats, cell, checked, figures, mean_over_targets, resampled
from scipy.stats import rankdata
from scipy.stats import t as student
from study import HERE, Truth, truths

from acrank.comparison.statistics import kendall_tau, weighted_tau

DEFAULT = "default"
SHUFFLED = " shuffled"
#: Better when lower; turned, so that higher is better in every table.
LOWER = ["ac_corr", f"ac_corr{SHUFFLED}", "official ac_corr"]
ABOUT = ("dataset", "model", "family", "width", "half", "ground_truth", "ground_truth_se")
RELIABLE = 0.8
LEAST = 5  # candidates of a family on a target
TAU = list(FIGURES).index("weighted tau")
TAU_B = list(FIGURES).index("tau-b")


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=500)
    options = parser.parse_args(words)
    table, found = pd.read_csv(HERE / "results.csv"), truths()
    table[LOWER] = -table[LOWER]
    table["mean rank elsewhere"] = mean_rank_elsewhere(table)
    lines = [
        "# Tables of the study",
        "",
        "Made by tables.py from results.csv and ground_truth_seeds.csv. `default` is the default ranking of `acrank "
        "score`, `finetunability`.",
        "",
    ]
    lines += trust(found)
    for half in ("reported", "choosing"):
        rows = table[table["half"] == half]
        lines += averages(rows, found, half, options.resamples)
        lines += per_target(rows, found, half)
        lines += per_family(rows, half)
        lines += controls(rows, half)
    lines += direction(table, options.resamples)
    lines += methods()
    text = "\n".join(lines) + "\n"
    (HERE / "tables.md").write_text(text, encoding="utf-8")
    print(text)


def score_names(table: pd.DataFrame) -> list[str]:
    """Columns that hold scores, the default first."""
    names = [name for name in table.columns if name not in ABOUT and not name.endswith(SHUFFLED)]
    return sorted((name for name in names if table[name].notna().any()), key=lambda name: name != DEFAULT)


def columns(rows: pd.DataFrame, names: Sequence[str]) -> list[Columns]:
    """The columns of scores by target."""
    return [
        Columns(tuple(one["model"]), one[list(names)].to_numpy(float).T, one["ground_truth"].to_numpy(float))
        for _, one in rows.groupby("dataset", sort=False)
    ]


def mean_rank_elsewhere(table: pd.DataFrame) -> pd.Series:
    """The trivial ranking: a candidate's mean relative rank in the truth of the other targets."""
    places = table.groupby("dataset")["ground_truth"].transform(lambda x: (rankdata(x) - 1) / max(1, len(x) - 1))
    sums, counts = places.groupby(table["model"]).transform("sum"), table.groupby("model")["model"].transform("count")
    return ((sums - places) / (counts - 1)).where(counts > 1)


def trust(found: Mapping[str, Truth]) -> list[str]:
    """Reliability of the ground truth."""
    rows = [
        [name, truth.half, *truth.runs.shape, f"{truth.reliability:.3f}", f"{truth.ceiling:.3f}"]
        for name, truth in found.items()
    ]
    count = sum(truth.reliability >= RELIABLE for truth in found.values())
    return [
        "## Ground truth",
        "",
        "Reliability: mean weighted tau between the means of two halves of the splits, over all halves; at least "
        f"{RELIABLE} on {count} of {len(found)} targets. Ceiling: of a perfect predictor against the published means.",
        "",
        *markdown(["target", "half", "candidates", "splits", "reliability", "ceiling"], rows),
    ]


def averages(rows: pd.DataFrame, found: Mapping[str, Truth], half: str, resamples: int) -> list[str]:
    """Means over the targets with intervals, and the default's lead."""
    names = score_names(rows)
    partial = [name for name in names if rows[name].isna().any()]
    # beside a score that some candidates lack, the default on the others
    beside = pd.DataFrame({f"{DEFAULT} beside {name}": rows[DEFAULT].where(rows[name].notna()) for name in partial})
    targets = columns(pd.concat([rows, beside], axis=1), [*names, *beside])
    value = mean_over_targets([checked(*one[1:]) for one in targets])
    draws = resampled(targets, resamples)
    ceiling = np.mean([truth.ceiling for truth in found.values() if truth.half == half])
    body = []
    for i in sorted(range(len(names)), key=lambda i: -np.nan_to_num(value[i, TAU], nan=-9)):
        cells = [cell(value[i, k], draws[:, i, k]) for k in range(len(FIGURES))]
        ours = len(names) + partial.index(names[i]) if names[i] in partial else 0
        lead = draws[:, ours, TAU] - draws[:, i, TAU]
        cells.append(cell(value[ours, TAU] - value[i, TAU], lead, sign=True) if names[i] != DEFAULT else "")
        body.append([names[i], *cells])
    return [
        f"## {half.capitalize()} half: means over {len(targets)} targets",
        "",
        f"Ceiling of the weighted tau: {ceiling:.2f}; 80% of it: {0.8 * ceiling:.2f}. Intervals: 95%, {resamples} "
        "bootstrap resamples of targets and of candidates, these the same on every target. Lead: the default's "
        "weighted tau less the score's, paired, on the candidates that have the score.",
        "",
        *markdown(["score", *FIGURES, "lead of the default"], body),
    ]


def per_target(rows: pd.DataFrame, found: Mapping[str, Truth], half: str) -> list[str]:
    """Weighted tau by target, and its mean over the targets with a reliable truth and over the others."""
    names, targets = score_names(rows), list(dict.fromkeys(rows["dataset"]))
    taus = np.stack([figures(*one[1:])[:, TAU] for one in columns(rows, names)], axis=1)
    sure = np.array([found[target].reliability >= RELIABLE for target in targets])
    ceilings = np.array([found[target].ceiling for target in targets])
    body = [
        [name, *(cell(x) for x in row), *(cell(mean_known(row[some])) for some in (sure, ~sure))]
        for name, row in zip([*names, "*ceiling*"], [*taus, ceilings], strict=True)
    ]
    heads = ["score", *targets, f"mean, reliability ≥ {RELIABLE}", "mean, others"]
    return [f"## {half.capitalize()} half: weighted tau by target", "", *markdown(heads, body)]


def mean_known(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def per_family(rows: pd.DataFrame, half: str) -> list[str]:
    """Mean weighted tau within each family of architectures."""
    names, families = score_names(rows), sorted(rows["family"].unique())
    within = [family_figures(rows, names, one) for one in families]
    body = [[name, *(cell(one[i, TAU]) for one in within)] for i, name in enumerate(names)]
    return [
        f"## {half.capitalize()} half: weighted tau within families",
        "",
        f"Means over the targets where a family has at least {LEAST} candidates.",
        "",
        *markdown(["score", *families], body),
    ]


def family_figures(rows: pd.DataFrame, names: Sequence[str], family: str) -> Floats:
    return mean_over_targets([figures(*one[1:]) for one in family_columns(rows, names, family)])


def family_columns(rows: pd.DataFrame, names: Sequence[str], family: str) -> list[Columns]:
    """As `columns`, of one family or of "all", without the targets where it has too few."""
    some = rows if family == "all" else rows[rows["family"] == family]
    return [one for one in columns(some, names) if len(one.models) >= LEAST]


def controls(rows: pd.DataFrame, half: str) -> list[str]:
    """Scores under shuffled labels, and the width of the networks as a score."""
    body = []
    for name in [name for name in score_names(rows) if f"{name}{SHUFFLED}" in rows]:
        parts = [one for _, one in rows.groupby("dataset")]
        taus = [
            (
                kendall_tau(one[name], one[f"{name}{SHUFFLED}"]),
                weighted_tau(one[f"{name}{SHUFFLED}"], one["ground_truth"]),
                kendall_tau(one[name], one["width"]),
                kendall_tau(one["ground_truth"], one["width"]),
            )
            for one in parts
        ]
        body.append([name, *(cell(x, sign=True) for x in np.nanmean(taus, axis=0))])
    heads = [
        "score",
        "tau-b with it under shuffled labels",
        "weighted tau of that",
        "tau-b with width",
        "truth with width",
    ]
    return [
        f"## {half.capitalize()} half: controls",
        "",
        "Before the step `default`, `affine_drift` and `gradient_norm` are 0 for every candidate, and",
        "`channel_alignment` is 1 (1/C where all affines are untouched): without drift they rank nothing but random",
        "initialisations.",
        "",
        *markdown(heads, body),
    ]


def direction(table: pd.DataFrame, resamples: int) -> list[str]:
    """Tau-b, which is antisymmetric, of AC-Corr taken as lower is better, by family and half."""
    names, body = ("ac_corr", "official ac_corr"), []
    for family in [*sorted(table["family"].unique()), "all"]:
        cells = {}
        for half in ("choosing", "reported"):
            targets = family_columns(table[table["half"] == half], names, family)
            value, draws = mean_over_targets([figures(*one[1:]) for one in targets]), resampled(targets, resamples)
            for i, name in enumerate(names):
                cells[name, half] = cell(value[i, TAU_B], draws[:, i, TAU_B], sign=True)
        body.append([family, *(cells[name, half] for name in names for half in ("choosing", "reported"))])
    heads = ["family", "AC-Corr, one step, choosing", "reported", "official AC-Corr, choosing", "reported"]
    return [
        "## The direction of AC-Corr",
        "",
        "Mean tau-b over the targets, with lower AC-Corr (one step) or lower official AC-Corr taken as better; 95% "
        "intervals over targets and candidates. Above zero: lower is better.",
        "",
        *markdown(heads, body),
    ]


def methods() -> list[str]:
    """AC-Norm against vanilla finetuning: paired over candidates and splits."""
    one, other = truths("ac-norm"), truths("vanilla")
    body = []
    for name, truth in one.items():
        known = other[name].runs.reindex(index=truth.runs.index, columns=truth.runs.columns).dropna()
        gaps = (truth.runs.loc[known.index] - known).mean(axis=0)
        reach = student.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
        means = [f"{runs.to_numpy().mean():.3f}" for runs in (known, truth.runs.loc[known.index])]
        change = f"{gaps.mean():+.3f} [{gaps.mean() - reach:+.3f}, {gaps.mean() + reach:+.3f}]"
        body.append([name, len(known), len(gaps), *means, change])
    return [
        "## AC-Norm as finetuning method",
        "",
        "Mean over the candidates of the panel; difference paired by candidate and split, with a 95% t interval over "
        "the splits' means.",
        "",
        *markdown(["target", "candidates", "splits", "vanilla", "AC-Norm", "difference"], body),
    ]


def markdown(heads: Sequence[str], body: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a Markdown table, and an empty one."""
    rule = f"|---|{'---:|' * (len(heads) - 1)}"
    return [f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(map(str, row))} |" for row in body), ""]


if __name__ == "__main__":
    main(sys.argv[1:])
