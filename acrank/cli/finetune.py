"""`acrank finetune`: the ground truth, by finetuning every candidate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from acrank.cli.claims import claimed
from acrank.cli.console import check_outputs, finish, say, show, shows_progress, tell_target, warn
from acrank.cli.history_options import HistoryOptions
from acrank.cli.interruption import resumable
from acrank.cli.options import (
    DataOption,
    Format,
    FormatOption,
    OutputOption,
    VerboseOption,
    ZooOptions,
    with_settings,
)
from acrank.cli.outputs import OverwriteOption, check_replaceable, check_spares_weights
from acrank.cli.progress import is_shown, progress
from acrank.errors import NothingRankedError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.formats import format_of, render
from acrank.system.files import atomic_write
from acrank.system.option_fields import Opt, check_options
from acrank.targets.target_options import TargetOptions

if TYPE_CHECKING:
    from acrank.finetuning import Outcome, Results
    from acrank.finetuning.flow import Progress

DEFAULT_OUTPUT = Path("truth.csv")
LINES_EVERY = 60.0  # seconds between lines about epochs, where there is no bar; every run has a line besides


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Which runs, and where they are kept."""

    methods: Annotated[
        tuple[str, ...],
        Opt(
            help="vanilla, ac-norm, l2-sp, delta, bss, stochnorm, bn-only, linear-probe, from-scratch. "
            "+ combines: ac-norm+l2-sp. [vanilla]",
            flag="--method",
            metavar="NAME,…",
            panel="What to score",
        ),
    ] = ()
    seeds: Annotated[
        int, Opt(help="Seeds per split: heads and order of batches.", least=1, most=1000, panel="Splits")
    ] = 1
    splits: Annotated[
        int | None,
        Opt(
            help="Partitions into train, validation and test. [3; 1 with --split-by target]",
            least=1,
            most=1000,
            panel="Splits",
        ),
    ] = None
    work_dir: Annotated[
        Path | None,
        Opt(help="Keeps what is finished. [beside the output: truth.work]", metavar="DIR", panel="Output"),
    ] = None
    save_dir: Annotated[
        Path | None, Opt(help="Save the finetuned networks here (safetensors).", metavar="DIR", panel="Output")
    ] = None
    resume: Annotated[bool, Opt(help="Go on with what the work folder holds.", panel="Output", variable=False)] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_settings(without=("split", "history"))  # --split-by says which; no history helps here
def finetune(
    data: DataOption,
    zoo: ZooOptions,
    settings: FinetuneSettings,
    target: TargetOptions,
    runs: RunOptions,
    history: HistoryOptions,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Finetune every candidate on your images: the ground truth that `acrank compare` holds scores against.

    The learning rate is chosen on the validation split, the value is measured on the test split. CSV and JSON hold
    every run, the table their means and standard errors. Without -o, ./truth.csv is written. Slow; a run that was
    killed goes on with --resume.
    """
    outputs = tuple(output or [DEFAULT_OUTPUT])
    check_outputs(outputs)
    inputs = [*target.files_beside(data), zoo.zoo, *history.files]
    check_replaceable(outputs, inputs, kinds=["truth"], overwrite=overwrite, resume=runs.resume)
    history.check(trains=True)
    from acrank.finetuning.flow import finetune as run
    from acrank.finetuning.methods import parse_methods
    from acrank.finetuning.splits import open_splits

    methods = parse_methods(",".join(runs.methods or ("vanilla",)))
    candidates = zoo.load()
    splits = runs.splits or (1 if settings.split_by == "target" else 3)
    total = len(candidates.candidates) * len(methods) * splits * runs.seeds
    check_spares_weights(outputs, candidates, kinds=["truth"])
    parts = open_splits(data, target, split_by=settings.split_by)
    try:
        with (
            claimed(outputs),
            resumable(lambda: f"what was finished is kept in {outputs[0]}"),
            progress("loading", every=LINES_EVERY) as advance,
        ):

            def on_progress(at: Progress) -> None:
                advance(at.done, at.total, _description(at), kept=at.kept)

            results = run(
                candidates,
                parts,
                methods,
                settings=settings,
                work_dir=runs.work_dir or outputs[0].with_suffix(".work"),
                seeds=runs.seeds,
                splits=splits,
                resume=runs.resume,
                save_dir=runs.save_dir,
                overwrite=overwrite,
                on_result=lambda partial, outcome: _on_result(partial, outcome, outputs, total=total),
                on_run=on_progress,
                on_epoch=on_progress,
                on_target=tell_target,
            )
    except NothingRankedError as error:
        show(error.result.view(format), format)
        raise
    write_results(results, outputs)
    _tell(results)
    finish(results.view(format), format, () if output else outputs)
    history.append_finetuned(results, candidates)


def _tell(results: Results) -> None:
    """Warnings, and as notes those that only say what was understood of the target."""
    noted = {note for part in results.target.get("understood", {}).values() for note in part["notes"]}
    for text in results.warnings:
        if text in noted and not text.startswith("warning: "):
            say(f"note: {text}")
        else:
            warn(text)


def write_results(results: Results, paths: tuple[Path, ...]) -> None:
    """The results to each path: the truth table as .csv, everything as .json, the means as .md and .txt."""
    for path in paths:
        atomic_write(path, render(results.view(format_of(path)), format_of(path)))


def _on_result(partial: Results, outcome: Outcome, outputs: tuple[Path, ...], *, total: int) -> None:
    write_results(partial, outputs)
    where = f"{outcome.model} ({outcome.method}, split {outcome.split}, seed {outcome.seed})"
    if outcome.reason:
        warn(f"{where} failed: {outcome.reason}")
    elif not is_shown() and shows_progress():
        seconds = outcome.details.get("seconds") or 0
        done = min(total, len(partial.outcomes))
        say(f"{done}/{total} {where}: {outcome.metric} {outcome.ground_truth:.4g} ({seconds:.1f} s)")
    if "short_of_memory" in outcome.details:
        warn(f"{where}: {outcome.details['short_of_memory']}")


def _description(at: Progress) -> str:
    key = at.key
    begun = f"lr {at.lr:g}, epoch {at.epoch}" if at.epoch else "begins"
    return f"{key.model}, {key.method}, split {key.split}, seed {key.seed}, {begun}"
