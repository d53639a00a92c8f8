"""The tables of the second study, from the committed CSV files and runs.

    python -m benchmarks.transferability.study2.tables2 [--resamples 1000]

For each pool and half that have runs: results_POOL_HALF.csv (scores beside truth, as `acrank compare` reads it) and
tables.md: reliability of the truth, every score against it by the statistics of `acrank compare` with clusters.csv
(candidates of one network and source are one cluster), weighted tau by target, and the short run. Then the anytime
tables of anytime.py. A target counts once all candidates of the pool that any target has were finetuned on it, on one
split at least; what needs two, such as the reliability, is then left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from scipy.stats import t as student
from study import ceiling, reliability  # the first study's

from acrank.comparison.clusters import read_clusters
from acrank.comparison.comparing import compare
from acrank.comparison.results import Comparison, Estimate, ScoreResult
from acrank.comparison.statistics import regret_at_k, weighted_tau
from acrank.comparison.tables import read_scores

from . import HERE, anytime
from .pools import POOLS, cluster
from .protocol import MASKS, ORDER, SHORT_RATE, TARGETS, half
from .truth2 import finished, write_seeds

DEFAULT = "finetunability"
LOWER = ("ac_corr", "official ac_corr")
SHORTLISTS = (1, 3, 5)


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args(words)
    write_seeds()
    runs = pd.DataFrame(finished())
    write_clusters(sorted(runs["model"].unique()))
    lines = ["# Tables of the second study", "", "Made by tables2.py; nothing of them is written by hand.", ""]
    for pool, kinds in POOLS.items():
        own = runs[runs["kind"].isin(kinds) & (runs["method"] == "vanilla")]
        for which in ("choosing", "reported"):
            lines += section(own[own["target"].map(half) == which], pool, which, options.resamples)
    lines += methods(runs)
    text = "\n".join(lines) + "\n"
    (HERE / "tables.md").write_text(text, encoding="utf-8")
    print(text)
    for pool in POOLS:
        for which in ("choosing", "reported"):
            anytime.main(["--pool", pool, "--half", which])


def write_clusters(models: Sequence[str]) -> None:
    """clusters.csv, as `acrank compare --clusters` reads it."""
    rows = pd.DataFrame({"model": models, "cluster": [cluster(model) for model in models]})
    rows.to_csv(HERE / "clusters.csv", index=False)


def section(runs: pd.DataFrame, pool: str, which: str, resamples: int) -> list[str]:
    """The tables of one pool and half."""
    if runs.empty:
        return []
    truths = truth_of(runs)
    lines = [f"## Pool {pool}, {which} half", "", *trust(runs, truths)]
    scored = anytime.scores(which)
    rows = [joined(scored, name, truth) for name, truth in truths.items()]
    rows = [one for one in rows if len(one)]
    if not rows:
        return [*lines, "No scores yet for targets with a truth.", ""]
    path = HERE / f"results_{pool}_{which}.csv"
    pd.concat(rows).dropna(axis=1, how="all").to_csv(path, index=False, float_format="%.6g")
    found = compared(path, resamples)
    return [*lines, *averages(found), *by_target(found), *short_runs(runs[runs["target"].isin(truths)], scored)]


def truth_of(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Quality by target, models by splits, of the targets and splits that all models have."""
    found = {}
    for name in (one for one in ORDER if one in set(runs["target"])):
        table = runs[runs["target"] == name].pivot(index="model", columns="split", values="ground_truth")
        table = table.reindex(sorted(runs["model"].unique())).dropna(axis=1)
        if table.shape[1]:
            found[name] = table
    return found


def trust(runs: pd.DataFrame, truths: Mapping[str, pd.DataFrame]) -> list[str]:
    """What truth there is, and how far its splits agree."""
    body = []
    for name in (one for one in ORDER if one in set(runs["target"])):
        own = runs[runs["target"] == name]
        values = truths[name].to_numpy() if name in truths else None
        body.append(
            [
                name,
                own["model"].nunique(),
                len(own),
                0 if values is None else values.shape[1],
                *trusted(values),
                f"{values.mean(axis=1).max():.3f}" if values is not None else "",
                f"{own['cpu_seconds'].median():.1f}",
            ]
        )
    heads = ["target", "candidates", "runs", "whole splits", "reliability", "ceiling", "best", "seconds of a run"]
    return markdown(heads, body)


def trusted(values: np.ndarray | None) -> list[str]:
    """Reliability and ceiling of [models, splits], which need two splits."""
    if values is None or values.shape[1] < 2:
        return ["", ""]
    return [f"{reliability(values):.2f}", f"{ceiling(values):.2f}"]


def joined(scored: pd.DataFrame, name: str, truth: pd.DataFrame) -> pd.DataFrame:
    """Scores beside the truth's means and errors; without what is no score."""
    rows = scored[(scored["dataset"] == name) & scored["model"].isin(truth.index)].copy()
    drop = [column for column in rows if column.endswith((" seconds", " shuffled")) or column in ("kind", "reason")]
    rows = rows.drop(columns=drop)
    own = truth.loc[rows["model"]]
    rows.insert(2, "half", half(name))
    rows.insert(3, "task", "segmentation" if TARGETS[name].stratum == MASKS else "classification")
    rows.insert(4, "ground_truth", own.mean(axis=1).to_numpy())
    rows.insert(5, "ground_truth_se", (own.std(axis=1, ddof=1) / np.sqrt(own.shape[1])).to_numpy())
    rows.insert(6, DEFAULT, rows.pop(DEFAULT))  # the first score is the one that others are paired with
    return rows


