"""Tables: a CSV or TSV file with the path of one image or volume and its label, or labels, per row."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.labels import encode_labels
from acrank.targets.layouts.labelled_files import holds_dicom, open_labelled
from acrank.targets.target import Target, build_target, choose_splits, first_few
from acrank.targets.target_options import TargetOptions

NAME = "table"
USES = frozenset({"split", "image_column", "label_column", "task", "intensity", "slices", "spacing", "pages", "dicom"})

_IMAGE_NAMES = ("path", "image", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img")
_LABEL_NAMES = ("label", "class", "target", "category")


def open_table(path: Path, options: TargetOptions) -> Target:
    """Open a table with a header; paths are relative to the table's folder, and are the ids.
    A path may be the folder of a DICOM series.

    The columns are given, or recognised by usual names. `label_column` may name several columns of 0 and 1, separated
    by commas, for a multilabel task. A column called `split` gives splits. Backslashes in paths count as slashes.

    Raises:
        TargetError: columns not found or ambiguous, rows that do not fit the header, images missing or listed twice,
            labels missing or not fitting the task.
    """
    notes: list[str] = []
    header, rows = _read(path)
    image = header.index(_column(path, header, options.image_column, usual=_IMAGE_NAMES, what="image"))
    columns = _label_columns(path, header, options.label_column)
    rows = _rows_of_split(path, header, rows, split=options.split, notes=notes)
    if not rows:
        raise TargetError(f"no images in {path}: the table has no rows", hint="give one row per image")
    places = [header.index(name) for name in columns]
    listed = sorted((_tidy(row[image]), tuple(row[place] for place in places)) for row in rows)
    _refuse_repeated(path, [name for name, _ in listed])
    _refuse_absent(path, [name for name, _ in listed])
    found, info = open_labelled(path.parent, listed, options, by_folder=False)
    ids = tuple(name for name, _ in found)
    values = np.array([cells for _, cells in found])
    labels = encode_labels(values, ids=ids, task=options.task, where=str(path), names=columns)
    return build_target(path, layout=NAME, ids=ids, labels=labels, info=info, notes=notes)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Column names and rows, all cells stripped."""
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
    return header, [row for _, row in numbered[1:]]


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


def _refuse_absent(path: Path, ids: Sequence[str]) -> None:
    """Looks the images up folder by folder, which is much faster than one by one."""
    folders: dict[str, set[str]] = {}
    absent = []
    for name in ids:
        folder, _, last = name.rpartition("/")
        if folder not in folders:
            folders[folder] = _names_in(path.parent / folder)
        if last not in folders[folder] and not _is_there(path.parent / name):
            absent.append(name or "(an empty path)")
    if absent:
        raise TargetError(
            f"{path}: {len(absent)} of {len(ids)} images are missing: {first_few(absent, 3)}",
            hint="paths are taken relative to the table's folder",
        )


def _is_there(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and holds_dicom(path))


def _names_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if not entry.is_dir()}
    except OSError:
        return set()  # then every image in it is reported as missing
