"""Tables: a CSV or TSV file with the path of one image or volume and its label, or labels, per row."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.grouping import check_groups
from acrank.targets.label_cells import read_cells
from acrank.targets.labels import encode_labels
from acrank.targets.layouts.image_lookup import find_images
from acrank.targets.split_names import choose_splits
from acrank.targets.stores.volumes import file_store_info
from acrank.targets.target import Target, build_target, first_few
from acrank.targets.target_options import TargetOptions

NAME = "table"
USES = frozenset(
    {"split", "image_column", "label_column", "task", "intensity", "slices", "spacing", "pages"}
    | {"image_root", "uncertain", "missing_labels", "group_column"}
)

_IMAGE_NAMES = ("path", "image", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img")
_LABEL_NAMES = ("label", "class", "target", "category")


def open_table(path: Path, options: TargetOptions) -> Target:
    """Open a table with a header; paths are relative to the table's folder, or `image_root`, and are the ids.

    A path may lack its suffix, or its folder where no other file below has the name. Cells of several labels (`a|b`)
    make a multilabel task.

    The columns are given, or recognised by usual names. `label_column` may name several columns of 0 and 1, separated
    by commas, for a multilabel task. A column called `split` gives splits. Backslashes in paths count as slashes.

    Raises:
        TargetError: columns not found or ambiguous, rows that do not fit the header, images missing or listed twice,
            labels missing or not fitting the task.
    """
    notes: list[str] = []
    header, rows, delimiter = _read(path)
    image = header.index(_column(path, header, options.image_column, usual=_IMAGE_NAMES, what="image"))
    columns = _label_columns(path, header, options.label_column)
    rows = _rows_of_split(path, header, rows, split=options.split, notes=notes)
    if not rows:
        raise TargetError(f"no images in {path}: the table has no rows", hint="give one row per image")
    root = Path(options.image_root) if options.image_root else path.parent
    rows = sorted(rows, key=lambda row: _tidy(row[image]))
    named = [_tidy(row[image]) for row in rows]
    _refuse_repeated(path, named)
    cells = read_cells(
        np.array([[row[header.index(name)] for name in columns] for row in rows]),
        columns,
        ids=named,
        options=options,
        delimiter=delimiter,
        where=str(path),
    )
    found = find_images(root, [named[row] for row in cells.kept], where=str(path), notes=notes)
    order = sorted(range(len(found)), key=found.__getitem__)
    ids = tuple(found[place] for place in order)
    _refuse_repeated(path, ids)
    labels = encode_labels(cells.values[order], ids=ids, task=options.task, where=str(path), names=cells.names)
    notes += cells.notes
    chosen = [rows[cells.kept[place]] for place in order]
    groups = _groups(path, header, chosen, name=options.group_column)
    info = dataclasses.replace(file_store_info(root, ids, options), groups=groups)
    return build_target(path, layout=NAME, ids=ids, labels=labels, info=info, notes=notes)


def _groups(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], *, name: str | None
) -> tuple[str, ...] | None:
    """The group of every row, None without a column of groups."""
    if name is None:
        return None
    place = header.index(_column(path, header, name, usual=(), what="group"))
    lacking = sum(not row[place] for row in rows)
    if lacking:
        raise TargetError(
            f"{path}: {lacking} of {len(rows)} cells of the column {name!r} are empty",
            hint="name the group of every row",
        )
    return check_groups([row[place] for row in rows], f"{path}: the column {name!r}")


def _read(path: Path) -> tuple[list[str], list[list[str]], str]:
    """Column names, rows, all cells stripped, and what separates them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
            lines = [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=delimiter)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TargetError(f"cannot read {path}: {error}", hint="give a CSV or TSV in UTF-8") from error
    numbered = [(number, row) for number, row in enumerate(lines, start=1) if any(row)]
    if not numbered:
        raise TargetError(f"{path} is empty", hint="the first row names the columns, then one row per image")
    header = numbered[0][1]
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise TargetError(f"{path} has two columns called {twice[0]!r}", hint="rename one of them")
    for number, row in numbered[1:]:
        if len(row) != len(header):
            raise TargetError(
                f"{path}: row {number} has {len(row)} cells, the header has {len(header)}",
                hint="quote cells that contain the separator",
            )
    return header, [row for _, row in numbered[1:]], delimiter


def _column(path: Path, header: Sequence[str], name: str | None, *, usual: Sequence[str], what: str) -> str:
    """The column that the user names, else the only one with a usual name."""
    if name in header:
        return str(name)
    known = f"columns: {first_few(header, 12)}"
    if name is not None:
        raise TargetError(f"{path} has no column {name!r}; {known}", hint=f"name one of them: --{what}-column")
    found = [column for column in header if column.lower() in usual]
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
    path: Path, header: list[str], rows: list[list[str]], *, split: str | None, notes: list[str]
) -> list[list[str]]:
    place = next((place for place, name in enumerate(header) if name.lower() == "split"), None)
    names = [] if place is None else sorted({row[place] for row in rows} - {""})
    chosen = choose_splits(split, names, path=path, notes=notes)
    return rows if place is None or split == "all" or not chosen else [row for row in rows if row[place] in chosen]


def _tidy(cell: str) -> str:
    return cell.replace("\\", "/").removeprefix("./")


def _refuse_repeated(path: Path, ids: Sequence[str]) -> None:
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise TargetError(
            f"{path} lists {len(twice)} images more than once: {first_few(twice, 3)}",
            hint="keep one row per image; for several labels use one column per label",
        )
