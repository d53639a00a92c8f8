"""A zoo of many kinds of large networks in one command, alone and beside a process that holds nearly all memory.

    python benchmarks/real_size/mixed.py [--only NAME,…] [--leave 4GB] [--score-options "…"] [--shared FOLDER]
        [--out mixed.json]

The image networks of memory.py, with drawn weights, are ranked for data/busi by one `acrank score` with its defaults.
Then again, while another process holds all that is free but for --leave, so that a pass that took 12 GB would be killed
by the kernel. Prints each row's values, the peak memory of both commands, and in what the rows differ. Exit status 1
where a row is missing, not scored, or differs by more than rounding.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from children import Scored, must, one_manifest, run, score, size_of, values_of
from drawn import IMAGES, NETWORKS
from memory import HERE, difference, made

#: Takes so many bytes, writes to every page, says so, and holds them until its input ends.
HOG = """
import sys
held = bytearray(int(sys.argv[1]))
for place in range(0, len(held), 4096):
    held[place] = 1
print("held", flush=True)
sys.stdin.read()
"""


def main() -> int:
    """Score twice, compare, print."""
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = given.shared / "data" / "busi"
        data = data if data.is_dir() else made(IMAGES, folder)
        manifest = drawn(given.only, folder)
        alone = score(manifest, data, folder, options=given.score_options)
        print(f"alone: {summary(alone)}", file=sys.stderr)
        with hog(given.leave) as held:
            beside = score(manifest, data, folder, options=given.score_options)
        print(f"beside {held / 1e9:.1f} GB: {summary(beside)}", file=sys.stderr)
    networks = {network: compared(network, alone, beside) for network in given.only}
    result = {
        "held": held,
        "alone": summary(alone),
        "beside": summary(beside),
        "networks": networks,
    }
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    for network, one in networks.items():
        print(f"{network}: {one}")
    fine = alone.ended.status == beside.ended.status == 0
    return int(not (fine and all(one["beside to alone"].startswith("equal") for one in networks.values())))


def arguments() -> argparse.Namespace:
    """The command line."""
    images = [name for name, network in NETWORKS.items() if network.kind == IMAGES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=images, help="timm's names")
    parser.add_argument("--leave", type=size_of, default=4 * 10**9, help="memory that stays free (4GB)")
    parser.add_argument("--score-options", type=shlex.split, default=[], help='such as "--samples 32"')
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared", help="with data/busi")
    parser.add_argument("--out", type=Path, help="JSON, such as mixed.json")
    return parser.parse_args()


def drawn(networks: list[str], folder: Path) -> Path:
    """One manifest of them all, with drawn weights."""
    for network in networks:
        must(run([str(HERE / "drawn.py"), "network", network, str(folder / network)], folder))
    return one_manifest([folder / network / "model_zoo.yaml" for network in networks], folder / "model_zoo.yaml")


@contextmanager
def hog(leave: int) -> Iterator[int]:
    """Inside this context another process holds all free memory but `leave` bytes; gives how many it holds."""
    size = max(0, psutil.virtual_memory().available - leave)
    process = subprocess.Popen([sys.executable, "-c", HOG, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield size
    finally:
        process.stdin.close()
        process.wait()


def summary(scored: Scored) -> dict[str, Any]:
    """Rows, how the command ended, its seconds and its peak memory."""
    rows = [row for row in scored.rows if row["status"] == "scored"]
    return {
        "scored": len(rows),
        "exit": scored.ended.status,
        "seconds": round(scored.ended.seconds, 1),
        "peak_mb": round(scored.ended.peak),
        "draws": sum(scored.draws(row) for row in rows),
    }


def compared(network: str, alone: Scored, beside: Scored) -> dict[str, Any]:
    """The values of a network's row, and in what the other run's differ."""
    found = [told(network, one) for one in (alone, beside)]
    return {**found[0], "beside to alone": difference(*found)}


def told(network: str, scored: Scored) -> dict[str, Any]:
    """The row of a network."""
    row = next((row for row in scored.rows if row["model"].startswith(f"{network}-")), None)
    if row is None:
        return {"status": "none", "values": {}}
    return {
        "status": row["status"],
        "rank": row["rank"],
        "seconds": row["seconds"],
        "draws": scored.draws(row),
        "at_once": row["details"].get("at_once"),
        "values": values_of(row),
    }


if __name__ == "__main__":
    sys.exit(main())
