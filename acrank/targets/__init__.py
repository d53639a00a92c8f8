"""Targets: labelled images or volumes in folders, .npz, HDF5 or tables, or with masks; none is decoded on opening.

A new layout is one file with `LAYOUT`, `USES` and an opener, and one row in `READERS`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acrank.errors import TargetError, UsageError
from acrank.targets.layouts import class_folders, hdf5, image_table, mask_folders, npz, volume_datasets
from acrank.targets.stores.slices import sliced
from acrank.targets.target import TASKS, Options, Spacing, Target, Task

__all__ = ["READERS", "Options", "Reader", "Spacing", "Target", "Task", "open_target", "open_with"]


@dataclass(frozen=True)
class Reader:
    """One layout: how to recognise it, the options it takes, and its opener.

    Attributes:
        open: (path, options) -> Target.
        uses: names of the options it understands.
        magic: first bytes of such a file; empty where there are none.
        suffixes: suffixes of such a file, lower case; empty for folders.
    """

    open: Callable[[Path, Options], Target]
    uses: frozenset[str]
    magic: bytes = b""
    suffixes: tuple[str, ...] = ()


#: Layout -> reader.
READERS: dict[str, Reader] = {
    class_folders.LAYOUT: Reader(class_folders.open_folders, class_folders.USES),
    npz.LAYOUT: Reader(npz.open_npz, npz.USES, b"PK\x03\x04", (".npz",)),
    hdf5.LAYOUT: Reader(hdf5.open_hdf5, hdf5.USES, b"\x89HDF\r\n\x1a\n", (".h5", ".hdf5", ".hdf")),
    image_table.LAYOUT: Reader(image_table.open_table, image_table.USES, b"", (".csv", ".tsv")),
    mask_folders.LAYOUT: Reader(mask_folders.open_masks, mask_folders.USES),
    volume_datasets.DECATHLON: Reader(volume_datasets.open_decathlon, volume_datasets.USES),
    volume_datasets.NNUNET: Reader(volume_datasets.open_nnunet, volume_datasets.USES),
}


def open_target(
    path: str | os.PathLike[str],
    *,
    images_key: str | None = None,
    labels_key: str | None = None,
    split: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    task: Task | None = None,
    intensity: str | None = None,
    slices: int | None = None,
    spacing: Spacing | None = None,
) -> Target:
    """Open labelled images: a folder of class folders, an .npz or HDF5 file of arrays, or a table of paths and labels.

    Instead of images there may be volumes: NIfTI files, or arrays of one more axis. For segmentation: a folder with
    images/ and masks/, arrays with arrays of masks, or NIfTI in Decathlon's or nnU-Net v2's raw layout.

    Args:
        path: the folder or file; the layout is told from its content, then from its suffix.
        images_key, labels_key: names of the arrays in an .npz or HDF5 file.
        split: which split to read ("train" where there are splits; "all" joins them).
        image_column, label_column: columns of a table; several label columns are separated by commas.
        task: "classification", "multilabel", "regression" or "segmentation"; None tells from the labels.
        intensity: how a volume's values become [0, 1]: "window:LOW,HIGH", "percentile" or "zscore"; None takes a window
            of -1000 to 1000 where dataset.json says CT, the whole range for arrays of uint8, and percentiles for all
            else.
        slices: an odd number of adjacent axial slices that are the channels of an image, so that candidates for images
            can be ranked on volumes (see `acrank.targets.stores.slices`).
        spacing: millimetres along x, y and z to which NIfTI volumes are resampled when they are read.

    Raises:
        TargetError: the target cannot be used; the message says why.
        UsageError: an unknown task or rule, or an option that the layout, or a target of images, does not have.

    Example:
        >>> import numpy, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> file = os.path.join(folder.name, "small.npz")
        >>> numpy.savez(file, images=numpy.zeros((4, 8, 8), numpy.uint8), labels=numpy.array([0, 0, 1, 1]))
        >>> target = open_target(file)
        >>> target.task, target.ids, target.read(0).shape
        ('classification', ('0', '1', '2', '3'), (1, 8, 8))
        >>> folder.cleanup()
    """
    return open_with(
        path, Options(images_key, labels_key, split, image_column, label_column, task, intensity, slices, spacing)
    )


def open_with(path: str | os.PathLike[str], options: Options) -> Target:
    """`open_target` with its options as one value.

    Raises:
        TargetError, UsageError: as `open_target`.
    """
    where = Path(path)
    layout = _layout(where)
    _refuse_options(where, layout, options)
    target = READERS[layout].open(where, options)
    _refuse_for_images(where, target, options)
    return target if options.slices is None else sliced(target, options.slices)


def _layout(path: Path) -> str:
    if path.is_dir():
        return volume_datasets.layout_of(path) or (
            mask_folders.LAYOUT if mask_folders.is_masked(path) else class_folders.LAYOUT
        )
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise TargetError(f"cannot read the target {path}: {error.strerror}", hint="check the path") from error
    for layout, reader in READERS.items():
        if reader.magic and start.startswith(reader.magic):
            return layout
    for layout, reader in READERS.items():
        if path.suffix.lower() in reader.suffixes:
            return layout
    raise TargetError(
        f"{path} is no target that acrank reads", hint="give a folder of class folders, .npz, .h5, .csv or .tsv"
    )


def _refuse_options(path: Path, layout: str, options: Options) -> None:
    if options.task is not None and options.task not in TASKS:
        raise UsageError(f"there is no task {options.task!r}", hint=f"choose one of {', '.join(TASKS)}")
    if options.slices is not None and (options.slices < 1 or options.slices % 2 == 0):
        raise UsageError(f"{options.slices} slices have no middle one", hint="an odd number: 1, 3 or 5")
    if options.spacing is not None and not (
        len(options.spacing) == 3 and all(0 < one < 1e4 for one in options.spacing)
    ):
        raise UsageError(f"no spacing {options.spacing}", hint="three positive numbers, in millimetres")
    for option, value in dataclasses.asdict(options).items():
        if value is not None and option not in READERS[layout].uses:
            takers = " and ".join(name for name, reader in READERS.items() if option in reader.uses)
            raise UsageError(
                f"--{option.replace('_', '-')} does not apply to {path} (layout: {layout})",
                hint=f"it is for {takers}; leave it out",
            )


def _refuse_for_images(path: Path, target: Target, options: Options) -> None:
    for option, value in (
        ("intensity", options.intensity),
        ("slices", options.slices),
        ("spacing", options.spacing),
    ):
        if value is not None and target.axes == 2:
            raise UsageError(
                f"--{option} is for volumes, and {path} holds images",
                hint="leave it out; of arrays, volumes of four slices or fewer must be stored as [N, 1, D, H, W]",
            )
