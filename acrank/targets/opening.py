"""Opening a target: its layout is recognised, and no image is decoded.

A new layout is one file with its `NAME`, `USES` and opener, and one row in `LAYOUTS`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acrank.errors import TargetError, UsageError
from acrank.system.bounds import first_bytes
from acrank.targets.group_columns import tells_columns
from acrank.targets.group_table import groups_of_table
from acrank.targets.grouping import group_names, groups_note
from acrank.targets.layouts import array_files, arrays, class_folders, image_table, mask_folders, volume_datasets
from acrank.targets.stores.slices import slice_volumes
from acrank.targets.target import Target, first_few, split_in_use
from acrank.targets.target_options import TargetOptions


@dataclass(frozen=True)
class Layout:
    """One layout of a folder or file.

    Attributes:
        open: (path, options) -> Target.
        uses: names of the options that it supports.
        magic: first bytes of such a file; empty if it has none.
        suffixes: suffixes of such a file, lower case; empty for folders.
    """

    open: Callable[[Path, TargetOptions], Target]
    uses: frozenset[str]
    magic: bytes = b""
    suffixes: tuple[str, ...] = ()


#: Name -> layout.
LAYOUTS: dict[str, Layout] = {
    class_folders.NAME: Layout(class_folders.open_folders, class_folders.USES),
    **{
        name: Layout(array_files.open_array_target, arrays.USES, magic=kind.magic, suffixes=kind.suffixes)
        for name, kind in array_files.KINDS.items()
    },
    image_table.NAME: Layout(image_table.open_table, image_table.USES, suffixes=(".csv", ".tsv")),
    mask_folders.NAME: Layout(mask_folders.open_masks, mask_folders.USES),
    volume_datasets.DECATHLON: Layout(volume_datasets.open_decathlon, volume_datasets.USES),
    volume_datasets.NNUNET: Layout(volume_datasets.open_nnunet, volume_datasets.USES),
}

#: A head has a value for each at every labelled position, of which a draw has thousands.
MOST_MASK_CLASSES = 5000
#: Options that do not depend on the layout.
_OF_EVERY_LAYOUT = ("bad_images", "group_pattern", "group_table", "doubts")


def open_target(path: str | os.PathLike[str], options: TargetOptions | None = None, **fields: Any) -> Target:
    """Open labelled images or volumes: class folders, an .npz or HDF5 file of arrays, or a table of paths and labels.

    For segmentation: a folder with images/ and masks/, arrays of images and of masks, or NIfTI volumes in the layout of
    Decathlon or nnU-Net v2.

    Args:
        path: the folder or file; its layout is inferred from its content, then from its suffix.
        options: how to open it.
        **fields: fields of `TargetOptions`, such as `split="all"`, that replace those of `options`.

    Raises:
        TargetError: the target cannot be used; the message says why.
        UsageError: an option has an invalid value, or the target does not support it.
        TypeError: an unknown keyword.

    Example:
        >>> import numpy, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> file = os.path.join(folder.name, "small.npz")
        >>> numpy.savez(file, images=numpy.zeros((4, 8, 8), numpy.uint8), labels=numpy.array([0, 0, 1, 1]))
        >>> target = open_target(file, task="classification")
        >>> target.task, target.ids, target.read(0).shape
        ('classification', ('0', '1', '2', '3'), (1, 8, 8))
        >>> folder.cleanup()
    """
    path = Path(path)
    options = dataclasses.replace(options or TargetOptions(), **fields)
    try:
        return _opened(path, options)
    except OSError as error:  # such as a folder that may not be read, or no longer
        where = path if error.filename is None else os.fsdecode(error.filename)
        raise TargetError(f"cannot read {where}: {error.strerror or error}", hint="check the path") from error


def _opened(path: Path, options: TargetOptions) -> Target:
    layout = _layout_of(path, options)
    _refuse_unsupported(path, layout, options)
    target = _grouped(LAYOUTS[layout].open(path, options), options)
    _refuse_volume_options(path, target, options)
    if target.task == "segmentation" and len(target.classes) > MOST_MASK_CLASSES:
        raise TargetError(
            f"{path} has {len(target.classes)} classes of masks, more than {MOST_MASK_CLASSES}",
            hint="list the classes that occur; every labelled position has a value for each",
        )
    target.add_note(None if options.group_table else _tables_note(path))
    target = dataclasses.replace(
        target,
        split=split_in_use(options.split, target.notes),
        bad_images=options.bad_images or "skip",
        doubts=options.doubts or "refuse",
    )
    return target if options.slices is None else slice_volumes(target, options.slices)


def _grouped(target: Target, options: TargetOptions) -> Target:
    """The target with the groups that the user asks for, and a note on them, or on those that its names suggest."""
    if options.group_pattern is not None and (options.group_table or options.group_column):
        raise UsageError("--group-pattern and a column of groups exclude each other", hint="leave one out")
    if options.group_table is not None:
        groups = groups_of_table(target.ids, Path(options.group_table), options.group_column)
        target = dataclasses.replace(target, groups=groups)
    if options.group_pattern is not None:
        target = dataclasses.replace(target, groups=group_names(target.ids, options.group_pattern))
    by_user = options.group_pattern or options.group_column or options.group_table
    if by_user or (target.groups is None and not tells_columns(target.notes)):
        target.add_note(groups_note(target) or None)
    return target


def _tables_note(path: Path) -> str | None:
    """The note on tables that lie in a folder, which may hold labels or groups."""
    names = [one.name for one in path.iterdir()] if path.is_dir() else []
    tables = sorted(name for name in names if name.lower().endswith((".csv", ".tsv")) and not name.startswith("."))
    read = "--data takes a table, --group-table one of groups"
    return f"tables in the folder are not read: {first_few(tables, 3)} ({read})" if tables else None


def _layout_of(path: Path, options: TargetOptions) -> str:
    if os.path.isdir(path):  # noqa: PTH112 - unlike is_dir, it takes overlong paths
        return volume_datasets.layout_of(path) or _layout_of_files(path, options)
    start = first_bytes(path, 8, TargetError)
    by_content = [name for name, layout in LAYOUTS.items() if layout.magic and start.startswith(layout.magic)]
    by_suffix = [name for name, layout in LAYOUTS.items() if path.suffix.lower() in layout.suffixes]
    if not by_content and not by_suffix:
        raise TargetError(
            f"unsupported target {path}", hint="give a folder of class folders, .npz, .npy, .h5, .csv or .tsv"
        )
    return (by_content or by_suffix)[0]


def _layout_of_files(path: Path, options: TargetOptions) -> str:
    if options.class_folders is not None:
        return class_folders.NAME
    return mask_folders.NAME if mask_folders.is_mask_folder(path, options) else class_folders.NAME


def _refuse_unsupported(path: Path, layout: str, options: TargetOptions) -> None:
    used = {*_OF_EVERY_LAYOUT, *LAYOUTS[layout].uses, *(("group_column",) if options.group_table else ())}
    for option, value in dataclasses.asdict(options).items():
        if value not in (None, False) and option not in used:
            if option == "group_column":
                raise UsageError(
                    f"--group-column needs a table, and {path} is none (layout: {layout})",
                    hint="name the table that has it: --group-table FILE",
                )
            takers = " and ".join(name for name, other in LAYOUTS.items() if option in other.uses)
            raise UsageError(
                f"--{option.replace('_', '-')} does not apply to {path} (layout: {layout})",
                hint=f"it is for {takers}; leave it out",
            )


def _refuse_volume_options(path: Path, target: Target, options: TargetOptions) -> None:
    for option in ("slices", "spacing"):
        if target.axes == 2 and getattr(options, option) is not None:
            raise UsageError(
                f"--{option} is for volumes, and {path} holds images",
                hint="leave it out; of arrays, volumes of four slices or fewer must be stored as [N, 1, D, H, W]",
            )
