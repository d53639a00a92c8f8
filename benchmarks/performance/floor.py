"""Wall time of `acrank score` relative to a minimal script that runs the same passes.

Resnet18 candidates (random weights) on the demo target, uncached, as whole commands. The floor is a separate
script that imports the same, reads the same checkpoints, and on the same decoded batch does one forward pass and
three backward passes (cross-entropy with true and with shuffled labels, and under a second head, to the affines of all
normalisation layers), once with AC-Norm and once with plain batch normalisation, in the same memory layout (channels
last). It scores nothing and writes nothing.

Both sides run with all candidates and with one, in turn within every round: the difference between the runs with one
is the fixed cost of `acrank score` beyond the imports.

    python benchmarks/performance/floor.py [--candidates 20] [--repeats 1] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from made import machine, make_zoo, ratio, run, write_manifest

SIDES = ("acrank score", "floor, AC-Norm", "floor, batch norm")
Round = dict[tuple[str, int], dict[str, float]]  # (side, candidates) -> clock -> seconds


def main() -> None:
    """Measure, print the table and, with --json, write the JSON."""
    given = arguments()
    if given.floor:
        floor(Path(given.floor[0]), int(given.floor[1]), plain=given.floor[2] == "plain")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(make, folder, given.candidates, given.size, given.repeats).result()
        rounds = [one_round(folder, given, number) for number in range(given.rounds)]
    result = summary(rounds, given)
    print(table(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--size", type=int, default=64, help="of the input, in pixels")
    parser.add_argument("--repeats", type=int, default=1, help="draws of 128 images")
    parser.add_argument("--threads", type=int, default=1, help="of torch, on every side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--floor", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def make(folder: Path, candidates: int, size: int, repeats: int) -> None:
    """The zoo, the target, and the target's draws as `acrank score` decodes them."""
    import torch

    from acrank.demo import make_target
    from acrank.targets import open_target
    from acrank.targets.draws import make_draws
    from acrank.zoo import load_candidate, load_zoo

    make_target(folder / "target", n=200)
    zoo = load_zoo(make_zoo(folder / "zoo", "resnet18", files=candidates, candidates=candidates, size=size))
    write_manifest(folder / "zoo", "resnet18", files=1, candidates=1, size=size)
    loaded = load_candidate(zoo.candidates[0])
    target = open_target(folder / "target")
    draws = make_draws(target, samples=128, repeats=repeats, seed=0)
    batches = [
        (one.batch(loaded.input), torch.from_numpy(one.labels), torch.from_numpy(one.permutation)) for one in draws
    ]
    torch.save((len(target.classes), batches), folder / "batches.pt")


