"""`acrank score`: rank a zoo for a target."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acrank.cli.claims import claimed
from acrank.cli.console import (
    check_outputs,
    finish,
    say,
    show,
    shows_progress,
    tell_notes,
    tell_target,
    verbosity,
    warn,
)
from acrank.cli.earlier_record import EarlierRecord
from acrank.cli.execution import Execution, running
from acrank.cli.history_options import HistoryOptions
from acrank.cli.interruption import resumable
from acrank.cli.options import (
    DataOption,
    Format,
    FormatOption,
    NoCacheOption,
    OutputOption,
    VerboseOption,
    ZooOptions,
    with_settings,
)
from acrank.cli.outputs import (
    OverwriteOption,
    check_replaceable,
    check_spares_weights,
    partial_path,
)
from acrank.cli.progress import is_shown, progress
from acrank.cli.refining import check_refining, kept_trainings, refine_and_save
from acrank.cli.saving import NOTHING, saving, write_or_rescue
from acrank.errors import NothingRankedError, OutputError
from acrank.refining.refine_settings import RefineSettings
from acrank.settings import Settings
from acrank.system.files import is_there
from acrank.system.words import from_to
from acrank.targets.target_options import TargetOptions

if TYPE_CHECKING:
    from acrank.cache import ObservationCache
    from acrank.executors import TaskExecutor
    from acrank.history import History
    from acrank.records import Ranking
    from acrank.targets import Target
    from acrank.targets.understanding import Understanding
    from acrank.zoo import Zoo

DEFAULT_OUTPUTS = (Path("scores.csv"), Path("run.json"))


@with_settings
def score(
    data: DataOption,
    zoo: ZooOptions,
    settings: Settings,
    target: TargetOptions,
    execution: Execution,
    refining: RefineSettings,
    history: HistoryOptions,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Keep the scored rows of the run record that is there.", rich_help_panel="Output"
        ),
    ] = False,
    no_cache: NoCacheOption = False,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Rank the candidates of a manifest for your images.

    Each candidate is wrapped in AC-Norm and takes one step on a sampled batch; scores are computed from how the affine
    parameters of its normalisation layers moved and from how well its layers separate the classes. Without -o,
    ./scores.csv and ./run.json are written too.
    """
    inputs, outputs = [*target.files_beside(data), zoo.zoo, *history.files], tuple(output or DEFAULT_OUTPUTS)
    check_outputs(outputs)
    check_replaceable(outputs, inputs, kinds=["ranking"], overwrite=overwrite, resume=resume)
    execution.check_devices(settings.device)
    known = history.check(trains=refining.refine is not None)
    kept = _earlier(outputs) if resume else None
    from acrank.targets import open_target

    with progress("looking through the data"):
        opened = open_target(data, target)
    check_refining(refining, execution, opened, keeps=() if resume or overwrite else outputs)
    candidates = _candidates(zoo, execution, outputs)
    earlier = NOTHING if overwrite else EarlierRecord.among(outputs)
    earlier.check(opened, len(candidates.candidates), trains=refining.refine is not None, keeps_rows=resume)
    shared: dict[str, Any] = {"outputs": outputs, "cache": cache_of(no_cache), "earlier": earlier}
    told = resumable(lambda: _kept_in(outputs, refining))
    with claimed(outputs), told, running(execution) as executor, _shown_if_nothing_is_ranked(format):
        shared["executor"] = executor
        goes_on = refining.refine is not None
        ranking = run_and_save(candidates, opened, settings, resume=kept, history=known, goes_on=goes_on, **shared)
        ranking = refine_and_save(ranking, candidates, opened, settings=settings, how=refining, resume=resume, **shared)
    finish(ranking.view(), format, () if output or earlier.says_more_than(ranking) else outputs)
    history.append_refined(ranking, candidates)
    earlier.refuse_less(ranking, is_beside=True)


def _candidates(zoo: ZooOptions, execution: Execution, outputs: tuple[Path, ...]) -> Zoo:
    """The candidates of the run, whose weights no output replaces."""
    candidates = execution.part_of(zoo.load())
    check_spares_weights(outputs, candidates, kinds=["ranking"])
    return candidates


@contextmanager
def _shown_if_nothing_is_ranked(format: Format) -> Iterator[None]:
    """The table of a run in which every candidate was skipped has the reasons."""
    try:
        yield
    except NothingRankedError as error:
        show(error.result.view(), format)
        raise


