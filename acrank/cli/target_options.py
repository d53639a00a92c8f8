"""What the target is and how it is read: the options of `acrank score` for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.errors import UsageError

if TYPE_CHECKING:
    from acrank.targets import Task

DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="ACRANK_DATA",
        metavar="PATH",
        help="Target: class folders, .npz, .h5, a CSV of paths; images/ and masks/; volumes with dataset.json.",
    ),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Split of the target; 'all' joins them. [train]")]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", help="classification, multilabel, regression or segmentation. [told from the labels]", metavar="TASK"
    ),
]
ImagesKeyOption = Annotated[str | None, typer.Option("--images-key", help="Name of the images in .npz or HDF5.")]
LabelsKeyOption = Annotated[
    str | None, typer.Option("--labels-key", help="Name of the labels, or masks, in .npz or HDF5.")
]
ImageColumnOption = Annotated[str | None, typer.Option("--image-column", help="Column of paths in a CSV.")]
LabelColumnOption = Annotated[str | None, typer.Option("--label-column", help="Column of labels in a CSV.")]
IntensityOption = Annotated[
    str | None,
    typer.Option(
        "--intensity",
        help="Volumes: window:LOW,HIGH, percentile or zscore. [CT: window:-1000,1000, else percentile]",
    ),
]
SlicesOption = Annotated[
    int | None,
    typer.Option(
        "--slices",
        help="Volumes: so many adjacent axial slices as the channels of an image, for 2D candidates; odd.",
        metavar="K",
    ),
]
SpacingOption = Annotated[
    str | None,
    typer.Option("--spacing", help="NIfTI: resample to these millimetres, such as 1,1,2.5.", metavar="X,Y,Z"),
]


def spacing_of(text: str | None) -> tuple[float, float, float] | None:
    """Three numbers, separated by commas.

    Raises:
        UsageError: anything else.

    Example:
        >>> spacing_of("1,1,2.5")
        (1.0, 1.0, 2.5)
    """
    if text is None:
        return None
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"no spacing {text!r}", hint="three numbers in millimetres, such as 1,1,2.5") from error
    return x, y, z


def task_named(text: str | None) -> Task | None:
    """The task of that name.

    Raises:
        UsageError: there is none.

    Example:
        >>> task_named("regression")
        'regression'
    """
    from acrank.targets.target import TASKS

    found = next((task for task in TASKS if task == text), None)
    if text is not None and found is None:
        raise UsageError(f"there is no task {text!r}", hint=f"choose one of {', '.join(TASKS)}")
    return found
