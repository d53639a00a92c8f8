"""Ground truth of the second study: candidates finetuned on targets, rates chosen on validation, curves kept.

    python -m benchmarks.transferability.study2.truth2 --shared FOLDER [--pool a] [--splits 5] [--minutes M] [TARGET...]

A finished run is a line of runs.jsonl beside this file and is not repeated: start it again at any time, on any machine.
The first split of every candidate and target comes before the second of any. `--method ac-norm` runs on protocol.PANEL
alone. Each line has the validation curve of every trial, the processor seconds of every epoch, and those of the run.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

import torch

from acrank.finetuning import Outcome, Results, finetune
from acrank.finetuning.flow import Progress
from acrank.finetuning.outcomes import COLUMNS
from acrank.system.streams import STREAMS
from acrank.zoo import Zoo

from . import HERE
from .pools import POOLS, cheapest_first, parser_of_a_pool, zoo
from .prepared import target_of
from .protocol import ORDER, PANEL, POOL_TARGETS, SPLITS, TARGETS

RUNS, SEEDS = HERE / "runs.jsonl", HERE / "ground_truth_seeds.csv"
DIGITS = 5  # of curves


class TimeIsUpError(Exception):
    """The given minutes are over; raised between runs."""


@dataclass
class Clock:
    """Processor seconds of the epochs of one run.

    Attributes:
        epochs: a list per learning rate, in the order trained; the first epoch of a rate has the building of its
            network in it, and the test of the rate before.
    """

    began: float = field(default_factory=time.process_time)
    epochs: dict[float, list[float]] = field(default_factory=lambda: defaultdict(list))
    last: float = field(default_factory=time.process_time)

    def tick(self, progress: Progress) -> None:
        """Take the time of an epoch."""
        now = time.process_time()
        self.epochs[progress.lr].append(round(now - self.last, 3))
        self.last = now

    def taken(self, outcome: Outcome) -> dict[str, Any]:
        """Seconds of a finished run, and the clock set to zero; epochs that an earlier process made are missing."""
        now = time.process_time()
        seconds = [self.epochs.get(trial["lr"], []) for trial in outcome.trials]
        found = {"cpu_seconds": round(now - self.began, 3), "epoch_seconds": seconds}
        self.began = self.last = now
        self.epochs = defaultdict(list)
        return found


def main(words: list[str]) -> None:
    options = arguments(words)
    _refuse_other_streams()
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * options.minutes
    own = [name for name in ORDER if name in POOL_TARGETS[options.pool]]
    try:
        for splits in range(1, options.splits + 1):
            for name in options.targets or own:
                for kind in POOLS[options.pool]:
                    if kind in (options.kind or POOLS[options.pool]):
                        run(name, kind, splits=splits, options=options, until=until)
    except TimeIsUpError:
        print("time is up; start again to go on", file=sys.stderr)
    write_seeds()


def arguments(words: list[str]) -> argparse.Namespace:
    parser = parser_of_a_pool(__doc__)
    parser.add_argument("--method", default="vanilla", help="all but vanilla run on protocol.PANEL alone")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    return parser.parse_args(words)


def run(name: str, kind: str, *, splits: int, options: argparse.Namespace, until: float) -> None:
    """Do the runs that are missing among the first `splits` splits of one target and kind of candidates."""
    if time.monotonic() > until:
        raise TimeIsUpError
    done = {
        (one["model"], one["split"])
        for one in runs()
        if (one["target"], one["kind"], one["method"]) == (name, kind, options.method)
        and one["ground_truth"] is not None
    }
    chosen = able(zoo(kind, options.shared, options.work), options.method)
    wanted = {(one.id, split) for one in chosen.candidates for split in range(splits)}
    if not wanted - done:
        return  # nothing is opened for it
    target = {"all": target_of(name, options.shared, options.work)}
    clock = Clock()

    def keep(_: Results, outcome: Outcome) -> None:
        print(*outcome.cells(), outcome.reason, file=sys.stderr, flush=True)
        line = {"target": name, "kind": kind, "streams": STREAMS, **plain(outcome), **clock.taken(outcome)}
        with RUNS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if time.monotonic() > until:
            raise TimeIsUpError

    finetune(
        chosen, target, [options.method], TARGETS[name].settings,
        work_dir=options.work / "runs" / kind / name, splits=splits, resume=True, earlier=earlier(name, kind),
        on_result=keep, on_epoch=clock.tick,
    )  # fmt: skip


def able(zoo: Zoo, method: str) -> Zoo:
    """The candidates that are finetuned by a method, small inputs first; perhaps none."""
    of_panel = [one for one in zoo.candidates if any(fnmatch(one.id, pattern) for pattern in PANEL)]
    return cheapest_first(zoo if method == "vanilla" else dataclasses.replace(zoo, candidates=tuple(of_panel)))


def plain(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain data, its curves rounded."""
    found = dataclasses.asdict(outcome)
    for trial in found["trials"]:
        trial["curve"] = [point and [round(value, DIGITS) for value in point] for point in trial["curve"]]
    return found


def earlier(name: str, kind: str) -> list[Outcome]:
    """The outcomes that runs.jsonl has of one target and kind of candidates."""
    known = {one.name for one in dataclasses.fields(Outcome)}
    return [
        Outcome(**{name: value for name, value in record.items() if name in known})
        for record in runs()
        if (record["target"], record["kind"]) == (name, kind) and record["ground_truth"] is not None
    ]


def runs() -> Iterator[dict[str, Any]]:
    """The lines of runs.jsonl, oldest first, without one that an interruption cut short."""
    if RUNS.exists():
        for line in RUNS.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("}\n"):
                yield json.loads(line)


def finished() -> list[dict[str, Any]]:
    """The finished runs, the latest of each key, in the order of target, model and split."""
    found = {
        (one["target"], one["model"], one["method"], one["split"], one["seed"]): one
        for one in runs()
        if one["ground_truth"] is not None
    }
    return [found[key] for key in sorted(found)]


def _refuse_other_streams() -> None:
    """Refuse to continue runs under other random streams, which had other splits."""
    made = {record["streams"] for record in runs()}
    if made - {STREAMS}:
        sys.exit(f"{RUNS} was made with random streams {min(made)}, this acrank has {STREAMS}: move it away first")


def write_seeds() -> None:
    """Write ground_truth_seeds.csv: the columns of acrank's truth tables, and the kind, one row a finished run."""
    with SEEDS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, "kind", "cpu_seconds"])
        for record in finished():
            cells = (record[column] for column in COLUMNS[1:])
            writer.writerow([record["target"], *cells, record["kind"], record["cpu_seconds"]])


if __name__ == "__main__":
    main(sys.argv[1:])
