"""The trainings of `acrank score --refine`: what is refused, what is told, and where they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from acrank.cli.console import say, warn
from acrank.cli.execution import RAY, Execution
from acrank.cli.progress import is_shown, progress
from acrank.cli.saving import write_or_rescue
from acrank.errors import OutputError, UsageError
from acrank.refining.kept_files import finished_trainings
from acrank.refining.refine_settings import RefineSettings, check_task

if TYPE_CHECKING:
    from acrank.cache import ObservationCache
    from acrank.cli.earlier_record import EarlierRecord
    from acrank.executors import TaskExecutor
    from acrank.records import Ranking, Refined
    from acrank.refining.refine_progress import RefineProgress
    from acrank.settings import Settings
    from acrank.targets import Target
    from acrank.zoo import Zoo


def check_refining(how: RefineSettings, execution: Execution, target: Target, *, keeps: tuple[Path, ...] = ()) -> None:
    """Refuse before the scoring what could not be trained after it.

    Args:
        how, execution, target: of the run.
        keeps: outputs beside which trainings of an earlier run are not to be deleted.

    Raises:
        UsageError: an executor without the work folder, a part of the candidates, or earlier trainings.
        TargetError: the task cannot be trained for.
    """
    if how.refine is None:
        return
    if execution.kind == RAY:
        raise UsageError("--refine does not run on Ray: its work folder is on this machine", hint="use --workers")
    if execution.shard:
        raise UsageError(
            "--refine needs the whole ranking, and --shard gives a part",
            hint="score the shards, then all with --resume",
        )
    if keeps and (count := finished_trainings(work_dir_of(keeps))):
        raise UsageError(
            f"{work_dir_of(keeps)} holds {count} finished training{'s' if count > 1 else ''} of an earlier run",
            hint="go on with --resume, name another -o, or delete them with --overwrite",
        )
    check_task(target.task)
    if target.task == "segmentation":
        from acrank.finetuning.tasks.segmentation import monai

        monai("losses")


def work_dir_of(outputs: tuple[Path, ...]) -> Path:
    """The work folder beside the record, else beside the first output.

    >>> str(work_dir_of((Path("scores.csv"), Path("run.json"))))
    'run.work'
    """
    return next((path for path in outputs if path.suffix == ".json"), outputs[0]).with_suffix(".work")


def kept_trainings(outputs: tuple[Path, ...], *, is_asked: bool) -> str:
    """How many trainings are finished in the work folder; empty where there are none and none were asked for.

    Raises:
        OutputError: the folder cannot be read.
    """
    place = work_dir_of(outputs)
    count = finished_trainings(place)
    if not count:
        return "no training is finished yet" if is_asked else ""
    return f"{count} finished training{'s' if count > 1 else ''} in {place}"


def refine_and_save(
    ranking: Ranking,
    zoo: Zoo,
    target: Target,
    *,
    settings: Settings,
    how: RefineSettings,
    outputs: tuple[Path, ...],
    cache: ObservationCache | None,
    resume: bool,
    executor: TaskExecutor,
    earlier: EarlierRecord,
) -> Ranking:
    """The ranking after its first candidates were trained, with progress on stderr; outputs are rewritten every round.

    Where no candidate is to be trained, the ranking as it is.
    """
    if how.refine is None:
        return ranking
    from acrank.refining.refinement import refine

    told = set(ranking.notes)

    def on_note(text: str) -> None:
        told.add(text)
        say(text)

    with progress("refining", every=None) as advance:

        def on_progress(at: RefineProgress) -> None:
            if at.outcome is None:
                advance(at.done, at.total, f"round {at.round}: {at.model}, epoch {at.epoch}", kept=at.kept)
            elif at.outcome.reason:
                failed = "failed in the earlier run" if at.kept else "failed"
                warn(f"round {at.round}: {at.model} {failed}: {at.outcome.reason}")
            elif not is_shown():
                say(f"round {at.round}, {at.done}/{at.total} {at.model}: {in_figures(at.outcome, kept=bool(at.kept))}")

        found = refine(
            ranking,
            zoo,
            target,
            settings=settings,
            how=how,
            work_dir=work_dir_of(outputs),
            cache=cache,
            resume=resume,
            executor=executor,
            on_note=on_note,
            on_round=lambda partial: _save(partial, outputs, earlier),
            on_progress=on_progress,
        )
    write_or_rescue(found, outputs, earlier)
    for warning in found.warnings:
        if warning not in ranking.warnings:
            warn(warning)
    for note in found.notes:
        if note not in told:
            say(note)
    return found


def in_figures(found: Refined, *, kept: bool = False) -> str:
    """The quality of a training with its interval, the learning rate and the seconds; `kept` from an earlier run.

    >>> from acrank.records import Refined
    >>> in_figures(Refined(metric="dice", quality=0.8, low=0.71, high=0.85, learning_rate=0.03, seconds=3.21))
    'dice 0.8 [0.71, 0.85], lr 0.03 (3.2 s)'
    >>> in_figures(Refined(metric="dice", quality=0.8, learning_rate=0.03, seconds=3.21), kept=True)
    'dice 0.8, lr 0.03 (kept)'
    """
    interval = "" if found.low is None or found.high is None else f" [{found.low:.3g}, {found.high:.3g}]"
    cost = "kept" if kept else f"{found.seconds:.1f} s"
    return f"{found.metric} {found.quality:.3g}{interval}, lr {found.learning_rate:g} ({cost})"


def _save(partial: Ranking, outputs: tuple[Path, ...], earlier: EarlierRecord) -> None:
    """Write what a round gave; where that fails, the end of the run says so."""
    try:
        write_or_rescue(partial, outputs, earlier)
    except OutputError as error:
        warn(f"{error.message}; the run goes on, and is written at its end")