def compared(path: Path, resamples: int) -> Comparison:
    """`acrank compare` of a results file, with the clusters beside it."""
    scores = read_scores(path)
    lower = {name: False for name in LOWER if name in scores.names}
    return compare(
        scores,
        higher_is_better=lower,
        versus=DEFAULT,
        top_k=SHORTLISTS,
        resamples=resamples,
        clusters=read_clusters(HERE / "clusters.csv"),
    )


def averages(found: Comparison) -> list[str]:
    """Every score and baseline, best first, with intervals over clusters."""
    results = found.averages or found.results
    body = [
        [
            f"*{one.score}*" if one.kind == "baseline" else one.score,
            shown(one.figures["weighted_tau"]),
            shown(one.difference, sign=True) if one.score != DEFAULT else "",
            *(shown(one.figures[f"regret_at_{k}"], bare=True) for k in SHORTLISTS),
            shown(one.residual, sign=True),
            shown(one.figures["kendall_tau"], sign=True),
        ]
        for one in sorted(results, key=_tau, reverse=True)
    ]
    heads = ["score", "weighted tau", f"less that of {DEFAULT}"]
    heads += [*(f"regret of the first {k}" if k > 1 else "regret" for k in SHORTLISTS), "residual correlation", "tau-b"]
    about = (
        f"Means over {len(found.datasets)} targets; baselines in italics. {' and '.join(LOWER)} are taken as better "
        "when lower: tau-b below zero says that higher is better."
    )
    return [about, "", *markdown(heads, body)]


def by_target(found: Comparison) -> list[str]:
    """Weighted tau of every score on every target."""
    names = list(dict.fromkeys(one.dataset for one in found.results))
    table = {(one.score, one.dataset): one for one in found.results if one.kind != "random"}
    scores = list(dict.fromkeys(score for score, _ in table))
    body = [[score, *(_bare(table.get((score, name))) for name in names)] for score in scores]
    return ["Weighted tau by target.", "", *markdown(["score", *names], body)]


def short_runs(runs: pd.DataFrame, scored: pd.DataFrame) -> list[str]:
    """A run at one rate on one split, and its mean of ranks with the default, judged by the other splits."""
    body = []
    for name in (one for one in ORDER if one in set(runs["target"]) & set(scored["dataset"])):
        own = runs[runs["target"] == name]
        table = own.pivot(index="model", columns="split", values="ground_truth")
        if table.shape[1] < 2:
            continue  # no other split to judge by
        truth = table.drop(columns=0).mean(axis=1)
        run = own[own["split"] == 0].set_index("model")["trials"].map(validation).reindex(truth.index)
        value = scored[scored["dataset"] == name].set_index("model")[DEFAULT].reindex(truth.index)
        known = truth.notna() & run.notna() & value.notna()
        truth, run, value = truth[known], run[known], value[known]
        both = pd.Series(rankdata(run) + rankdata(value), truth.index)
        body.append(
            [name, *(f"{weighted_tau(x, truth):.2f} ({regret_at_k(x, truth, 1):.3f})" for x in (value, run, both))]
        )
    if not body:
        return []
    heads = ["target", "default", "short run", "both"]
    about = f"Weighted tau (and regret) against the other splits of a run at rate {SHORT_RATE} on split 0."
    return [about, "", *markdown(heads, body)]


def methods(runs: pd.DataFrame) -> list[str]:
    """AC-Norm against vanilla finetuning: paired by candidate and split, with a t interval over candidates."""
    body = []
    keys = ["target", "model", "split"]
    one, other = (runs[runs["method"] == name].set_index(keys)["ground_truth"] for name in ("ac-norm", "vanilla"))
    gaps = (one - other).dropna().reset_index(name="gap").merge(runs[["model", "kind"]].drop_duplicates())
    for pool, kinds in POOLS.items():
        for name, own in gaps[gaps["kind"].isin(kinds)].groupby("target"):
            means = own.groupby("model")["gap"].mean()
            reach = student.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
            text = f"{means.mean():+.3f} [{means.mean() - reach:+.3f}, {means.mean() + reach:+.3f}]"
            body.append([pool, name, len(means), own["split"].nunique(), text])
    if not body:
        return []
    heads = ["pool", "target", "candidates", "splits", "AC-Norm less vanilla"]
    return ["## AC-Norm as finetuning method", "", *markdown(heads, body)]


def validation(trials: Sequence[Mapping[str, float]]) -> float:
    """Validation quality of the trial at SHORT_RATE; NaN where it diverged."""
    found = next(one["validation"] for one in trials if one["lr"] == SHORT_RATE)
    return np.nan if found is None else found


def shown(found: Estimate, *, sign: bool = False, bare: bool = False) -> str:
    """A figure with its interval."""
    if found.value is None:
        return ""
    if bare:
        return f"{found.value:.3f}"
    text = f"{found.value:+.2f}" if sign else f"{found.value:.2f}"
    return text if found.low is None else f"{text} [{found.low:+.2f}, {found.high:+.2f}]"


def _tau(result: ScoreResult) -> float:
    value = result.figures["weighted_tau"].value
    return -9.0 if value is None else value


def _bare(result: ScoreResult | None) -> str:
    value = None if result is None else result.figures["weighted_tau"].value
    return "" if value is None else f"{value:.2f}"


def markdown(heads: Sequence[str], body: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table, and an empty one."""
    rule = f"|---|{'---:|' * (len(heads) - 1)}"
    return [f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(map(str, row))} |" for row in body), ""]


if __name__ == "__main__":
    main(sys.argv[1:])
