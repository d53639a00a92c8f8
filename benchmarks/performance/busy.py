"""How much longer a run takes on a busy machine, with threads that spin while they wait and as `acrank` has them.

`acrank score` of one MobileNetV2 at 224 px with all threads, beside twice as many busy processes as there are cores,
and beside none. The runtime of OpenMP lets threads that wait spin 300,000 times unless it is told otherwise; `acrank`
sets GOMP_SPINCOUNT to 10,000. Both run in turn within every round; a ratio is the median over rounds of that in one.

    python benchmarks/performance/busy.py [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made import machine, make_zoo, ratio, run

SPINS = {"GOMP_SPINCOUNT": "300000"}
IMAGES = "acrank.demo.make_target(pathlib.Path('target'), n=120)"


def main() -> None:
    """Measure, print both ratios and, with --json, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result: dict[str, Any] = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zoo = make_zoo(folder, "mobilenetv2_100", files=1, candidates=1, size=224)
        run(["-c", f"import acrank.demo, pathlib; {IMAGES}"], folder)
        words = ["-m", "acrank", "score", "--zoo", str(zoo), "--data", "target", "--no-cache", "-q", "--overwrite"]
        for title, count in (("idle", 0), ("busy", 2 * (os.cpu_count() or 1))):
            with busy(count):
                rounds = [(run(words, folder, SPINS), run(words, folder)) for _ in range(given.rounds)]
            spinning, ours = ([one.seconds for one in side] for side in zip(*rounds, strict=True))
            result[title] = {"spinning": spinning, "ours": ours, "ratio": ratio(ours, spinning)}
            share = result[title]["ratio"]["median"]
            print(f"{title} ({count} busy processes): {share:.2f} of the time of spinning threads")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
