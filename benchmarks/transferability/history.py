"""What a history of finetuning adds to the default, on the committed study: chosen on one half, reported on the other.

    python -m benchmarks.transferability.history choosing     # the choice of rule and weight, nothing of the other half
    python -m benchmarks.transferability.history reported     # what `acrank score --history` does, against the truth

Every target in turn is the one at hand, and the vanilla finetuning of others is the history. Choosing: of the other
choosing targets. Reporting: of all others, and of the choosing half alone. Figures are mean weighted taus; intervals
are 95%, by `acrank.compare` over clusters of near-copies, what has network and source in common.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from acrank.comparison import Estimate, compare, read_truth
from acrank.comparison.csvtable import parse_csv
from acrank.comparison.statistics import weighted_tau
from acrank.comparison.tables import Scores
from acrank.history.earlier import TASK_OF_METRIC, EarlierResults, History, identified, results_in
from acrank.history.priors import priors_of
from acrank.records import Prior
from acrank.records.borda import borda
from acrank.records.joint import HALF_WEIGHT, expectations
from benchmarks.transferability.study2.pools import cluster

HERE = Path(__file__).parent
RULES = ("any task", "same task first")
#: The most that earlier targets weigh beside the score, and how many give half of that.
WEIGHTS, HALVES = (0.5, 1, 2), (0, 1, 2, 4, 8)


#: Target -> ranking -> model -> value.
Rankings = dict[str, dict[str, dict[str, float]]]


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", choices=("choosing", "reported"))
    options = parser.parse_args(words)
    table = pd.read_csv(HERE / "results.csv")
    print(*(choice(table) if options.half == "choosing" else report(table)), sep="\n")


def earlier_results() -> list[EarlierResults]:
    """The vanilla finetuning of every target, as `--history` reads it."""
    seeds = pd.read_csv(HERE / "ground_truth_seeds.csv")
    text = seeds[seeds["method"] == "vanilla"].to_csv(index=False)
    return identified(results_in(parse_csv(text, HERE / "ground_truth_seeds.csv")))


@cache
def metrics() -> dict[str, str]:
    """Target -> quality measure, which tells the task."""
    return dict(pd.read_csv(HERE / "ground_truth_seeds.csv")[["dataset", "metric"]].itertuples(index=False))


def history_of(results: Sequence[EarlierResults], targets: Sequence[str]) -> History:
    return History(files={}, results=[one for one in results if one.target in targets])


def priors_for(history: History, target: str, models: Sequence[str], rule: str) -> dict[str, Prior]:
    """What a history says on a target; where the task is not known, all targets count."""
    task = TASK_OF_METRIC[metrics()[target]] if rule == RULES[1] else ""
    return dict(priors_of(history, dict.fromkeys(models), name=target, task=task).priors)


def choice(table: pd.DataFrame) -> Iterator[str]:
    """Mean weighted tau over the choosing half of every rule and weight, best first; its truth alone is looked at."""
    rows = table[table["half"] == "choosing"]
    targets = list(rows["dataset"].unique())
    history = history_of(earlier_results(), targets)
    parts = {str(target): one for target, one in rows.groupby("dataset")}
    found = []
    for rule in RULES:
        priors = {target: priors_for(history, target, list(one["model"]), rule) for target, one in parts.items()}
        for most, half in itertools.product(WEIGHTS, HALVES):
            taus = []
            for target, one in parts.items():
                shares = borda(dict(zip(one["model"], one["default"], strict=True)), higher_is_better=True)
                joint = [_weighed(share, priors[target].get(model), most, half) for model, share in shares.items()]
                taus.append(weighted_tau(joint, list(one["ground_truth"])))
            found.append((sum(taus) / len(taus), rule, most, half))
    yield f"{len(found)} combinations on {len(targets)} targets: mean weighted tau, rule, most weight, half of it at"
    yield from (f"{tau:.4f}  {rule}, {most}, {half} targets" for tau, rule, most, half in sorted(found, reverse=True))
    yield f"the package: {RULES[1]}, 1, {HALF_WEIGHT} targets"


def _weighed(share: float, prior: Prior | None, most: float, half: int) -> float:
    weight = 0.0 if prior is None else most * prior.targets / (prior.targets + half)
    return round(share if prior is None else (share + weight * prior.value) / (1 + weight), 12)


def report(table: pd.DataFrame) -> Iterator[str]:
    """The default, histories, and both as the package joins them: means over the targets of each half."""
    for half in ("reported", "choosing"):
        yield from _measured(half, rankings(table, half))


def rankings(table: pd.DataFrame, half: str) -> Rankings:
    """Target of a half -> ranking -> model -> value; higher is better."""
    results = earlier_results()
    histories = {"all other targets": history_of(results, list(table["dataset"]))}
    histories["the choosing half"] = history_of(results, list(table[table["half"] == "choosing"]["dataset"]))
    found: Rankings = {}
    for target, one in table[table["half"] == half].groupby("dataset", sort=False):
        default = dict(zip(one["model"], one["default"], strict=True))
        shares = borda(default, higher_is_better=True)
        columns = found.setdefault(str(target), {"default": default})
        for (where, history), rule in itertools.product(histories.items(), RULES):
            priors = priors_for(history, str(target), list(default), rule)
            columns[f"history of {where}, {rule}"] = {model: prior.value for model, prior in priors.items()}
            columns[f"default + history of {where}, {rule}"] = expectations(shares, priors)
    return found


def _measured(half: str, columns: Rankings) -> Iterator[str]:
    models = {target: list(found["default"]) for target, found in columns.items()}
    truth = read_truth(HERE / "results.csv")
    found = compare(
        Scores(half, columns, models, higher_is_better={}),
        truth,
        versus="default",
        clusters={model: cluster(model) for names in models.values() for model in names},
    )
    yield f"\n## {half.capitalize()} half, {len(columns)} targets\n"
    yield "| ranking | weighted tau | over the default |\n|---|---:|---:|"
    for one in found.averages:
        if one.kind == "score":
            yield f"| {one.score} | {_cell(one.figures['weighted_tau'])} | {_cell(one.difference, sign='+')} |"


def _cell(figure: Estimate, sign: str = "") -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return ""
    return f"{figure.value:{sign}.3f} [{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"


if __name__ == "__main__":
    main(sys.argv[1:])
