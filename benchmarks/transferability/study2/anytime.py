"""The anytime curve: how far the pick is behind the best, against the share of the seconds that finetuning all takes.

    python -m benchmarks.transferability.study2.anytime [--half choosing] [--pool a]

Reads the runs (runs.jsonl) and, where there are, the scores with their seconds (scores.csv); writes
anytime_POOL_HALF.csv, .md and .svg beside this file. Everything is read off finetuning that was done: see courses.py.
The pick is judged by the truth of the other splits, or by its own split's while there is no other, which the table
says. `history` is the mean rank of a candidate in the truth of the half's other targets. Intervals: 95%, over
resampled targets. A target counts once all candidates that any target has were finetuned on it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from . import HERE
from .courses import (
    HISTORY,
    WITH_HISTORY,
    Bench,
    Course,
    Floats,
    full_at_random,
    full_in_order,
    halving_alone,
    halving_of_half,
    refine,
    score_alone,
)
from .pools import POOLS
from .protocol import RATES, SHORT_RATE, half
from .truth2 import finished

SHARES = np.array([0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0])
ORDERS, RESAMPLES, FEWEST = 100, 2000, 3
SCORES = {"default": "finetunability", "LogME": "logme", "kNN": "knn"}
REFERENCE = "halving of all, three rates"
ALL_RATES, ONE_RATE = tuple(range(len(RATES))), (RATES.index(SHORT_RATE),)
Runs = list[dict[str, Any]]
Strategy = Callable[[Course], None]


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("choosing", "reported"), default="choosing")
    parser.add_argument("--pool", choices=tuple(POOLS), default="a")
    options = parser.parse_args(words)
    kinds = POOLS[options.pool]
    runs = [one for one in finished() if half(one["target"]) == options.half and one["kind"] in kinds]
    known = scores(options.half)
    benches = benches_of([one for one in runs if one["method"] == "vanilla"], known)
    if not benches or known.empty:
        print(f"no target of the {options.half} half has runs and scores of pool {options.pool} yet")
        return
    write(f"anytime_{options.pool}_{options.half}", curves(benches), benches)


def scores(wanted: str) -> pd.DataFrame:
    """The scores that there are of a half's targets, with their seconds."""
    path = HERE / "scores.csv"
    if not path.exists():
        return pd.DataFrame(columns=["dataset", "model"])
    table = pd.read_csv(path)
    return table[table["dataset"].map(half) == wanted]


def benches_of(runs: Runs, scored: pd.DataFrame) -> dict[str, list[Bench]]:
    """The benches of every target, one per split that all its candidates have."""
    table = pd.DataFrame(runs)
    if table.empty:
        return {}
    truth = table.pivot_table(index="model", columns="target", values="ground_truth", aggfunc="mean")
    found = {}
    for name, own in table.groupby("target"):
        if len(scored) and not (scored["dataset"] == name).any():
            continue  # once there are scores, strategies are compared on the targets that have them
        counts = own.groupby("split")["model"].nunique()
        whole = [split for split, count in counts.items() if count == table["model"].nunique()]
        own_scores = scored[(scored["dataset"] == name) & scored["model"].isin(table["model"])]  # not of other pools
        rankings = {**_history(truth, str(name)), **_by_score(own_scores)}
        found[str(name)] = [bench_of(own, split, whole, rankings) for split in whole]
    return {name: own for name, own in found.items() if own}


def _history(truth: pd.DataFrame, target: str) -> dict[str, tuple[pd.Series, float]]:
    """Mean relative rank in the truth of other targets, which costs nothing here; none for a single target."""
    others = truth.drop(columns=target).dropna(axis=1)
    if others.empty:
        return {}
    places = others.rank(ascending=False).sub(1) / (len(others) - 1)
    return {HISTORY: (places.mean(axis=1), 0.0)}


def _by_score(rows: pd.DataFrame) -> dict[str, tuple[pd.Series, float]]:
    """Ranks by each of SCORES, and the seconds of computing it for all candidates."""
    found = {}
    for name, column in SCORES.items():
        if column in rows and rows[column].notna().any():
            own = rows.set_index("model")
            found[name] = (own[column].rank(ascending=False), float(own[f"{column} seconds"].sum()))
    return found


def bench_of(
    runs: pd.DataFrame, split: int, whole: Sequence[int], rankings: Mapping[str, tuple[pd.Series, float]]
) -> Bench:
    """One split as a bench; every ranking and, where there is a history, its mean with each."""
    here = runs[runs["split"] == split].sort_values("model").set_index("model")
    others = [other for other in whole if other != split] or [split]
    judged = runs[runs["split"].isin(others)].groupby("model")["ground_truth"].mean().reindex(here.index)
    ranks = {
        name: rankdata(ranks.reindex(here.index).fillna(np.inf)) for name, (ranks, _) in rankings.items()
    }  # a candidate without a value comes last
    costs = {name: seconds for name, (_, seconds) in rankings.items()}
    for name in [name for name in ranks if name != HISTORY and HISTORY in ranks]:
        ranks[f"{name}{WITH_HISTORY}"], costs[f"{name}{WITH_HISTORY}"] = ranks[name] + ranks[HISTORY], costs[name]
    return Bench(
        quality=judged.to_numpy(float),
        curves=[[so_far(trial["curve"]) for trial in trials] for trials in here["trials"]],
        seconds=np.array(
            [epoch_seconds(own, trials) for own, trials in zip(here["epoch_seconds"], here["trials"], strict=True)]
        ),
        ranks=ranks,
        costs=costs,
    )


