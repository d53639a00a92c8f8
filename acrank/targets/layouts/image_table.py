"""Tables: a CSV or TSV file with the path of one image or volume and its label, or labels, per row."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.system.words import closest
from acrank.targets.data_folder import DataFolder, Identity, once
from acrank.targets.group_columns import columns_note
from acrank.targets.grouping import check_groups
from acrank.targets.label_cells import read_cells
from acrank.targets.labels import encode_labels
from acrank.targets.layouts.image_lookup import find_images
from acrank.targets.layouts.labelled_files import holds_dicom, open_labelled
from acrank.targets.layouts.missing_files import IS_MISSING
from acrank.targets.layouts.table_file import ListedRow, doubtful_notes, read_table, refuse_broken, tidy_path
from acrank.targets.split_columns import splits_of_table
from acrank.targets.split_names import choose_splits, split_kind
from acrank.targets.target import Target, build_target, first_few
from acrank.targets.target_options import TargetOptions

NAME = "table"
USES = frozenset(
    {"split", "image_column", "label_column", "task", "intensity", "slices", "spacing", "pages", "dicom"}
    | {"allow_outside", "image_root", "uncertain", "missing_labels", "group_column"}
)

#: Characters of one label.
_LONGEST_LABEL = 256

_IMAGE_NAMES = ("path", "image", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img")
_LABEL_NAMES = ("label", "class", "target", "category")
#: Names that count where no column has one of those above.
_RARER_NAMES = {"image": ("image_id", "image_name"), "label": ("diagnosis", "dx")}


def open_table(path: Path, options: TargetOptions) -> Target:
    """Open a table with a header; paths are relative to the table's folder, or `image_root`, and are the ids.

    A path may lack its suffix, or its folder where no other file below has the name; it may be the folder of a DICOM
    series. Cells of several labels (`a|b`) make a multilabel task.

    The columns are given, or recognised by usual names. `label_column` may name several columns of 0 and 1, separated
    by commas, for a multilabel task. A column called `split` gives splits, else the only one
    that holds nothing but words such as train and test, else those of truth values such as `is_valid`, or of folds.
    Backslashes in paths count as slashes.

    Absolute paths are read wherever they lie, for the user named the table, and noted where they lie outside its
    folder. Relative paths and links that lead outside are refused without `allow_outside`. An image that is listed
    twice, under whatever spelling or link, counts once.

    Raises:
        TargetError: columns not found or ambiguous, rows that do not fit the header, images missing, outside, or
            with two labels; labels missing or not fitting the task; a table that is too large.
    """
    notes: list[str] = []
    header, rows, delimiter = read_table(path)
    image = header.index(_column(path, header, options.image_column, usual=_IMAGE_NAMES, what="image"))
    columns = _label_columns(path, header, options.label_column)
    places = [header.index(name) for name in columns]
    refuse_broken(path, header, rows, places=(image, *places))
    notes += doubtful_notes(rows)
    rows = _rows_of_split(path, header, rows, besides=(image, *places), split=options.split, notes=notes)
    if not rows:
        raise TargetError(f"no images in {path}: the table has no rows", hint="give one row per image")
    _refuse_long(path, rows, places)
    cells = read_cells(
        np.array([[row.cells[place] for place in places] for row in rows]),
        columns,
        ids=_names_of(rows, image),
        options=options,
        delimiter=delimiter,
        where=str(path),
    )
    rows = [rows[place] for place in cells.kept.tolist()]
    values = {row.number: tuple(labels) for row, labels in zip(rows, cells.values.tolist(), strict=True)}
    data = DataFolder(Path(options.image_root or path.parent), allow_outside=options.allow_outside)
    given = {row.number: row for row in rows}
    rows, identities = _found(path, rows, data, image=image, notes=notes, bad_images=options.bad_images)
    there = {row.number for row in rows}
    left_out = {
        tidy_path(row.cells[image]) or f"row {number}": IS_MISSING
        for number, row in given.items()
        if number not in there
    }
    rows = _unique(path, rows, identities, image=image, labels=places, notes=notes)
    rows.sort(key=lambda row: row.cells[image])
    row_of = {row.number: row for row in rows}
    listed = [(row.cells[image], row.number) for row in rows]
    found, info = open_labelled(data, listed, options, by_folder=False)
    ids = tuple(name for name, _ in found)
    rows = [row_of[number] for _, number in found if isinstance(number, int)]
    labels = encode_labels(
        np.array([values[row.number] for row in rows]),
        ids=[f"row {row.number} ({name})" for row, name in zip(rows, ids, strict=True)],
        task=options.task,
        where=str(path),
        names=cells.names,
    )
    if labels.task == "classification":
        _refuse_lost(path, values, there, left_out=left_out)
    groups = _groups(path, header, rows, name=None if options.group_table else options.group_column) or info.groups
    info = dataclasses.replace(info, groups=groups)
    if groups is None and not (options.group_table or options.group_pattern):
        notes += columns_note(header, [row.cells for row in rows], besides=(image, *places))
    notes += [*cells.notes, *data.notes()]
    target = build_target(path, layout=NAME, ids=ids, labels=labels, info=info, notes=notes)
    return dataclasses.replace(target, left_out=tuple(left_out.items()))


def _refuse_lost(
    path: Path, values: Mapping[int, tuple[str, ...]], there: Collection[int], *, left_out: Mapping[str, str]
) -> None:
    """Refuse a table of which all images of a class are missing."""
    lost = {*values.values()} - {values[number] for number in there}
    if lost:
        raise TargetError(
            f"{path}: no image of {first_few(sorted(', '.join(map(str, one)) for one in lost))} is there: "
            f"{first_few(list(left_out), 3)}",
            hint="add the files, or take the class out of the table",
        )


def _groups(
    path: Path, header: Sequence[str], rows: Sequence[ListedRow], *, name: str | None
) -> tuple[str, ...] | None:
    """The group of every row, None without a column of groups."""
    if name is None:
        return None
    place = header.index(_column(path, header, name, usual=(), what="group"))
    refuse_broken(path, header, rows, places=[place])
    lacking = sum(not row.cells[place] for row in rows)
    if lacking:
        raise TargetError(
            f"{path}: {lacking} of {len(rows)} cells of the column {name!r} are empty",
            hint="name the group of every row",
        )
    return check_groups([row.cells[place] for row in rows], f"{path}: the column {name!r}")


def _column(path: Path, header: Sequence[str], name: str | None, *, usual: Sequence[str], what: str) -> str:
    """The column that the user names, else the only one with a usual name."""
    if name in header:
        return str(name)
    known = f"columns: {first_few(header, 12)}"
    if name is not None:
        hint = closest(name, header, f"name one of them: --{what}-column")
        raise TargetError(f"{path} has no column {name!r}; {known}", hint=hint)
    found = [column for column in header if column.lower() in usual]
    found = found or [column for column in header if column.lower() in _RARER_NAMES[what]]
    if len(found) != 1:
        problem = "no column" if not found else f"several columns ({', '.join(found)})"
        raise TargetError(
            f"{path} has {problem} that may hold the {what}; {known}", hint=f"name the column: --{what}-column"
        )
    return found[0]


def _label_columns(path: Path, header: Sequence[str], names: tuple[str, ...] | None) -> list[str]:
    if names is None:
        return [_column(path, header, None, usual=_LABEL_NAMES, what="label")]
    # the name of a single column may hold a comma
    whole = {",".join(names), ", ".join(names)} & {*header}
    return [_column(path, header, name, usual=_LABEL_NAMES, what="label") for name in whole or names]


def _rows_of_split(
    path: Path,
    header: list[str],
    rows: list[ListedRow],
    *,
    besides: Sequence[int],
    split: str | None,
    notes: list[str],
) -> list[ListedRow]:
    found = splits_of_table(header, [row.cells for row in rows], besides=besides)
    notes += found.notes
    if found.names is None and split != "all":
        notes += _splits_of_paths([tidy_path(row.cells[besides[0]]) for row in rows])
    names = sorted({*(found.names or ())} - {""})
    chosen = choose_splits(split, names, path=path, notes=notes)
    if found.names is None or split == "all" or not chosen:
        return rows
    nowhere = [f"row {row.number}" for row, name in zip(rows, found.names, strict=True) if not name]
    if nowhere:
        shown = first_few(nowhere, 3)
        notes.append(f"{len(nowhere)} rows without a split are left out: {shown} (--split all reads them)")
    return [row for row, name in zip(rows, found.names, strict=True) if name in chosen]


def _splits_of_paths(paths: Sequence[str]) -> list[str]:
    """A warning where paths lie in folders called like splits, and no column says which."""
    folders = {name for path in paths for name in path.split("/")[:-1] if split_kind(name) in ("train", "val", "test")}
    if len({split_kind(name) for name in folders}) < 2:
        return []
    named = first_few(sorted(folders))
    return [f"warning: images of {named} are read together: a column `split` tells them apart (or --split all)"]


def _names_of(rows: Sequence[ListedRow], image: int) -> list[str]:
    """The rows for messages: their numbers and images."""
    return [f"row {row.number} ({tidy_path(row.cells[image])})" for row in rows]


def _found(
    path: Path,
    rows: Sequence[ListedRow],
    data: DataFolder,
    *,
    image: int,
    notes: list[str],
    bad_images: str | None,
) -> tuple[list[ListedRow], list[Identity]]:
    """The rows whose images are there, each with the path of its image below the data's folder, and identities."""
    cells = [tidy_path(row.cells[image]) for row in rows]
    images = find_images(data, cells, where=str(path), notes=notes, other=_slices, bad_images=bad_images)
    found = [(row, one) for row, one in zip(rows, images, strict=True) if one is not None]
    named = [
        dataclasses.replace(row, cells=[*row.cells[:image], name, *row.cells[image + 1 :]]) for row, (name, _) in found
    ]
    return named, [identity for _, (_, identity) in found]


def _refuse_long(path: Path, rows: Sequence[ListedRow], labels: Sequence[int]) -> None:
    for row in rows:
        if any(len(row.cells[place]) > _LONGEST_LABEL for place in labels):
            raise TargetError(
                f"{path}: the label in row {row.number} has more than {_LONGEST_LABEL} characters",
                hint="name another label column",
            )


def _slices(data: DataFolder, name: str) -> Identity | None:
    """Of a folder of DICOM slices; None if it is none."""
    identity = data.find_folder(name) if name else None
    return identity if identity and holds_dicom(data, name) else None


def _unique(
    path: Path,
    rows: Sequence[ListedRow],
    identities: Sequence[Identity],
    *,
    image: int,
    labels: Sequence[int],
    notes: list[str],
) -> list[ListedRow]:
    """The rows with every image once; refuses one with two labels."""
    named = {f"row {row.number} {tidy_path(row.cells[image])}": row for row in rows}
    texts = [", ".join(row.cells[place] for place in labels) for row in rows]
    try:
        return [named[name] for name, _ in once(zip(named, texts, identities, strict=True), notes)]
    except TargetError as error:
        raise TargetError(f"{path}: {error.message}", hint=error.hint) from error
