"""`acrank score`: rank a zoo for a target."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli.console import check_outputs, say, show, warn, write
from acrank.cli.execution_options import (
    AmpOption,
    DeterministicOption,
    DevicesOption,
    Execution,
    ExecutorOption,
    RayAddressOption,
    RayCpusOption,
    RayGpusOption,
    ShardOption,
    ThreadsOption,
    TimeoutOption,
    WorkersOption,
    devices_of,
    running,
    shard_of,
)
from acrank.cli.options import (
    AllowCodeOption,
    Format,
    FormatOption,
    NoCacheOption,
    OutputOption,
    SeedOption,
    VerboseOption,
    ZooOption,
)
from acrank.cli.saving import saving
from acrank.cli.target_options import (
    DataOption,
    ImageColumnOption,
    ImagesKeyOption,
    IntensityOption,
    LabelColumnOption,
    LabelsKeyOption,
    SlicesOption,
    SpacingOption,
    SplitOption,
    TaskOption,
    spacing_of,
    task_named,
)
from acrank.formats import View

if TYPE_CHECKING:
    from acrank.cache import ObservationCache
    from acrank.executors import TaskExecutor
    from acrank.records import Ranking
    from acrank.settings import Settings
    from acrank.targets import Target
    from acrank.zoo import Zoo

Advance = Callable[[int, "Ranking"], None]
DEFAULT_OUTPUTS = (Path("scores.csv"), Path("run.json"))


def score(
    data: DataOption,
    zoo: ZooOption = Path("model_zoo.yaml"),
    protocol: Annotated[
        str, typer.Option("--protocol", envvar="ACRANK_PROTOCOL", help="one-step, or official (one epoch, slow).")
    ] = "one-step",
    scores: Annotated[
        str, typer.Option("--scores", envvar="ACRANK_SCORES", help="Comma-separated names of `acrank scores`, or all.")
    ] = "",
    rank_by: Annotated[
        str, typer.Option("--rank-by", envvar="ACRANK_RANK_BY", help="Score that orders the table, or consensus.")
    ] = "",
    statistics: Annotated[
        str,
        typer.Option(
            "--statistics",
            envvar="ACRANK_STATISTICS",
            help="Features under the target's or source's BatchNorm statistics.",
        ),
    ] = "target",
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            envvar="ACRANK_SAMPLES",
            help="Images per draw (patches for masks). [one-step: 128, masks: 16; official: all]",
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", envvar="ACRANK_REPEATS", help="Independent draws. [one-step: 3, official: 1]"),
    ] = None,
    step_size: Annotated[
        float | None,
        typer.Option("--step-size", envvar="ACRANK_STEP_SIZE", help="Learning rate. [one-step: 0.1, official: 0.01]"),
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", envvar="ACRANK_HEAD", help="ridge or random. [one-step: ridge]")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            envvar="ACRANK_LAYERS",
            help="all, last, encoder, or a pattern like 'layer4.*'. [one-step: all, masks: encoder; official: last]",
        ),
    ] = None,
    per_channel: Annotated[
        bool | None,
        typer.Option("--per-channel/--raw", help="Divide AC-Corr by the width. [one-step: per channel, official: raw]"),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Only these ids or patterns of the manifest. Repeatable.", metavar="ID"),
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Only candidates with this tag. Repeatable.")] = None,
    split: SplitOption = None,
    task: TaskOption = None,
    images_key: ImagesKeyOption = None,
    labels_key: LabelsKeyOption = None,
    image_column: ImageColumnOption = None,
    label_column: LabelColumnOption = None,
    intensity: IntensityOption = None,
    slices: SlicesOption = None,
    spacing: SpacingOption = None,
    device: Annotated[
        str, typer.Option("--device", envvar="ACRANK_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    amp: AmpOption = False,
    deterministic: DeterministicOption = False,
    executor: ExecutorOption = None,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    devices: DevicesOption = "",
    timeout: TimeoutOption = None,
    ray_address: RayAddressOption = "auto",
    ray_cpus: RayCpusOption = 1,
    ray_gpus: RayGpusOption = 0,
    shard: ShardOption = "",
    seed: SeedOption = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the scored rows of the run record that is there.")
    ] = False,
    no_cache: NoCacheOption = False,
    allow_code: AllowCodeOption = False,
    output: OutputOption = None,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Rank the candidates of a manifest for your images.

    Each candidate is wrapped in AC-Norm and takes one step on a sampled batch; scores are read from how its
    normalisation affines moved and from what its layers told apart. Without -o, ./scores.csv and ./run.json are
    written too.
    """
    outputs = tuple(output or DEFAULT_OUTPUTS)
    check_outputs(outputs)
    execution = Execution(executor, workers, threads, devices_of(devices), timeout, ray_address, ray_cpus, ray_gpus)
    execution.check(device)
    earlier = _earlier(outputs) if resume else None
    from acrank.settings import Settings
    from acrank.targets import open_target
    from acrank.zoo import load_zoo

    settings = Settings.of(
        protocol,
        scores=[name.strip() for name in scores.split(",") if name.strip()],
        rank_by=rank_by,
        statistics=statistics,
        head=head,
        step_size=step_size,
        samples=samples,
        repeats=repeats,
        layers=layers,
        per_channel=per_channel,
        seed=seed,
        device=device,
        allow_code=allow_code,
        amp=amp,
        deterministic=deterministic,
    )
    opened = open_target(
        data,
        images_key=images_key,
        labels_key=labels_key,
        split=split,
        image_column=image_column,
        label_column=label_column,
        task=task_named(task),
        intensity=intensity,
        slices=slices,
        spacing=spacing_of(spacing),
    )
    chosen = shard_of(load_zoo(zoo).select(models or (), tags or ()), shard)
    with running(execution) as where:
        ranking = run_and_save(chosen, opened, settings, outputs, cache_of(no_cache), earlier, where)
    show(view_of(ranking), format)
    if not output:
        say(f"written: {', '.join(str(path) for path in outputs)}")