def one_round(folder: Path, given: argparse.Namespace, number: int) -> Round:
    """Every side with all candidates and with one; every other round in reverse order."""
    threads = {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    found: Round = {}
    for side in SIDES if number % 2 == 0 else SIDES[::-1]:
        for count in (given.candidates, 1):
            ran = run(words(side, folder, count, given.repeats), folder, threads)
            found[side, count] = {"seconds": ran.seconds, "cpu_seconds": ran.cpu}
            about = f"{side} of {count}: {ran.seconds:.2f} s, {ran.cpu:.2f} s of CPU"
            print(f"round {number + 1} of {given.rounds}: {about}", file=sys.stderr)
    return found


def words(side: str, folder: Path, count: int, repeats: int) -> list[str]:
    """The command of one side."""
    if side != SIDES[0]:
        return [str(Path(__file__).resolve()), "--floor", str(folder), str(count), "plain" if "batch" in side else "ac"]
    zoo, out = folder / "zoo" / f"zoo{count}.yaml", folder / "run.json"
    options = ["--repeats", str(repeats), "--samples", "128", "--no-cache", "-o", str(out)]
    return ["-m", "acrank", "score", "--zoo", str(zoo), "--data", str(folder / "target"), *options]


def floor(folder: Path, count: int, *, plain: bool) -> None:
    """The passes alone, as a script written for nothing else would run them."""
    import scipy.stats  # noqa: F401 - `acrank score` imports these, too
    import sklearn.linear_model  # noqa: F401
    import torch
    from torch.nn.functional import cross_entropy

    from acrank.norm import AffineCoNorm, convert_ac_norm
    from acrank.zoo.architectures.timm_import import import_timm

    timm = import_timm()
    classes, batches = torch.load(folder / "batches.pt", weights_only=True)
    for i in range(count):
        model = timm.create_model("resnet18", num_classes=10)
        model.load_state_dict(torch.load(folder / "zoo" / f"m{i}.pth", weights_only=True))
        model = model if plain else convert_ac_norm(model, inplace=True)
        model.to(memory_format=torch.channels_last).requires_grad_(False).train()
        kind, suffix = (torch.nn.BatchNorm2d, "") if plain else (AffineCoNorm, "_target")
        layers = [layer for layer in model.modules() if isinstance(layer, kind)]
        affines = [
            getattr(layer, f"{name}{suffix}").requires_grad_() for layer in layers for name in ("weight", "bias")
        ]
        heads = torch.randn(2, 512, classes) / 512**0.5
        for images, labels, permutation in batches:
            features = model.forward_head(model.forward_features(images), pre_logits=True)
            for truth, head, again in ((labels, 0, True), (labels[permutation], 0, True), (labels, 1, False)):
                torch.autograd.grad(cross_entropy(features @ heads[head], truth), affines, retain_graph=again)


def summary(rounds: list[Round], given: argparse.Namespace) -> dict[str, Any]:
    """Medians over the rounds, ratios within rounds, and the machine."""
    clocks = {clock: figures(rounds, given.candidates, clock) for clock in ("seconds", "cpu_seconds")}
    settings = {name: getattr(given, name) for name in ("candidates", "size", "repeats", "threads", "rounds")}
    return {**machine(), **settings, **clocks}


def figures(rounds: list[Round], count: int, clock: str) -> dict[str, Any]:
    """The figures of one clock."""
    whole = {side: [one[side, count][clock] for one in rounds] for side in SIDES}
    single = {side: [one[side, 1][clock] for one in rounds] for side in SIDES}
    further = {side: [a - b for a, b in zip(whole[side], single[side], strict=True)] for side in SIDES}
    ours = SIDES[0]
    once = {side: [a - b for a, b in zip(single[ours], single[side], strict=True)] for side in SIDES}
    return {
        "whole": {side: statistics.median(values) for side, values in whole.items()},
        "with_one_candidate": {side: statistics.median(values) for side, values in single.items()},
        "ratio_whole": {side: ratio(whole[ours], whole[side]) for side in SIDES},
        "ratio_of_the_further_candidates": {side: ratio(further[ours], further[side]) for side in SIDES},
        "beyond_the_floor_with_one": {side: statistics.median(values) for side, values in once.items()},
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = []
    for clock, title in (("seconds", "wall"), ("cpu_seconds", "CPU")):
        found = result[clock]
        lines += [
            f"| {title} | seconds | with one candidate | acrank / it | of the further candidates | once, beyond it |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for side in SIDES:
            ratios = [found[name][side]["median"] for name in ("ratio_whole", "ratio_of_the_further_candidates")]
            parts = [found["whole"][side], found["with_one_candidate"][side], *ratios]
            cells = " | ".join(f"{value:.2f}" for value in [*parts, found["beyond_the_floor_with_one"][side]])
            lines.append(f"| {side} | {cells} |")
        lines.append("")
    what = f"{result['candidates']} resnet18 at {result['size']} px, {result['repeats']} draw(s) of 128 images"
    where = f"{result['machine']}, {result['threads']} thread(s), load {result['load'][0]}"
    aims = "Aims: acrank / floor at most 1.15, and at most 0.5 s once beyond it."
    return "\n".join([*lines, aims, f"{what}; medians of {result['rounds']} rounds; {where}."])


if __name__ == "__main__":
    main()
