"""Ground truth of the study: every candidate finetuned on every target, learning rates chosen on validation data.

    python benchmarks/transferability/truth.py [--shared FOLDER] [--work FOLDER] [--splits N] [--minutes M] [TARGET...]

Finished runs are lines of runs.jsonl beside this file and are not repeated: it can be started again at any time, on any
machine. Splits are done one after the other for all candidates, so that all have about as many. Ends after --minutes.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path

import torch
from candidates import KINDS, PANEL, zoo
from targets import STUDIES, Study

from acrank.finetuning import Outcome, Results, finetune
from acrank.finetuning.outcomes import COLUMNS
from acrank.system.streams import STREAMS
from acrank.targets import Target, open_target
from acrank.zoo import Candidate

HERE = Path(__file__).parent
WORK = HERE / "truth.work"
RUNS, SEEDS = HERE / "runs.jsonl", HERE / "ground_truth_seeds.csv"


class TimeIsUpError(Exception):
    """The given minutes are over; raised between runs."""


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(STUDIES)}; all without")
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--method", default="vanilla", help="all but vanilla run on candidates.PANEL alone")
    parser.add_argument("--kind", action="append", choices=KINDS, help="of candidates; all without")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args(words)
    _refuse_other_streams()
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * options.minutes
    try:
        for splits in range(1, options.splits + 1):
            for name in options.targets or STUDIES:
                run(name, splits, options, until)
    except TimeIsUpError:
        print("time is up; start again to go on", file=sys.stderr)
    write_seeds()


def run(name: str, splits: int, options: argparse.Namespace, until: float) -> None:
    """Do the runs that are missing among the first `splits` splits of one target."""
    study, data = STUDIES[name], options.shared / "data"
    target = {"all": target_of(name, data, options.work)}
    for kind in options.kind or KINDS:
        chosen = zoo(kind, data)
        able = [one.id for one in chosen.candidates if suits(one, study) and takes(one, options.method)]

        def keep(_: Results, outcome: Outcome) -> None:
            print(*outcome.cells(), outcome.reason, file=sys.stderr, flush=True)
            with RUNS.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"target": name, "streams": STREAMS, **dataclasses.asdict(outcome)}) + "\n")
            if time.monotonic() > until:
                raise TimeIsUpError

        if able:
            finetune(
                chosen.select(able), target, [options.method], study.settings,
                work_dir=options.work / kind / name, splits=splits, resume=True, earlier=earlier(name), on_result=keep,
            )  # fmt: skip


def takes(candidate: Candidate, method: str) -> bool:
    """Whether a candidate is finetuned by a method."""
    return method == "vanilla" or candidate.id in PANEL


def target_of(name: str, data: Path, work: Path) -> Target:
    """Open a target of the study, which is made in the work folder if it is missing."""
    folder = work / "targets" / name
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        STUDIES[name].make(data, partial)
        partial.rename(folder)
    return open_target(folder)


def suits(candidate: Candidate, study: Study) -> bool:
    """Whether a candidate may be ranked on a target: it was not trained on its data."""
    return not {candidate.id, *candidate.tags} & set(study.left_out)


def earlier(name: str) -> list[Outcome]:
    """The outcomes that runs.jsonl has of one target."""
    known = {one.name for one in dataclasses.fields(Outcome)}
    return [
        Outcome(**{name: value for name, value in record.items() if name in known})
        for record in runs()
        if record["target"] == name and record["ground_truth"] is not None
    ]


def runs() -> list[dict]:
    """The finished runs, oldest first, without lines that an interruption cut short."""
    if not RUNS.exists():
        return []
    lines = RUNS.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("}\n")]


def _refuse_other_streams() -> None:
    """Refuse to continue runs under other random streams, which had other splits."""
    made = {record.get("streams", 1) for record in runs()}
    if made - {STREAMS}:
        sys.exit(
            f"{RUNS} was made with random streams {min(made)}, this acrank has {STREAMS}: move it away to begin anew"
        )


def write_seeds() -> None:
    """Write ground_truth_seeds.csv: the truth table's columns, one row per finished run."""
    with SEEDS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        done = [record for record in runs() if record["ground_truth"] is not None]
        for record in sorted(done, key=lambda one: (one["target"], one["model"], one["split"])):
            writer.writerow([record["target"], *(record[column] for column in COLUMNS[1:])])


if __name__ == "__main__":
    main(sys.argv[1:])