def run_and_save(
    zoo: Zoo,
    target: Target,
    settings: Settings,
    outputs: tuple[Path, ...],
    cache: ObservationCache | None,
    earlier: Ranking | None = None,
    executor: TaskExecutor | None = None,
) -> Ranking:
    """Score with progress on stderr; `outputs` are rewritten as candidates are done, see `saving`."""
    from acrank.ranking.scoring import score as run

    with saving(view_of, outputs) as save, _progress(len(zoo.candidates)) as advance:

        def on_row(partial: Ranking, done: int, total: int) -> None:
            save(partial)
            advance(done, partial)

        ranking = run(zoo, target, settings, cache=cache, resume=earlier, on_row=on_row, executor=executor)
    write(view_of(ranking), outputs)
    for text in ranking.warnings:
        warn(text)
    for row in ranking.rows:
        for note in row.notes:
            say(f"note: {row.model}: {note}")
    return ranking


def cache_of(no_cache: bool) -> ObservationCache | None:
    """The cache of observations, unless it is not wanted."""
    from acrank.cache import ObservationCache

    return None if no_cache else ObservationCache().open()


def view_of(ranking: Ranking) -> View:
    """The ranking as a view: what the table and markdown show, and the record that JSON writes."""
    columns = ranking.columns()
    rank_by = ranking.rank_by
    arrow = "higher" if ranking.higher_is_better[rank_by] else "lower"
    names = [name for name in ranking.score_names if name != rank_by]
    brief = ["rank", "band", "model", rank_by, f"{rank_by}_sd", *names, "seconds"]
    if any(row.status == "skipped" for row in ranking.rows):
        brief += ["status", "reason"]
    title = f"{ranking.target.get('name', 'target')}: by {rank_by} ({arrow} is better)"
    return View(columns=columns, rows=ranking.cells(), record=ranking.to_record(), title=title, brief=brief)


def _earlier(outputs: tuple[Path, ...]) -> Ranking | None:
    from acrank.records import Ranking

    found = next((path for path in outputs if path.suffix == ".json" and path.exists()), None)
    if found is None:
        say("nothing to resume: starting anew")
    return Ranking.load(found) if found else None


@contextmanager
def _progress(total: int) -> Iterator[Advance]:
    """A bar with candidate and time left on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, partial: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    with bar:
        task = bar.add_task("scoring", total=total)

        def advance(done: int, partial: Ranking) -> None:
            best = partial.best
            bar.update(task, completed=done, description=f"best so far: {best.model}" if best else "scoring")

        yield advance
