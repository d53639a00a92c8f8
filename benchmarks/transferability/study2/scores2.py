"""Every score of the package on the targets of the second study, with the seconds of each that a strategy may pay for.

    python -m benchmarks.transferability.study2.scores2 --shared FOLDER [--pool a] [TARGET...]

Draw r is the training part of split r of the ground truth, halved with groups kept together: no score sees an image
that its split tests on. Values are means over DRAWS draws. The default ranking, LogME and kNN are also computed alone,
on the first draw, for the processor seconds that they take ("... seconds": loading, decoding and all). The official
protocol's AC-Corr is computed on the first draw. Scores of the reporting half are refused without `--reported`, which
is to be given once, after the default is fixed. Writes scores.csv beside this file; candidates are not done again,
unless `--again` names scores whose definition has changed: these alone are then recomputed for the rows that there are.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from acrank.finetuning.splits import Part, make_partition
from acrank.ranking.candidates import score_candidate
from acrank.ranking.summary import with_pool_values
from acrank.records import Row
from acrank.settings import Settings
from acrank.system.streams import Purpose, stream
from acrank.targets import Target
from acrank.targets.draws import Draw, PatchDraw
from acrank.targets.grouping import group_codes
from acrank.targets.sampling import halves
from acrank.zoo import Candidate

from . import HERE
from .pools import POOLS, family, parser_of_a_pool, zoo
from .prepared import target_of
from .protocol import MASKS, ORDER, POOL_TARGETS, TARGETS, half

OUT = HERE / "scores.csv"
DRAWS, PATCHES = 3, 16
TIMED = ("finetunability", "logme", "knn")
SEED = 0  # of draws from a training part
HOW: dict[str, Any] = {"allow_code": True, "device": "cpu"}
ROW = TypeAdapter(Row)


def main(words: list[str]) -> None:
    parser = parser_of_a_pool(__doc__)
    parser.add_argument("--reported", action="store_true", help="compute those of the reporting half too")
    parser.add_argument("--again", action="append", default=[], metavar="SCORE", help="recompute it where rows exist")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    wanted = options.targets or [name for name in ORDER if name in POOL_TARGETS[options.pool]]
    if not options.reported:
        refused = [name for name in options.targets if half(name) == "reported"]
        if refused:
            sys.exit(f"{', '.join(refused)} report: give --reported once, when the default is fixed")
        wanted = [name for name in wanted if half(name) == "choosing"]
    for name in wanted:
        for kind in options.kind or POOLS[options.pool]:
            if options.again:
                score_again(name, kind, options)
            else:
                score_target(name, kind, options.shared, options.work)
    if not options.again:
        write(options.work)


def score_target(name: str, kind: str, shared: Path, work: Path) -> None:
    """All candidates of one kind on a target, each into a JSON file of its own; those that exist are kept."""
    folder = work / "scored" / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    left = [one for one in zoo(kind, shared, work).candidates if not (folder / f"{one.id}.json").exists()]
    if not left:
        return
    target = target_of(name, shared, work)
    draws = draws_of(target, name, DRAWS)
    for candidate in left:
        row, more = scored(candidate, draws, target.task)
        found = {"row": ROW.dump_python(row, mode="json"), "more": more | {"kind": kind}}
        (folder / f"{candidate.id}.json").write_text(json.dumps(found), encoding="utf-8")
        print(name, candidate.id, row.value("finetunability"), row.reason, file=sys.stderr, flush=True)


def score_again(name: str, kind: str, options: argparse.Namespace) -> None:
    """Recompute the scores that `--again` names, in scores.csv and in the file of each candidate that has one."""
    known = rows_of_file()
    candidates = [one for one in zoo(kind, options.shared, options.work).candidates if (name, one.id) in known]
    if not candidates:
        return
    target = target_of(name, options.shared, options.work)
    draws = draws_of(target, name, DRAWS)
    settings = Settings(scores=tuple(options.again), rank_by=options.again[0], **HOW).for_task(target.task)
    for candidate in candidates:
        row = timed(candidate, draws, settings)[0]
        more = seconds_alone(candidate, draws, target.task, [one for one in TIMED if one in options.again])
        known[name, candidate.id] |= more | values_of(row)
        path = options.work / "scored" / kind / name / f"{candidate.id}.json"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            found["row"]["scores"] |= ROW.dump_python(row, mode="json")["scores"]
            found["more"] |= more
            path.write_text(json.dumps(found), encoding="utf-8")
        print(name, candidate.id, values_of(row), file=sys.stderr, flush=True)
    write_file(known)


def scored(candidate: Candidate, draws: list[Draw], task: Any) -> tuple[Row, dict[str, Any]]:
    """The row of all scores, and further columns: the official AC-Corr, and seconds of scores computed alone."""
    whole = timed(candidate, draws, Settings(scores=["all"], **HOW).for_task(task))[0]
    official = Settings(protocol="official", scores=["ac_corr"], **HOW).for_task(task)
    row = timed(candidate, draws[:1], official)[0]
    more: dict[str, Any] = {"family": family(candidate), "official ac_corr": row.value("ac_corr")}
    return whole, more | seconds_alone(candidate, draws, task, TIMED)


def seconds_alone(candidate: Candidate, draws: list[Draw], task: Any, scores: Sequence[str]) -> dict[str, float]:
    """Processor seconds of each of some scores when it is computed alone, on the first draw."""
    alone = {score: Settings(scores=(score,), rank_by=score, **HOW).for_task(task) for score in scores}
    return {f"{score} seconds": timed(candidate, draws[:1], one)[1] for score, one in alone.items()}


def timed(candidate: Candidate, draws: list[Draw], settings: Settings) -> tuple[Row, float]:
    """A row and the processor seconds that it took, loading of the network and decoding of the images included."""
    fresh = [dataclasses.replace(draw) for draw in draws]  # which hold no decoded images
    began = time.process_time()
    row = score_candidate(candidate, fresh, settings, None)
    return row, round(time.process_time() - began, 3)


def draws_of(target: Target, name: str, count: int) -> list[Draw]:
    """Draws of the training parts of the first splits, as `acrank score` makes them; of masks 16 patches."""
    settings = TARGETS[name].settings
    shares = {"val_share": settings.val_share, "test_share": settings.test_share}
    parts = [
        make_partition({"all": target}, split=split, train_size=settings.train_size, **shares).train
        for split in range(count)
    ]
    return [draw_of(part, split) for split, part in enumerate(parts)]


def draw_of(part: Part, split: int) -> Draw:
    """One draw of all images of a part, or of patches of them, each in turn."""
    target, codes = part.target, group_codes(part.target.groups)
    groups = None if codes is None else codes[part.indices]
    fold = halves(part.labels, seed=SEED, repeat=split, task=target.task, groups=groups)
    shuffle = np.random.default_rng(stream(Purpose.SHUFFLE, SEED, split))
    if target.task != "segmentation":
        return Draw(
            target=target,
            repeat=split,
            indices=part.indices,
            labels=part.labels,
            half=fold,
            permutation=shuffle.permutation(len(part.indices)),
        )
    order = np.random.default_rng(stream(Purpose.PATCH_IMAGES, SEED, split)).permutation(len(part.indices))
    places = np.sort(np.resize(order, PATCHES))
    return PatchDraw(
        target=target,
        repeat=split,
        indices=part.indices[places],
        labels=part.labels[places],
        half=fold[places],
        permutation=shuffle.permutation(PATCHES),
        seed=SEED,
    )


def with_pool(work: Path, pool: str, name: str) -> list[tuple[Row, dict[str, Any]]]:
    """Rows and further columns of a pool's candidates on a target, with the scores that compare the pool."""
    paths = [path for kind in POOLS[pool] for path in sorted((work / "scored" / kind / name).glob("*.json"))]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    rows = [ROW.validate_python(one["row"]) for one in found]
    settings = Settings(scores=["all"]).for_task("segmentation" if TARGETS[name].stratum == MASKS else "classification")
    return list(zip(with_pool_values(rows, settings), (one["more"] for one in found), strict=True))


