"""Time and memory of `acrank compare` on many models and scores.

    python benchmarks/comparison/speed.py [--models 1000] [--scores 20] [--resamples 1000] [--ties]

writes a random table, runs the command in a separate process and prints seconds and peak memory as JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def write_table(path: Path, models: int, scores: int, ties: bool) -> None:
    """A long table of one dataset; with `ties`, values have two decimals."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=models)
    columns = [truth, *(truth * rng.uniform(0, 1) + rng.normal(size=models) for _ in range(scores))]
    if ties:
        columns = [np.round(column, 2) for column in columns]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "ground_truth", *(f"score_{i}" for i in range(scores))])
        writer.writerows(
            [f"model_{i}", *map(repr, map(float, row))] for i, row in enumerate(zip(*columns, strict=True))
        )


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--scores", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--ties", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        write_table(table, args.models, args.scores, args.ties)
        command = [
            sys.executable,
            "-m",
            "acrank",
            "compare",
            str(table),
            "--resamples",
            str(args.resamples),
            "-f",
            "csv",
        ]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {"seconds": round(seconds, 1), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1)}
    print(json.dumps({**vars(args), **figures, "peak_mib": round(usage.ru_maxrss / 1024)}))


if __name__ == "__main__":
    main()
