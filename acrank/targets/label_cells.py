"""Cells of labels in a table: several labels in one, missing ones, uncertain ones, and decimal commas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from acrank.errors import TargetError
from acrank.targets.label_spelling import EMPTY, UNKNOWN, composed, without_label
from acrank.targets.number_cells import with_points
from acrank.targets.target import first_few
from acrank.targets.target_options import TargetOptions

_SURE, _LISTED = "|;", ","
#: Brackets around a whole cell, such as those of lists of Python and JSON; not those of `(a)|(b)`.
_BRACKETED = re.compile(r"\[(?:[^][]|\[[^][]*\])*\]|\{(?:[^{}]|\{[^{}]*\})*\}|\((?:[^()]|\([^()]*\))*\)")
#: Parts of a cell between these may be labels of their own.
_JOINTS = re.compile(r"\s*[/+&]\s*|\s+")
_UNSURE = frozenset({"-1", "-1.0", "-1.00"})
_HINT_UNSURE = "say --uncertain zeros, ones or ignore"
_HINT_BRACKETS = (
    "say --task classification where each of these cells is one class, --task multilabel where they are lists"
)


@dataclass(frozen=True)
class LabelCells:
    """The label cells of a table's rows.

    Attributes:
        values: strings [n, k].
        names: of the k columns.
        kept: the rows that are left, int64 [n] into those of the table.
        notes: remarks for the user.
    """

    values: np.ndarray
    names: tuple[str, ...]
    kept: np.ndarray
    notes: tuple[str, ...] = ()


def read_cells(
    values: np.ndarray, names: Sequence[str], *, ids: Sequence[str], options: TargetOptions, delimiter: str, where: str
) -> LabelCells:
    """The labels that cells stand for, as `encode_labels` takes them.

    Args:
        values: stripped strings [n, k].
        names: of the k columns.
        ids: of the rows, for messages.
        options: task, uncertain and missing_labels.
        delimiter: of the table's columns; numbers of a table of semicolons may have decimal commas.
        where: the table, for messages.

    Raises:
        TargetError: labels that are missing, uncertain or ambiguous, where no option says what they mean.

    Example:
        >>> found = read_cells(np.array([["a|b"], ["b"]]), ["label"], ids="xy", options=TargetOptions(), delimiter=",",
        ...     where="t.csv")
        >>> found.names, found.values.tolist()
        (('a', 'b'), [['1', '1'], ['0', '1']])
    """
    values = np.vectorize(composed, otypes=[str])(values)
    cells = LabelCells(values, tuple(names), np.arange(len(values), dtype=np.int64))
    if options.uncertain is not None:
        cells = _certain(cells, options.uncertain)
    cells = _present(cells, ids, options=options, where=where)
    if options.task != "classification" and cells.values.shape[1] == 1:
        cells = _with_points(cells, delimiter, where)
        cells = _listed(cells, where, sure=options.task == "multilabel")
    return cells


def _certain(cells: LabelCells, rule: str) -> LabelCells:
    """Blanks as 0, and -1 by the rule."""
    blank = np.asarray(np.isin(np.char.lower(cells.values), EMPTY))
    unsure = np.asarray(np.isin(cells.values, tuple(_UNSURE)))
    values = np.where(blank, "0", np.where(unsure, "1" if rule == "ones" else "0", cells.values))
    notes = [f"{blank.sum()} blank labels are read as 0"] if blank.any() else []
    found = replace(cells, values=values)
    if unsure.any() and rule == "ignore":
        out = np.asarray(unsure.any(axis=1))
        notes.append(f"{out.sum()} of {len(out)} images with uncertain labels (-1) are left out")
        found = _without(found, out)
    elif unsure.any():
        notes.append(f"{unsure.sum()} uncertain labels (-1) are read as {'1' if rule == 'ones' else '0'}")
    return replace(found, notes=(*cells.notes, *notes))


def _present(cells: LabelCells, ids: Sequence[str], *, options: TargetOptions, where: str) -> LabelCells:
    """The rows with labels."""
    empty, unknown = without_label(cells.values), np.isin(np.char.lower(cells.values), UNKNOWN)
    if options.missing_labels == "keep":
        unknown[:] = False
    lacking = np.asarray((empty | unknown).any(axis=1))
    if not lacking.any():
        _refuse_unsure(cells, where)
        return cells
    words = sorted({cell or "empty" for cell in cells.values[empty | unknown].tolist()})
    if options.missing_labels == "skip":
        note = f"{lacking.sum()} of {len(lacking)} images without a label are left out (cells: {', '.join(words)})"
        return replace(_without(cells, lacking), notes=(*cells.notes, note))
    rows = cells.kept[lacking].tolist()
    named = first_few([ids[row] for row in rows], 3)
    raise TargetError(
        f"{where}: {len(rows)} of {len(lacking)} labels are missing: {named} (cells: {first_few(words)})",
        hint=_missing_hint(cells, unknown),
    )


def _refuse_unsure(cells: LabelCells, where: str) -> None:
    """Refuse several columns of 0, 1 and -1."""
    found = {*cells.values.reshape(-1).tolist()}
    if cells.values.shape[1] > 1 and found & _UNSURE and found <= {"0", "1", "0.0", "1.0", *_UNSURE}:
        count = int(np.isin(cells.values, tuple(_UNSURE)).sum())
        raise TargetError(f"{where}: {count} labels are -1", hint=f"{_HINT_UNSURE} for uncertain labels")


def _missing_hint(cells: LabelCells, unknown: np.ndarray) -> str:
    found = {cell.lower() for cell in cells.values.reshape(-1).tolist()}
    is_coded = cells.values.shape[1] > 1 or found & _UNSURE
    if is_coded and found <= {"0", "1", "0.0", "1.0", *_UNSURE, *EMPTY}:
        return f"{_HINT_UNSURE}: blanks are then 0, and -1 is that (as CheXpert has them)"
    keep = ", or --missing-labels keep where these words are classes" if unknown.any() else ""
    return f"label these images; or --missing-labels skip leaves them out{keep}"


def _without(cells: LabelCells, out: np.ndarray) -> LabelCells:
    if out.all():
        raise TargetError("no image has a label", hint="label some images")
    return replace(cells, values=cells.values[~out], kept=cells.kept[~out])


def _with_points(cells: LabelCells, delimiter: str, where: str) -> LabelCells:
    """Numbers with decimal commas or marks between thousands as numbers with points."""
    flat = cells.values.reshape(-1).tolist()
    found = with_points(flat, commas_separate=delimiter == _LISTED, where=where)
    if found is None:
        return cells
    return replace(cells, values=np.array(found.cells).reshape(-1, 1), notes=(*cells.notes, *found.notes))


def _listed(cells: LabelCells, where: str, *, sure: bool) -> LabelCells:
    """Cells of several labels, such as `a|b`, as one column of 0 and 1 for each; in brackets, where these are lists."""
    flat = cells.values.reshape(-1).tolist()
    if all(map(_BRACKETED.fullmatch, flat)):
        inner = [cell[1:-1] for cell in flat]
        comma = next((mark for mark in _LISTED + _SURE if any(mark in cell for cell in inner)), _LISTED)
        sets = [{part.strip(" '\"") for part in cell.split(comma)} - {""} for cell in inner]
        if not _are_lists(sets, flat, where, sure=sure):
            return cells
        return _multilabel(cells, sets, comma)
    mark = _separator(flat)
    if mark is None:
        return replace(cells, notes=(*cells.notes, *_made_of_others(flat)))
    return _multilabel(cells, [{part.strip() for part in cell.split(mark)} - {""} for cell in flat], mark)


def _are_lists(sets: Sequence[set[str]], cells: Sequence[str], where: str, *, sure: bool) -> bool:
    """Whether cells in brackets are lists: some hold several labels, others one or none; in classes all are alike.

    Raises:
        TargetError: all hold several, as lists may and as names such as those of intervals do.
    """
    if sure:
        return True
    several = sum(len(found) > 1 for found in sets)
    if several == len(sets):
        raise TargetError(
            f"{where}: labels such as {cells[0]!r} may be one class or several labels each", hint=_HINT_BRACKETS
        )
    return several > 0


def _multilabel(cells: LabelCells, sets: Sequence[set[str]], mark: str) -> LabelCells:
    """One column of 0 and 1 for each label."""
    names = sorted(set().union(*sets))
    values = np.array([["1" if name in found else "0" for name in names] for found in sets])
    several = sum(len(found) > 1 for found in sets)
    note = (
        f"{several} of {len(sets)} cells hold several labels, separated by {mark}: the task is multilabel, with "
        f"{len(names)} labels (--task classification takes each cell as one class)"
    )
    return replace(cells, values=values, names=tuple(names), notes=(*cells.notes, note))


def _made_of_others(cells: Sequence[str]) -> list[str]:
    """A warning where the parts of labels, such as those of `a/b` and `a b`, are all labels of other cells."""
    known = set(cells)
    parts = {cell: _JOINTS.split(cell) for cell in known}
    made = sorted(cell for cell, found in parts.items() if len(found) > 1 and known.issuperset(found))
    said = "are made of others: write several labels as a|b, if they are"
    return [f"warning: classes such as {made[0]!r} {said}"] if made else []


def _separator(cells: Sequence[str]) -> str | None:
    """What separates labels in cells: | or ; wherever they occur, a comma if parts also stand alone."""
    for mark in _SURE:
        if any(mark in cell.strip(mark) for cell in cells):
            return mark
    alone = {cell for cell in cells if _LISTED not in cell}
    parts = [part.strip() for cell in cells if _LISTED in cell for part in cell.split(_LISTED)]
    return _LISTED if parts and 2 * sum(part in alone for part in parts) > len(parts) else None
