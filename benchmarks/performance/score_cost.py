"""Cost of all scores relative to AC-Corr alone, and time saved by the cache, on the embedded zoo, as whole commands.

    python benchmarks/performance/score_cost.py [--rounds 5] [--out results.json]

Every round runs each command once, in turn, so that a busy machine slows all of them alike; figures are medians of
wall seconds and ratios of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from acrank.demo import make_target, zoo_path

COMMANDS = {
    "ac_corr alone": ["--scores", "ac_corr", "--no-cache"],
    "all scores": ["--scores", "all", "--no-cache"],
    "all scores, empty cache": ["--scores", "all"],
    "all scores, cached": ["--scores", "all"],
}


def run(target: Path, options: list[str], cache: Path) -> float:
    """Wall seconds of one command."""
    words = ["score", "--zoo", str(zoo_path()), "--data", str(target), "-o", str(cache.parent / "run.json"), *options]
    environment = {**os.environ, "ACRANK_CACHE": str(cache)}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "acrank", *words], env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "target"
        make_target(target)
        for i in range(arguments.rounds):
            for name, options in COMMANDS.items():
                seconds[name].append(run(target, options, Path(folder) / f"cache{i}"))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {
        "all scores / ac_corr alone": medians["all scores"] / medians["ac_corr alone"],
        "cached / empty cache": medians["all scores, cached"] / medians["all scores, empty cache"],
    }
    for name, values in seconds.items():
        print(f"{name:26} median {medians[name]:6.2f} s   min {min(values):6.2f}   max {max(values):6.2f}")
    for name, ratio in ratios.items():
        print(f"{name:26} {ratio:6.2f}")
    if arguments.out:
        record = {"rounds": arguments.rounds, "seconds": seconds, "medians": medians, "ratios": ratios}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
