"""Vanilla finetuning against AC-Norm, L2-SP and BSS on real data: a CIFAR-10 ResNet-20 on two medical targets.

    python benchmarks/finetuning/real.py [--shared FOLDER] [--work FOLDER]

Finetunes the ResNet-20 of benchmarks/real_checkpoints on data/busi and data/pneumoniamnist.npz with three seeds, each
on a split of its own, and writes real.csv, real.json and real.md beside this file. A run that was killed goes on when
it is started again. Needs the checkpoints and data that the README of benchmarks/ names.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
from pathlib import Path

import torch
from scipy.stats import t as student

from acrank.cli.finetune import write
from acrank.finetuning import FinetuneSettings, Outcome, Results, finetune
from acrank.finetuning.opening import open_parts
from acrank.zoo import load_zoo

HERE = Path(__file__).parent
MANIFEST = HERE.parent / "real_checkpoints" / "model_zoo.yaml"
TARGETS = ("busi", "pneumoniamnist.npz")
METHODS = ("vanilla", "ac-norm", "l2-sp", "bss")
SPLITS = 3
SETTINGS = FinetuneSettings.of(
    lrs=[0.1, 0.03, 0.01], epochs=15, patience=5, batch_size=32, allow_code=True, device="cpu"
)


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--work", type=Path, default=HERE / "real.work")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    zoo = load_zoo(MANIFEST).select(["resnet20-cifar10"])
    outcomes: list[Outcome] = []
    for name in TARGETS:
        target = open_parts(options.shared / "data" / name)
        results = finetune(
            zoo, target, METHODS, SETTINGS, work_dir=options.work / name, splits=SPLITS, resume=True, on_result=tell
        )
        outcomes += results.outcomes
    whole = Results(outcomes, SETTINGS.record(), results.environment)
    write(whole, (HERE / "real.csv", HERE / "real.json"))
    (HERE / "real.md").write_text(report(outcomes))


def tell(_: Results, outcome: Outcome) -> None:
    print(*outcome.cells(), outcome.reason, file=sys.stderr, flush=True)


def report(outcomes: list[Outcome]) -> str:
    """A table of means and standard errors, and of each method's paired difference to vanilla with its 95% interval."""
    lines = ["| target | method | mean | se | minus vanilla | 95% interval |", "|---|---|---|---|---|---|"]
    for dataset, method in itertools.product(dict.fromkeys(one.dataset for one in outcomes), METHODS):
        values, plain = (values_of(outcomes, dataset, name) for name in (method, "vanilla"))
        gaps = [value - other for value, other in zip(values, plain, strict=True)]
        cells = [f"{statistics.mean(values):.3f}", f"{se_of(values):.3f}"]
        if method == "vanilla":
            cells += ["", ""]
        else:
            middle, reach = statistics.mean(gaps), float(student.ppf(0.975, len(gaps) - 1)) * se_of(gaps)
            cells += [f"{middle:+.3f}", f"[{middle - reach:+.3f}, {middle + reach:+.3f}]"]
        lines.append(f"| {dataset} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def values_of(outcomes: list[Outcome], dataset: str, method: str) -> list[float]:
    """Ground truth by split and seed; a failed run ends the report."""
    rows = [one for one in outcomes if (one.dataset, one.method) == (dataset, method)]
    failed = next((one for one in rows if one.ground_truth is None), None)
    if failed is not None:
        raise SystemExit(f"{method} failed on {dataset}: {failed.reason}")
    return [one.ground_truth for one in rows if one.ground_truth is not None]


def se_of(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


if __name__ == "__main__":
    main(sys.argv[1:])
