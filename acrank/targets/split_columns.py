"""The column of a table that names the split of every row: by words, by truth values, or by numbers of folds."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from acrank.targets.split_names import SplitKind, split_kind
from acrank.targets.target import first_few

_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
#: `is_valid`, `isTrain`, `in_test`, `used_for_training`.
_ASKING = re.compile(r"(?:is|in|for|use(?:d)?(?:[ _-]?(?:for|in))?)(?:[ _-]+|(?=[A-Z]))(?=.)")
_FOLD_COLUMN = re.compile(r"(?:k|cv)?[ _-]?folds?(?:[ _-]?(?:id|no|number|index|idx))?|cv", re.IGNORECASE)
_FOLD = re.compile(r"[0-9]{1,2}(?:\.0)?")


@dataclass(frozen=True)
class TableSplits:
    """The split of every row.

    Attributes:
        names: of each row; "" where it has none. None where no column is taken as the split.
        notes: for the user.
    """

    names: list[str] | None
    notes: tuple[str, ...] = ()


def splits_of_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, besides: Collection[int]) -> TableSplits:
    """The split of every row: by the column called so, else by one of words such as train and test, whatever its name.

    Else by columns of truth values, such as `is_valid`, and by folds. Where several columns may say it, none is taken.

    Args:
        header: names of the columns.
        rows: cells, one for each column.
        besides: columns of images and labels, which are none.

    >>> splits_of_table(["path", "set"], [["a", "Train"], ["b", "Test"]], besides=[0]).names
    ['Train', 'Test']
    >>> splits_of_table(["path", "is_valid"], [["a", "True"], ["b", "False"]], besides=[0]).names
    ['valid', 'train']
    """
    called = next((place for place, name in enumerate(header) if name.lower() == "split"), None)
    if called is not None:
        return TableSplits([row[called] for row in rows])
    columns = {place: [row[place] for row in rows] for place in range(len(header)) if place not in besides}
    kinds = {place: {split_kind(word) for word in {*cells} - {""}} for place, cells in columns.items()}
    worded = [place for place, found in kinds.items() if found <= {"train", "val", "test"} and _vary(columns[place])]
    if worded:
        return _only(header, columns, worded)
    asking = {place: kind for place, cells in columns.items() if (kind := _asked(header[place], cells))}
    if asking:
        return _by_truth(header, columns, asking)
    columns |= {place: _folds(columns[place]) for place in columns if _FOLD_COLUMN.fullmatch(header[place])}
    numbered = [place for place, cells in columns.items() if _vary(cells) and {*map(split_kind, cells)} == {"fold"}]
    return _only(header, columns, numbered) if numbered else TableSplits(None)


def _only(header: Sequence[str], columns: dict[int, list[str]], places: Sequence[int]) -> TableSplits:
    if len(places) > 1:
        return _untaken(header, places, "each may be the split")
    return TableSplits(columns[places[0]], (f"the column {header[places[0]]!r} names the split of every row",))


def _by_truth(header: Sequence[str], columns: dict[int, list[str]], asking: dict[int, SplitKind]) -> TableSplits:
    """Splits of columns of which a row says yes to one at most; the rows of none are those that no column asks for."""
    if len({*asking.values()}) < len(asking):
        return _untaken(header, list(asking), "several ask for one split")
    told = {place: [cell.lower() for cell in columns[place]] for place in asking}
    rows = list(zip(*told.values(), strict=True))
    if any(sum(cell in _TRUE for cell in row) > 1 for row in rows):
        return _untaken(header, list(asking), "they contradict each other")
    named = {"train": "train", "val": "valid", "test": "test"}
    kinds = list(asking.values())
    other = "train" if "train" not in kinds else "test" if kinds == ["train"] else ""
    names = [
        next((named[kind] for cell, kind in zip(row, kinds, strict=True) if cell in _TRUE), "" if "" in row else other)
        for row in rows
    ]
    said = "the column {} tells" if len(asking) == 1 else "the columns {} tell"
    of = first_few([repr(header[place]) for place in asking])
    return TableSplits(names, (f"{said.format(of)} the split of every row",))


def _untaken(header: Sequence[str], places: Sequence[int], why: str) -> TableSplits:
    named = first_few([repr(header[place]) for place in places])
    ways = "leave one, or write a column `split`"
    return TableSplits(None, (f"warning: the columns {named} are not taken as splits, as {why}: {ways}",))


def _asked(name: str, cells: Sequence[str]) -> SplitKind | None:
    """The split that a column of truth values asks for: by its name, such as `is_valid`, `isTest` or `train`."""
    found = _ASKING.match(name) or _ASKING.match(name.lower())
    kind = split_kind(name[found.end() :] if found else name)
    words = {cell.lower() for cell in cells} - {""}
    is_truth = bool(words & _TRUE and words & _FALSE and words <= _TRUE | _FALSE)
    return kind if is_truth and kind != "fold" else None


def _folds(cells: list[str]) -> list[str]:
    """Numbers of folds as their names, `fold_0`; other cells as they are."""
    whole = [cell.removesuffix(".0") for cell in cells]
    return [f"fold_{cell}" for cell in whole] if all(map(_FOLD.fullmatch, cells)) else cells


def _vary(cells: Sequence[str]) -> bool:
    return len({*cells} - {""}) > 1
