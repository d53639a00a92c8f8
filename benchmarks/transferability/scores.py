"""Every score of the package on every target of the study, and the official protocol.

    python benchmarks/transferability/scores.py [--shared FOLDER] [--work FOLDER] [--scores NAME,…] [TARGET...]

The draws are those of observe.py: the training parts of the first three splits. Writes scores.csv beside this file:
dataset, model, family, parameters, mean width of the normalisation layers, a column per score as the package gives it
(its direction as in `acrank scores`), where it has that control a column for its value under shuffled labels, and the
official protocol's AC-Corr. Finished targets are kept in the work folder and not computed again.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import torch
from candidates import KINDS, family, zoo
from observe import draws_of
from targets import STUDIES
from truth import HERE, WORK, suits, target_of

from acrank.ranking.candidates import score_candidate
from acrank.ranking.summary import with_pool_values
from acrank.records import Row
from acrank.settings import Settings
from acrank.targets.draws import Draw
from acrank.zoo import Candidate

OUT = HERE / "scores.csv"
DRAWS = 3


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(STUDIES)}; all without")
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--scores", help="compute these anew, for example after their code changed")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    anew = options.scores.split(",") if options.scores else []
    for name in options.targets or STUDIES:
        score_target(name, options.shared / "data", options.work, anew)
    write(options.work)


def score_target(name: str, data: Path, work: Path, anew: list[str]) -> None:
    """All candidates of a target, into one JSON file; columns named in `anew` are computed again."""
    path = work / "scored" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    if known and not anew:
        return
    target = target_of(name, data, work)
    draws = draws_of(STUDIES[name], target, DRAWS)
    chosen = [one for kind in KINDS for one in zoo(kind, data).candidates if suits(one, STUDIES[name])]
    for column, settings, some in (
        ("", Settings(scores=anew or ["all"], allow_code=True, device="cpu"), draws),
        ("official ", Settings(protocol="official", allow_code=True, device="cpu", scores=["ac_corr"]), draws[:1]),
    ):
        if not (anew and column):
            for one, row in zip(chosen, rows_of(chosen, some, settings.for_task(target.task)), strict=True):
                entry = known.setdefault(one.id, {"family": family(one)})
                entry |= {f"{column}{score}": value.value for score, value in row.scores.items()}
                if not column:
                    entry |= {"params": row.params, "reason": row.reason}
                    if row.layers:
                        entry["width"] = sum(layer["channels"] for layer in row.layers) / len(row.layers)
                    shuffled = {score: value.shuffled for score, value in row.scores.items()}
                    entry |= {f"{score} shuffled": x for score, x in shuffled.items() if x is not None}
    path.write_text(json.dumps(known, indent=1))
    print(name, file=sys.stderr, flush=True)


def rows_of(candidates: list[Candidate], draws: list[Draw], settings: Settings) -> list[Row]:
    """The rows that `acrank score` would give on these draws."""
    return with_pool_values([score_candidate(one, draws, settings, None) for one in candidates], settings)


def write(work: Path) -> None:
    """Write scores.csv from the files of all targets."""
    tables = {
        name: json.loads(path.read_text()) for name in STUDIES if (path := work / "scored" / f"{name}.json").exists()
    }
    names = dict.fromkeys(name for table in tables.values() for entry in table.values() for name in entry)
    columns = ["family", *(name for name in names if name not in ("family", "reason"))]
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["dataset", "model", *columns])
        for dataset, table in tables.items():
            for model, entry in table.items():
                cells = [entry.get(column) for column in columns]
                writer.writerow([dataset, model, *(f"{x:.6g}" if isinstance(x, float) else x for x in cells)])


if __name__ == "__main__":
    main(sys.argv[1:])
