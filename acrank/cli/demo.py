"""`acrank demo`: the main job on an embedded zoo, offline."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from acrank.cli.console import check_outputs, say, show, write
from acrank.cli.options import Format, FormatOption, NoCacheOption, SeedOption, VerboseOption
from acrank.cli.score import cache_of, run_and_save
from acrank.system.files import is_there
from acrank.system.view import View


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where the target and the results go; made if missing.")
    ] = Path("acrank-demo"),
    seed: SeedOption = 0,
    no_cache: NoCacheOption = False,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Rank the embedded zoo for a made-up retina grading target.

    Makes DIR/target (procedural fundus images in five grades), scores the tiny checkpoints that come with acrank, and
    writes DIR/scores.csv and DIR/run.json; then compares each score with what finetuning made of the checkpoints
    (DIR/comparison.csv). Needs no network.
    """
    from acrank.demo import make_target, zoo_path
    from acrank.errors import OutputError
    from acrank.settings import Settings
    from acrank.targets import open_target
    from acrank.zoo import load_zoo

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}", hint="choose another --dir") from error
    outputs = (folder / "scores.csv", folder / "run.json")
    check_outputs(outputs)
    target = folder / "target"
    if not is_there(target):
        say(f"making a target in {target}")
        part = folder / ".target.part"  # an interrupted run leaves no half of a target
        shutil.rmtree(part, ignore_errors=True)
        make_target(part)
        part.rename(target)
    zoo, cache = load_zoo(zoo_path()), cache_of(no_cache)
    ranking = run_and_save(zoo, open_target(target), Settings(seed=seed), outputs=outputs, cache=cache)
    show(ranking.view(), format)
    comparison = _comparison(outputs[1], seed)
    write(comparison, (folder / "comparison.csv",))
    if format is Format.table:
        show(comparison, format)
    say(f"written: {', '.join(str(path) for path in (*outputs, folder / 'comparison.csv'))}")
    say(f"the same by hand: acrank score --zoo {zoo_path()} --data {target}", whole=True)


def _comparison(record: Path, seed: int) -> View:
    """The run's scores against the ground truth that comes with the zoo."""
    from acrank.comparison import compare, read_scores, read_truth
    from acrank.demo import truth_path

    found = compare(read_scores(record), read_truth(truth_path(), method="vanilla"), seed=seed).view()
    brief = ["score", "n", "weighted_tau", "weighted_tau_low", "weighted_tau_high", "kendall_tau"]
    known = [name for name in brief if name in found.columns]
    return replace(found, title="The same scores against finetuning (balanced accuracy)", brief=known)