def run_and_save(
    zoo: Zoo,
    target: Target,
    settings: Settings,
    *,
    outputs: tuple[Path, ...],
    cache: ObservationCache | None,
    resume: Ranking | None = None,
    executor: TaskExecutor | None = None,
    history: History | None = None,
    earlier: EarlierRecord = NOTHING,
    goes_on: bool = False,
) -> Ranking:
    """Score with progress on stderr; `outputs` are rewritten as candidates are done, see `saving`.

    An earlier record that says more is kept; the ranking then lies beside it. Where trainings follow (`goes_on`), what
    is written says that the run has not ended.
    """
    from acrank.ranking.scoring import score as run

    told: list[str] = []
    with saving(outputs, earlier) as save, progress("reading images", every=None) as advance:

        def on_target(understanding: Understanding) -> None:
            told.extend(understanding.warnings)
            tell_target(understanding)
            _tell_samples(understanding, settings)

        def on_row(partial: Ranking, model: str, done: int, total: int) -> None:
            save(partial)
            best = partial.best
            advance(done, total, f"best so far: {best.model}" if best else "")
            if not is_shown() and shows_progress():
                say(f"{done}/{total} {_done(partial, model)}")
            if verbosity():
                say(_in_detail(partial, model))

        ranking = run(
            zoo,
            target,
            settings,
            cache=cache,
            resume=resume,
            on_row=on_row,
            on_target=on_target,
            executor=executor,
            history=history,
        )
    is_new = goes_on and not earlier.trained  # a record with trainings stays whole until it has others
    write_or_rescue(dataclasses.replace(ranking, complete=False) if is_new else ranking, outputs, earlier)
    _tell_reached(ranking)
    tell_notes(ranking, told)
    return ranking


def _tell_samples(understanding: Understanding, settings: Settings) -> None:
    """How many of the labelled images the candidates are scored on, to stderr."""
    samples = settings.for_task(understanding.task).samples
    if samples is None or samples >= understanding.images:
        say(f"data: scored on all {understanding.images} labelled images")
    else:
        say(f"data: scored on {samples} of {understanding.images} labelled images a draw (--samples)")


def _tell_reached(ranking: Ranking) -> None:
    """The values that reach the first candidate, to stderr."""
    found = ranking.target["understood"].get("normalised")
    if found:
        low, high, mean, deviation = (found[name] for name in ("low", "high", "mean", "deviation"))
        values = f"{from_to(low, high, '.3g')}, mean {mean:.3g}, standard deviation {deviation:.3g}"
        say(f"data: values that reach {found['model']}: {values}")


def _done(ranking: Ranking, model: str) -> str:
    """One candidate in a line: its value of the ranking score, or why it has none, and its seconds."""
    row = next(row for row in ranking.rows if row.model == model)
    value = row.value(ranking.rank_by)
    found = row.reason or "no value" if value is None else f"{ranking.rank_by} {value:.4g}"
    draws = f", {row.details.draws} draws" if (row.details.draws or 1) > 1 else ""
    cost = "from the cache" if row.details.cached else f"{row.cost or 0:.1f} s"
    return f"{model}: {found} ({cost}{draws})"


def _in_detail(ranking: Ranking, model: str) -> str:
    """What scoring one candidate took, for -v."""
    row = next(row for row in ranking.rows if row.model == model)
    about = row.details
    found = [
        f"{len(row.layers)} normalisation layers" if row.layers else "",
        f"{about.at_once} images at a time" if about.at_once else "",
        f"lowered for memory: {about.lowered}" if about.lowered else "",
        f"on {about.device} in {about.precision}" if about.device and about.precision else about.device or "",
        "" if about.cached is None else "all from the cache" if about.cached else "computed",
        f"{row.weights['matched']} tensors matched" if "matched" in row.weights else "",
    ]
    return f"{model}: {', '.join(filter(None, found)) or 'nothing was computed'}"


def _kept_in(outputs: tuple[Path, ...], refining: RefineSettings) -> str | None:
    """What the record and the work folder of an interrupted run hold; None where there is no record to go on with."""
    from acrank.records import Ranking

    record = next((path for path in outputs if path.suffix == ".json" and is_there(path)), None)
    if record is None or is_there(partial_path(record)):
        return None
    found = Ranking.load(record)
    rows = f"{len(found.rows)} of {found.candidates} candidates are kept in {record}"
    trainings = kept_trainings(outputs, is_asked=refining.refine is not None)
    return f"{rows}, and {trainings}" if trainings else rows


def cache_of(no_cache: bool) -> ObservationCache | None:
    """The cache of observations; None with --no-cache, and with a warning where it cannot be used."""
    from acrank.cache import ObservationCache

    try:
        return None if no_cache else ObservationCache().open()
    except OutputError as error:
        warn(f"{error}; everything is computed ({error.hint})")
        return None


def _earlier(outputs: tuple[Path, ...]) -> Ranking | None:
    from acrank.records import Ranking

    found = next((path for path in outputs if path.suffix == ".json" and is_there(path)), None)
    if found is None:
        say("nothing to resume: starting anew")
    return Ranking.load(found) if found else None