def so_far(curve: Sequence[Sequence[float] | None]) -> Floats:
    """The best validation quality after every epoch; an epoch that diverged adds nothing."""
    values = np.array([point[0] if point else -np.inf for point in curve])
    return np.asarray(np.maximum.accumulate(values))


def epoch_seconds(measured: Sequence[Sequence[float]], trials: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of an epoch: the median, as the first epoch of a trial holds other work too."""
    known = [second for own in measured for second in own]
    if not known:
        raise ValueError(f"no seconds are known of {sum(trial['epochs'] for trial in trials)} epochs")
    return float(np.median(known))


def strategies(rankings: Sequence[str]) -> dict[str, Strategy]:
    """The strategies that some rankings allow, by name."""
    found: dict[str, Strategy] = {
        "full finetuning, random order": full_at_random,
        REFERENCE: partial(halving_alone, rates=ALL_RATES),
        "halving of all, one rate": partial(halving_alone, rates=ONE_RATE),
    }
    for name in rankings:
        found[f"{name} alone"] = partial(score_alone, ranking=name)
        found[f"{name}, then refine its first 5"] = partial(refine, ranking=name, rates=ALL_RATES)
        found[f"{name}, then refine its first 5, joined by ranks"] = partial(
            refine, ranking=name, rates=ALL_RATES, joined=True
        )
        found[f"{name}, then halving of its better half"] = partial(halving_of_half, ranking=name, rates=ALL_RATES)
        found[f"{name}, then full finetuning in its order"] = partial(full_in_order, ranking=name)
    return found


def curves(benches: Mapping[str, Sequence[Bench]]) -> dict[str, Floats]:
    """Mean regret of every strategy, [targets, shares]; of those that every bench allows."""
    everywhere = set.intersection(*(set(bench.ranks) for own in benches.values() for bench in own))
    names = [name for name in next(iter(benches.values()))[0].ranks if name in everywhere]
    return {
        name: np.array([np.mean([_mean_regrets(strategy, bench) for bench in own], axis=0) for own in benches.values()])
        for name, strategy in strategies(names).items()
    }


def _mean_regrets(strategy: Strategy, bench: Bench) -> Floats:
    """Regrets at SHARES of finetuning all; means over random orders, where a strategy draws any."""
    found = []
    for seed in range(ORDERS):
        course = Course(bench, rng := np.random.default_rng(seed))
        strategy(course)
        found.append(course.regrets(SHARES * bench.whole))
        if rng.bit_generator.state == np.random.default_rng(seed).bit_generator.state:
            break  # nothing was drawn: every order is the same
    return np.asarray(np.mean(found, axis=0))


def write(stem: str, found: Mapping[str, Floats], benches: Mapping[str, Sequence[Bench]]) -> None:
    """The table as CSV and Markdown, and the figure."""
    frame = pd.DataFrame({name: values.mean(axis=0) for name, values in found.items()}, index=SHARES).T
    frame.to_csv(HERE / f"{stem}.csv", index_label="strategy", float_format="%.5f")
    text = "\n".join(markdown(found, benches)) + "\n"
    (HERE / f"{stem}.md").write_text(text, encoding="utf-8")
    draw(found, HERE / f"{stem}.svg")
    print(text)


def markdown(found: Mapping[str, Floats], benches: Mapping[str, Sequence[Bench]]) -> list[str]:
    """Regrets, and each strategy's lead over halving without a score, with intervals over targets."""
    heads = [f"{share:.1%}" for share in SHARES]
    lone = [name for name, own in benches.items() if len(own) < 2]
    seconds = np.mean([bench.whole for own in benches.values() for bench in own])
    lines = [
        f"Mean regret of the pick on {len(benches)} targets ({', '.join(benches)}) by the share of the seconds of",
        f"finetuning all at three rates, {seconds:.0f} on average."
        + (f" Judged by the split that validated it on {', '.join(lone)}." if lone else ""),
        "",
        f"| strategy | {' | '.join(heads)} |",
        f"|---|{'---:|' * len(heads)}",
    ]
    for name, values in found.items():
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in values.mean(axis=0))} |")
    lines += ["", f"Regret of *{REFERENCE}* less the strategy's; above zero the strategy is better.", ""]
    lines += [f"| strategy | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name, values in found.items():
        if name != REFERENCE:
            lines.append(f"| {name} | {' | '.join(gap(column) for column in (found[REFERENCE] - values).T)} |")
    return lines


def gap(values: Floats) -> str:
    """A mean over targets, with its 95% interval where there are at least FEWEST."""
    if len(values) < FEWEST:
        return f"{values.mean():+.3f}"
    rng = np.random.default_rng(0)
    draws = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def draw(found: Mapping[str, Floats], path: Path) -> None:
    """The figure: regret against the share of seconds, on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for name, values in found.items():
        if "better half" not in name and "in its order" not in name:
            axes.step(100 * SHARES, values.mean(axis=0), where="post", label=name)
    axes.set(xscale="log", xlabel="seconds, % of finetuning all", ylabel="regret of the pick", ylim=(0, None))
    axes.legend(fontsize=7)
    with mpl.rc_context({"svg.hashsalt": "acrank", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    main(sys.argv[1:])
