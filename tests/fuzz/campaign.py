"""Many cases of many seeds, on several servers."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fuzz.client import Server
from fuzz.judge import SECONDS
from fuzz.materials import Materials
from fuzz.workspace import load_moves, make_case


def entries() -> list[str]:
    """Names of the entry points."""
    return sorted(load_moves())


def numbered(seed: int, only: list[str]) -> Iterator[tuple[str, int]]:
    """Entry and seed of each case, the entries in turn, without end."""
    number = seed * 1_000_000
    while True:
        for entry in only:
            yield entry, number
        number += 1


class Campaign:
    """Cases from a stream, judged on a few servers at once.

    Args:
        folder: where the materials and the cases are made; a case without fault is removed.
        cases: how many.
        until: time (monotonic) after which none is begun.
        jobs: servers.
    """

    def __init__(self, folder: Path, *, cases: int, until: float, jobs: int, quiet: bool = False) -> None:
        self.folder, self.cases, self.until, self.jobs, self.quiet = folder, cases, until, jobs, quiet
        self.failures: list[str] = []
        self.counts: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self._lock = threading.Lock()

    def run(self, stream: Iterator[tuple[str, int]]) -> None:
        """Until the cases or the time are over."""
        with Server() as server:
            materials = Materials(self.folder / "materials", server)
            threads = [threading.Thread(target=self._work, args=(stream, materials)) for _ in range(self.jobs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Begin no more cases."""
        self.cases = 0

    def _work(self, stream: Iterator[tuple[str, int]], materials: Materials) -> None:
        with Server() as server:
            while True:
                with self._lock:
                    if self.counts.total() >= self.cases or time.monotonic() > self.until:
                        return
                    entry, seed = next(stream)
                    self.counts[entry] += 1
                    folder = self.folder / f"{entry}-{seed}"
                    try:
                        case = make_case(entry, seed, folder, materials)
                    except Exception:
                        self._tell(f"{entry}:{seed}", folder, [f"the generator fails: {traceback.format_exc()}"])
                        continue
                started = time.monotonic()
                faults = server.judge(case)
                with self._lock:
                    self.seconds[entry] += int(1000 * (time.monotonic() - started))
                    self._tell(case.name, case.folder, faults)

    def _tell(self, name: str, folder: Path, faults: list[str]) -> None:
        if not faults:
            shutil.rmtree(folder, ignore_errors=True)
            return
        self.failures.append(f"{name}: {'; '.join(faults)}")
        if not self.quiet:
            print(f"FAIL {self.failures[-1]}\n     {folder}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """The command line; 1 where a case failed. Ctrl-C and SIGTERM end it after the cases at hand, with its summary."""
    given = _parser().parse_args(argv)
    if given.signals:
        from fuzz.signals import many

        return many(given.signals, given.with_workers, seed=given.seed)
    only = given.only.split(",") if given.only else entries()
    if unknown := set(only) - set(entries()):
        sys.exit(f"unknown entry {', '.join(sorted(unknown))}; there are {', '.join(entries())}")
    folder = Path(tempfile.mkdtemp(prefix="acrank-fuzz-"))
    until = time.monotonic() + 60 * given.minutes if given.minutes else float("inf")
    stream = numbered(given.seed, only)
    if given.repeat:
        entry, _, seed = given.repeat.partition(":")
        stream, given.cases = iter([(entry, int(seed))]), 1
    campaign = Campaign(folder, cases=given.cases, until=until, jobs=given.jobs)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: campaign.stop())
    campaign.run(stream)
    _summarise(campaign)
    return 1 if campaign.failures else 0


def _summarise(campaign: Campaign) -> None:
    for entry, count in sorted(campaign.counts.items()):
        failed = sum(text.startswith(f"{entry}:") for text in campaign.failures)
        print(f"{entry:10} {count:6} cases {failed:5} failed {campaign.seconds[entry] / 1000:8.1f} s")
    print(f"{campaign.counts.total()} cases, {len(campaign.failures)} failed; each bound to {SECONDS:g} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--cases", type=int, default=10**9, help="at most so many")
    parser.add_argument(
        "--minutes", type=float, default=0, help="begin none after so many minutes; 0: no end but --cases"
    )
    parser.add_argument("--only", default="", help=f"entry points, separated by commas: {','.join(entries())}")
    parser.add_argument("--jobs", type=int, default=2, help="cases at once")
    parser.add_argument(
        "--repeat", default="", metavar="ENTRY:SEED", help="this case alone; its folder stays if it fails"
    )
    parser.add_argument("--signals", type=int, default=0, metavar="N", help="instead: N signals at random moments")
    parser.add_argument("--with-workers", type=int, default=0, metavar="N", help="so many of them with --workers 2")
    return parser
