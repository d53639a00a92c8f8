"""Vanilla finetuning against AC-Norm, L2-SP and BSS on real data, classification and segmentation.

    python benchmarks/finetuning/real.py [STUDY...] [--shared FOLDER] [--work FOLDER]

A CIFAR-10 ResNet-20 on breast ultrasound and chest X-rays, a W-Net trained on the HRF retinas on DRIVE's vessels and on
membranes in electron microscopy; three seeds each, each with another split. Writes real/STUDY.csv and .json beside
this file, and real.md from all studies found there. After an interruption it continues where it stopped. Needs the
checkpoints and data that README.md names.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import t as student

from acrank.cli.finetune import write
from acrank.finetuning import FinetuneSettings, Outcome, Results, finetune
from acrank.finetuning.splits import open_splits
from acrank.zoo import load_zoo

HERE = Path(__file__).parent
CHECKPOINTS = HERE.parent / "real_checkpoints"
METHODS = ("vanilla", "ac-norm", "l2-sp", "bss")
SPLITS = 3
IMAGES = FinetuneSettings(lrs=[0.1, 0.03, 0.01], epochs=15, patience=5, batch_size=32, allow_code=True, device="cpu")
#: DRIVE's 20 images become 11 to train on, 3 to choose the learning rate and epoch on, and 6 to test on.
MASKS = FinetuneSettings(
    lrs=[0.1, 0.03], epochs=12, patience=4, patches=4, val_share=0.15, allow_code=True, device="cpu"
)


@dataclass(frozen=True)
class Study:
    """A model of a manifest of real_checkpoints/, finetuned on a target."""

    manifest: str
    model: str
    target: str
    settings: FinetuneSettings


STUDIES = {
    "busi": Study("model_zoo.yaml", "resnet20-cifar10", "busi", IMAGES),
    "pneumoniamnist": Study("model_zoo.yaml", "resnet20-cifar10", "pneumoniamnist.npz", IMAGES),
    "drive": Study("segmentation_finetuning.yaml", "big-wnet-hrf-av", "drive", MASKS),
    "isbi_em": Study("segmentation_finetuning.yaml", "big-wnet-hrf-av", "isbi_em", MASKS),
}


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(STUDIES)}; all without")
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--work", type=Path, default=HERE / "real.work")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    for name in options.studies or STUDIES:
        run(name, options.shared, options.work)
    (HERE / "real.md").write_text(report())


def run(name: str, shared: Path, work: Path) -> None:
    """Do the runs that are missing; results are written after every run."""
    study = STUDIES[name]
    zoo = load_zoo(CHECKPOINTS / study.manifest).select([study.model])
    target = open_splits(shared / "data" / study.target)
    (HERE / "real").mkdir(exist_ok=True)
    paths = (HERE / "real" / f"{name}.csv", HERE / "real" / f"{name}.json")

    def keep(results: Results, outcome: Outcome) -> None:
        print(*outcome.cells(), outcome.reason, file=sys.stderr, flush=True)
        write(results, paths)

    settings = study.settings
    write(
        finetune(zoo, target, METHODS, settings, work_dir=work / name, splits=SPLITS, resume=True, on_result=keep),
        paths,
    )


def report() -> str:
    """A table of means and standard errors, and of each method's paired difference to vanilla with its 95% interval."""
    lines = [
        "| target | metric | method | runs | mean | se | minus vanilla | 95% interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in STUDIES:
        path = HERE / "real" / f"{name}.csv"
        if path.exists():
            with path.open() as file:
                lines += rows_of(name, list(csv.DictReader(file)))
    return "\n".join(lines) + "\n"


def rows_of(name: str, rows: list[dict[str, str]]) -> list[str]:
    """The lines of one study; methods are compared on the splits of both."""
    found = {(row["method"], row["split"]): float(row["ground_truth"]) for row in rows if row["ground_truth"]}
    splits = sorted({row["split"] for row in rows})
    out = []
    for method in METHODS:
        values = [found[method, split] for split in splits if (method, split) in found]
        gaps = [found[method, split] - found["vanilla", split] for split in splits if (method, split) in found]
        if len(values) < 2:
            continue
        cells = [name, rows[0]["metric"], method, str(len(values))]
        cells += [f"{statistics.mean(values):.3f}", f"{se_of(values):.3f}"]
        if method == "vanilla":
            cells += ["", ""]
        else:
            middle, reach = statistics.mean(gaps), float(student.ppf(0.975, len(gaps) - 1)) * se_of(gaps)
            cells += [f"{middle:+.3f}", f"[{middle - reach:+.3f}, {middle + reach:+.3f}]"]
        out.append(f"| {' | '.join(cells)} |")
    return out


def se_of(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


if __name__ == "__main__":
    main(sys.argv[1:])