def write(work: Path) -> None:
    """Join the files of all candidates to scores.csv; rows of other machines that it holds already are kept."""
    rows = rows_of_file()
    for pool, name in itertools.product(POOLS, TARGETS):
        for row, more in with_pool(work, pool, name):
            about = {"dataset": name, "model": row.model, "params": row.params, "reason": row.reason}
            rows[name, row.model] = about | more | values_of(row)
    write_file(rows)


def rows_of_file() -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of scores.csv, by target and model; none without the file."""
    if not OUT.exists():
        return {}
    with OUT.open(newline="", encoding="utf-8") as file:
        return {(row["dataset"], row["model"]): dict(row) for row in csv.DictReader(file)}


def values_of(row: Row) -> dict[str, float | None]:
    """The scores of a row, and those under shuffled labels where there are, as columns."""
    values = {score: value.value for score, value in row.scores.items()}
    return values | {f"{score} shuffled": x.shuffled for score, x in row.scores.items() if x.shuffled is not None}


def write_file(rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    """scores.csv, sorted by target and model."""
    columns = dict.fromkeys(name for row in rows.values() for name in row)
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        for key in sorted(rows):
            row = rows[key]
            writer.writerow({name: f"{x:.6g}" if isinstance(x, float) else x for name, x in row.items()})


if __name__ == "__main__":
    main(sys.argv[1:])
