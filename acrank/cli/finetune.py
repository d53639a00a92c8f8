"""`acrank finetune`: the ground truth, by finetuning every candidate."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli.console import check_outputs, say, show, warn
from acrank.cli.options import AllowCodeOption, Format, FormatOption, OutputOption, VerboseOption, ZooOption
from acrank.cli.target_options import (
    DataOption,
    ImageColumnOption,
    ImagesKeyOption,
    IntensityOption,
    LabelColumnOption,
    LabelsKeyOption,
    SlicesOption,
    SpacingOption,
    TaskOption,
    spacing_of,
    task_named,
)
from acrank.errors import UsageError
from acrank.formats import format_of, render
from acrank.system.files import atomic_write

if TYPE_CHECKING:
    from acrank.finetuning import Outcome, Results
    from acrank.finetuning.flow import Progress

DEFAULT_OUTPUT = Path("truth.csv")


def finetune(
    data: DataOption,
    zoo: ZooOption = Path("model_zoo.yaml"),
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="Comma-separated: vanilla, ac-norm, l2-sp, delta, bss, stochnorm, bn-only, linear-probe, "
            "from-scratch. + combines: ac-norm+l2-sp.",
        ),
    ] = "vanilla",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds per split: heads and order of batches.")] = 1,
    splits: Annotated[int, typer.Option("--splits", min=1, help="Partitions into train, validation and test.")] = 3,
    split_by: Annotated[
        str,
        typer.Option("--split-by", help="seed: stratified partitions. target: the target's own train, val and test."),
    ] = "seed",
    val_share: Annotated[float, typer.Option("--val-share", help="Share of the images that validates.")] = 0.2,
    test_share: Annotated[float, typer.Option("--test-share", help="Share of the images that tests.")] = 0.3,
    train_size: Annotated[
        int | None, typer.Option("--train-size", min=1, help="Train on so many images only. [all]")
    ] = None,
    lr: Annotated[
        str, typer.Option("--lr", help="Learning rates to choose from. [sgd: 0.1,0.03,0.01, adamw: 0.01,0.003,0.001]")
    ] = "",
    optimiser: Annotated[str, typer.Option("--optimiser", help="sgd (momentum 0.9) or adamw.")] = "sgd",
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Of all that trains; not under l2-sp.")] = 1e-4,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="At most; the cosine schedule ends there.")] = 20,
    patience: Annotated[
        int, typer.Option("--patience", min=0, help="Epochs without improvement before stopping; 0: never.")
    ] = 5,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Images per step, or patches. [32; segmentation: 8]")
    ] = None,
    patches: Annotated[
        int, typer.Option("--patches", min=1, help="Segmentation: patches of every training image in an epoch.")
    ] = 8,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            help="balanced_accuracy (default), accuracy, auc or kappa (quadratic-weighted); "
            "for segmentation dice (default) or iou.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option("--loss", help="ce: cross-entropy; dice-ce: with soft Dice. [ce; segmentation: dice-ce]"),
    ] = None,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="Weigh classes inversely to their size in the loss.")
    ] = False,
    augment: Annotated[
        str, typer.Option("--augment", help="light (flips, shifts by up to a sixteenth) or none.")
    ] = "light",
    amp: Annotated[
        bool | None, typer.Option("--amp/--no-amp", help="Run networks in mixed precision. [on CUDA only]")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Only these ids or patterns of the manifest. Repeatable.", metavar="ID"),
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Only candidates with this tag. Repeatable.")] = None,
    task: TaskOption = None,
    images_key: ImagesKeyOption = None,
    labels_key: LabelsKeyOption = None,
    image_column: ImageColumnOption = None,
    label_column: LabelColumnOption = None,
    intensity: IntensityOption = None,
    slices: SlicesOption = None,
    spacing: SpacingOption = None,
    work_dir: Annotated[
        Path | None,
        typer.Option("--work-dir", metavar="DIR", help="Keeps what is finished. [beside the output: truth.work]"),
    ] = None,
    save_dir: Annotated[
        Path | None, typer.Option("--save-dir", metavar="DIR", help="Save the finetuned networks here (safetensors).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what the work folder holds.")] = False,
    device: Annotated[
        str, typer.Option("--device", envvar="ACRANK_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    allow_code: AllowCodeOption = False,
    output: OutputOption = None,
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
    from acrank.finetuning.finetune_settings import FinetuneSettings
    from acrank.finetuning.methods import parse_methods
    from acrank.zoo import load_zoo

    methods = parse_methods(method)
    settings = FinetuneSettings(
        lrs=rates_of(lr),
        optimiser=optimiser,
        weight_decay=weight_decay,
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        patches=patches,
        train_size=train_size,
        val_share=val_share,
        test_share=test_share,
        split_by=split_by,
        metric=metric,
        loss=loss,
        class_weights=class_weights,
        augment=augment,
        amp=amp,
        device=device,
        allow_code=allow_code,
    )
    chosen = load_zoo(zoo).select(models or (), tags or ())
    from acrank.finetuning.flow import finetune as run
    from acrank.finetuning.splits import open_splits
    from acrank.targets import Options

    about = Options(
        images_key=images_key,
        labels_key=labels_key,
        image_column=image_column,
        label_column=label_column,
        task=task_named(task),
        intensity=intensity,
        slices=slices,
        spacing=spacing_of(spacing),
    )
    target = open_splits(data, about, split_by=split_by)
    with _progress() as on_epoch:
        results = run(
            chosen,
            target,
            methods,
            settings,
            work_dir=work_dir or outputs[0].with_suffix(".work"),
            seeds=seeds,
            splits=splits,
            resume=resume,
            save_dir=save_dir,
            on_result=lambda partial, outcome: _on_result(partial, outcome, outputs),
            on_epoch=on_epoch,
        )
    write(results, outputs)
    for text in results.warnings:
        warn(text)
    show(results.view(format), format)
    if not output:
        say(f"written: {', '.join(str(path) for path in outputs)}")


def rates_of(text: str) -> tuple[float, ...]:
    """Learning rates from a comma-separated list.

    Raises:
        UsageError: one is not a number.

    >>> rates_of("0.1,0.03")
    (0.1, 0.03)
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"--lr {text!r} is not a list of numbers", hint="write --lr 0.1,0.03,0.01") from error


def write(results: Results, paths: tuple[Path, ...]) -> None:
    """The results to each path: the truth table as .csv, everything as .json, the means as .md and .txt."""
    for path in paths:
        atomic_write(path, render(results.view(format_of(path)), format_of(path)))


def _on_result(partial: Results, outcome: Outcome, outputs: tuple[Path, ...]) -> None:
    write(partial, outputs)
    if outcome.reason:
        where = f"{outcome.method}, split {outcome.split}, seed {outcome.seed}"
        warn(f"{outcome.model} ({where}) failed: {outcome.reason}")


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None] | None]:
    """A bar with candidate, learning rate, epoch and time left on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("loading", total=None)

        def advance(at: Progress) -> None:
            key = at.key
            text = f"{key.model}, {key.method}, split {key.split}, seed {key.seed}, lr {at.lr:g}, epoch {at.epoch}"
            bar.update(task, completed=at.done, total=at.total, description=text)

        yield advance
