"""Speed of two workers of one thread each relative to one worker.

Compute-bound candidates (timm networks with random weights) on the demo target, scored with `acrank score
--executor processes --threads 1` by one worker and by two in turn. The start of the processes is left out: the time is
that from the first candidate's end to the last one's, divided by the candidates that ended in between.

    python benchmarks/performance/workers.py [--candidates 12] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from made import make_zoo

from acrank.demo import make_target
from acrank.executors import ProcessExecutor
from acrank.ranking.candidates import begin_worker
from acrank.ranking.scoring import score
from acrank.settings import Settings
from acrank.zoo import Zoo, load_zoo


def main() -> None:
    """Measure, print the table and, with --json, write the JSON."""
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_target(folder / "target", n=200)
        count = given.candidates
        zoo = load_zoo(make_zoo(folder / "zoo", "resnet18", files=count, candidates=count, size=given.size))
        rounds = []
        for number in range(given.rounds):
            order = (1, 2) if number % 2 == 0 else (2, 1)  # what slows the machine down hits both alike
            rounds.append({workers: seconds(zoo, folder / "target", workers) for workers in order})
            print(f"round {number + 1} of {given.rounds}: {rounds[-1]}", file=sys.stderr)
    result = summary(rounds, given)
    print(table(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=12)
    parser.add_argument("--size", type=int, default=96, help="of the input, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def seconds(zoo: Zoo, target: Path, workers: int) -> float:
    """Seconds per candidate with `workers` warm workers of one thread each.

    The first candidate of each worker is left out: it includes the start of the process and decoding the images.
    """
    ends: list[float] = []
    with ProcessExecutor(workers, threads=1, initializer=begin_worker) as executor:
        score(
            zoo,
            target,
            Settings(samples=32, repeats=1),
            executor=executor,
            on_row=lambda *_: ends.append(time.perf_counter()),
        )
    return (ends[-1] - ends[workers - 1]) / (len(ends) - workers)


def summary(rounds: list[dict[int, float]], given: argparse.Namespace) -> dict[str, Any]:
    """Medians over the rounds, and the machine."""
    ratios = [one[1] / one[2] for one in rounds]
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}",
        "candidates": given.candidates,
        "input": given.size,
        "rounds": given.rounds,
        "seconds_per_candidate": {str(n): statistics.median(one[n] for one in rounds) for n in (1, 2)},
        "speedup": statistics.median(ratios),
        "speedups": ratios,
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    each = result["seconds_per_candidate"]
    what = f"{result['candidates']} resnet18 at {result['input']} px, medians of {result['rounds']} rounds"
    return "\n".join(
        [
            "| workers of one thread | seconds per candidate | times as fast |",
            "|---:|---:|---:|",
            f"| 1 | {each['1']:.3f} | 1.00 |",
            f"| 2 | {each['2']:.3f} | {result['speedup']:.2f} |",
            "",
            f"{what}; {result['machine']}.",
        ]
    )


if __name__ == "__main__":
    main()
