"""`acrank score`: rank a zoo for a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli.console import check_outputs, finish, say, tell_notes, tell_target, write
from acrank.cli.execution import Execution, running
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
from acrank.cli.progress import is_shown, progress
from acrank.cli.saving import saving
from acrank.settings import Settings
from acrank.targets.target_options import TargetOptions

if TYPE_CHECKING:
    from acrank.cache import ObservationCache
    from acrank.executors import TaskExecutor
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
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Keep the scored rows of the run record that is there.", rich_help_panel="Output"
        ),
    ] = False,
    no_cache: NoCacheOption = False,
    output: OutputOption = None,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Rank the candidates of a manifest for your images.

    Each candidate is wrapped in AC-Norm and takes one step on a sampled batch; scores are computed from how the affine
    parameters of its normalisation layers moved and from how well its layers separate the classes. Without -o,
    ./scores.csv and ./run.json are written too.
    """
    outputs = tuple(output or DEFAULT_OUTPUTS)
    check_outputs(outputs)
    execution.check_devices(settings.device)
    earlier = _earlier(outputs) if resume else None
    from acrank.targets import open_target

    opened = open_target(data, target)
    candidates = execution.part_of(zoo.load())
    with running(execution) as executor:
        ranking = run_and_save(
            candidates, opened, settings, outputs=outputs, cache=cache_of(no_cache), earlier=earlier, executor=executor
        )
    finish(ranking.view(), format, () if output else outputs)


def run_and_save(
    zoo: Zoo,
    target: Target,
    settings: Settings,
    *,
    outputs: tuple[Path, ...],
    cache: ObservationCache | None,
    earlier: Ranking | None = None,
    executor: TaskExecutor | None = None,
) -> Ranking:
    """Score with progress on stderr; `outputs` are rewritten as candidates are done, see `saving`."""
    from acrank.ranking.scoring import score as run

    told: list[str] = []
    with saving(outputs) as save, progress("scoring") as advance:

        def on_target(understanding: Understanding) -> None:
            told.extend(understanding.warnings)
            tell_target(understanding)

        def on_row(partial: Ranking, model: str, done: int, total: int) -> None:
            save(partial)
            best = partial.best
            advance(done, total, f"best so far: {best.model}" if best else "scoring")
            if not is_shown():
                say(f"{done}/{total} {_done(partial, model)}")

        ranking = run(
            zoo,
            target,
            settings,
            cache=cache,
            resume=earlier,
            on_row=on_row,
            on_target=on_target,
            executor=executor,
        )
    write(ranking.view(), outputs)
    _tell_reached(ranking)
    tell_notes(ranking, told)
    return ranking


def _tell_reached(ranking: Ranking) -> None:
    """The values that reach the first candidate, to stderr."""
    found = ranking.target["understood"].get("normalised")
    if found:
        low, high, mean, deviation = (found[name] for name in ("low", "high", "mean", "deviation"))
        values = f"{low:.3g} to {high:.3g}, mean {mean:.3g}, standard deviation {deviation:.3g}"
        say(f"data: values that reach {found['model']}: {values}")


def _done(ranking: Ranking, model: str) -> str:
    """One candidate in a line: its value of the ranking score, or why it has none, and its seconds."""
    row = next(row for row in ranking.rows if row.model == model)
    value = row.value(ranking.rank_by)
    found = row.reason or "no value" if value is None else f"{ranking.rank_by} {value:.4g}"
    draws = f", {row.details.draws} draws" if (row.details.draws or 1) > 1 else ""
    return f"{model}: {found} ({row.seconds or 0:.1f} s{draws})"


def cache_of(no_cache: bool) -> ObservationCache | None:
    """The cache of observations, None with --no-cache."""
    from acrank.cache import ObservationCache

    return None if no_cache else ObservationCache().open()


def _earlier(outputs: tuple[Path, ...]) -> Ranking | None:
    from acrank.records import Ranking

    found = next((path for path in outputs if path.suffix == ".json" and path.exists()), None)
    if found is None:
        say("nothing to resume: starting anew")
    return Ranking.load(found) if found else None
