"""How time and memory grow with target and zoo, and how long a start takes: three ratios of whole commands.

1. Wall time of `acrank score` on a target of 200,000 images (28×28, uint8, .npz and HDF5) over one of 2,000, the same
   number of them sampled.
2. Peak memory of `acrank score` on 200 candidates over 10 (resnet10t; the checkpoints of both are the same files).
3. `acrank --help` and `acrank zoo list` over a bare `python -c "import typer, rich"`; and whether they import torch.

Both sides of a ratio run in turn within every round; a ratio is the median over rounds of the ratio within a round.

    python benchmarks/performance/growth.py [--rounds 5] [--only target|zoo|start] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from made import Ran, machine, make_zoo, ratio, run, write_manifest

IMAGES = (200_000, 2_000)
CANDIDATES = (200, 10)
SIDE = 28
STARTS = {"acrank --help": ["--help"], "acrank zoo list": ["zoo", "list", "--zoo", "zoo10.yaml"]}
BARE = 'python -c "import typer, rich"'
AIMS = {"target": 1.5, "zoo": 1.1, "start": 3.0}
HEAVY = ("torch", "timm", "pandas", "h5py")


def main() -> None:
    """Measure, print the tables and, with --json, write the JSON."""
    given = arguments()
    threads = {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    result: dict[str, Any] = {**machine(), "threads": given.threads}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(make, folder).result()
        for part, measure in PARTS.items():
            if given.only in (None, part):
                result[part] = measure(folder, given.rounds, threads)
                print(table(part, result[part]))
    print(
        f"Medians of {given.rounds} rounds; {result['machine']}, {given.threads} thread(s), load {result['load'][0]}."
    )
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch, on every side")
    parser.add_argument("--only", choices=list(AIMS))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def make(folder: Path) -> None:
    """The zoos and the targets: images of noise, brighter by class."""
    import h5py
    import numpy as np

    make_zoo(folder, "resnet10t", files=10, candidates=10, size=32)
    for count in (3, *CANDIDATES):
        write_manifest(folder, "resnet10t", files=10, candidates=count, size=32)
    random = np.random.default_rng(0)
    for count in IMAGES:
        labels = random.integers(0, 5, count)
        images = random.integers(0, 128, (count, SIDE, SIDE), dtype=np.uint8)
        images += (20 * labels).astype(np.uint8)[:, None, None]
        np.savez(folder / f"{count}.npz", images=images, labels=labels)
        with h5py.File(folder / f"{count}.h5", "w") as file:
            file["images"], file["labels"] = images, labels


def grow_target(folder: Path, rounds: int, threads: Mapping[str, str]) -> list[dict[str, Any]]:
    """Many images relative to few: three candidates, three draws of 128 images, uncached."""

    def command(name: str) -> list[str]:
        return score(folder, 3, name, ["--samples", "128"])

    rows = []
    for suffix in (".npz", ".h5"):
        sides = {f"{count}{suffix}": command(f"{count}{suffix}") for count in IMAGES}
        found = in_turn(sides, folder, rounds, threads)
        rows += [compared(found, *sides, clock) for clock in ("seconds", "cpu")]
    return rows


def grow_zoo(folder: Path, rounds: int, threads: Mapping[str, str]) -> list[dict[str, Any]]:
    """Many candidates relative to few: one draw of 32 images, uncached."""
    options = ["--samples", "32", "--repeats", "1"]
    sides = {f"{count} candidates": score(folder, count, f"{IMAGES[1]}.npz", options) for count in CANDIDATES}
    return [compared(in_turn(sides, folder, rounds, threads), *sides, "peak")]


def start(folder: Path, rounds: int, threads: Mapping[str, str]) -> list[dict[str, Any]]:
    """The commands that compute nothing, relative to a bare import; quick, so five times the rounds."""
    ours = {name: ["-m", "acrank", *words] for name, words in STARTS.items()}
    found = in_turn({**ours, BARE: ["-c", "import typer, rich"]}, folder, 5 * rounds, threads)
    rows = [compared(found, name, BARE, clock) for name in ours for clock in ("seconds", "cpu")]
    return [{**row, "imports": heavy_imports(folder, STARTS[row["above"]])} for row in rows]


PARTS: dict[str, Callable[[Path, int, Mapping[str, str]], list[dict[str, Any]]]] = {
    "target": grow_target,
    "zoo": grow_zoo,
    "start": start,
}


def score(folder: Path, candidates: int, target: str, options: Sequence[str]) -> list[str]:
    """The arguments of one `acrank score`."""
    zoo = folder / f"zoo{candidates}.yaml"
    words = ["score", "--zoo", str(zoo), "--data", str(folder / target), "--no-cache", "-o", str(folder / "run.json")]
    return ["-m", "acrank", *words, *options]


def in_turn(
    sides: Mapping[str, Sequence[str]], folder: Path, rounds: int, threads: Mapping[str, str]
) -> dict[str, list[Ran]]:
    """Every side once in a round, every other round in reverse order."""
    found: dict[str, list[Ran]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(run(sides[name], folder, threads))
            ran = found[name][-1]
            print(f"{name}: {ran.seconds:.2f} s, {ran.cpu:.2f} s of CPU, {ran.peak:.0f} MiB", file=sys.stderr)
    return found


def compared(found: Mapping[str, Sequence[Ran]], above: str, below: str, figure: str) -> dict[str, Any]:
    """One row: medians of both sides and their ratio."""
    values = {name: [getattr(ran, figure) for ran in found[name]] for name in (above, below)}
    medians = {name: statistics.median(side) for name, side in values.items()}
    return {"above": above, "below": below, "figure": figure, "medians": medians, "ratio": ratio(*values.values())}


def heavy_imports(folder: Path, words: Sequence[str]) -> list[str]:
    """The heavy packages that a command imports."""
    code = (
        "import sys; from acrank.cli import main; "
        f"main({list(words)!r}); print('\\n' + ','.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    return [name for name in run(["-c", code], folder).output.splitlines()[-1].split(",") if name]


def table(part: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    units = {"seconds": "wall, s", "cpu": "CPU, s", "peak": "peak, MiB"}
    lines = [f"| {part} (aim {AIMS[part]}) | | above | below | ratio |", "|---|---|---:|---:|---:|"]
    for row in rows:
        above, below = row["medians"].values()
        extra = f", imports {', '.join(row['imports']) or 'none of the heavy'}" if "imports" in row else ""
        cells = f"{above:.3f} | {below:.3f} | {row['ratio']['median']:.3f}"
        lines.append(f"| {row['above']} / {row['below']}{extra} | {units[row['figure']]} | {cells} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
