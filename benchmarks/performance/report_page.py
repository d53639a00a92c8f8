"""How soon the page of a large run can be used: `acrank report` of 2,000 candidates with 50 layers each, in chromium.

    python benchmarks/performance/report_page.py [--rounds 5] [--out results.json]

CPU seconds of the page's main thread, which other work on the machine changes little, until the tables sort and filter,
and until the last chart was drawn; the time by the clock, from opening the page to the last chart (on an idle machine);
and the size of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.made_runs import made_run  # noqa: E402
from helpers.open_page import OpenPage  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from acrank.report import report_html  # noqa: E402

CANDIDATES, LAYERS = 2000, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    names = [f"family{one % 40}/resnet50-checkpoint-{one}" for one in range(CANDIDATES)]
    text = report_html(made_run(names, layers=LAYERS))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "report.html"
        path.write_text(text)
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        pages, wall = [], []
        for _ in range(arguments.rounds):
            started = time.perf_counter()
            pages.append(OpenPage(browser, path))
            wall.append(time.perf_counter() - started)
        found = {
            "tables": [page.seconds for page in pages],
            "tables and charts": [page.seconds_in_all for page in pages],
            "all, by the clock": wall,
        }
        browser.close()
    print(f"{len(text.encode()) / 1e6:.1f} MB; load {os.getloadavg()[0]:.1f}")
    for name, values in found.items():
        print(f"{name:18} median {statistics.median(values):5.2f} s   min {min(values):5.2f}   max {max(values):5.2f}")
    if arguments.out:
        record = {"bytes": len(text.encode()), "load": os.getloadavg()[0], "seconds": found}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
