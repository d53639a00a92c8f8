"""Numbers as people and spreadsheets write them: with decimal commas, and with marks between thousands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from acrank.errors import TargetError

_SIGN, _MARKS = "[+-]?", "'\u2019 \u00a0\u2009\u202f"
_DECIMAL_COMMA = re.compile(rf"{_SIGN}(?:\d+|\d{{1,3}}(?:\.\d{{3}})+),\d+")
_WITH_COMMAS = re.compile(rf"{_SIGN}(?:\d+|\d{{1,3}}(?:\.\d{{3}})+)(?:,\d+)?")
#: `1,037.37`: thousands between commas, and `1 037.37` or `1'037,37`: between other marks.
_COMMA_GROUPS = re.compile(rf"{_SIGN}\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?")
_OTHER_GROUPS = re.compile(rf"{_SIGN}\d{{1,3}}([{_MARKS}])\d{{3}}(?:\1\d{{3}})*(?:[.,]\d+)?")
_PLAIN = re.compile(rf"{_SIGN}\d+(?:[.,]\d+)?")
_POINT = re.compile(rf"{_SIGN}\d+(?:\.\d+)?")
#: One comma, which groups thousands or begins decimals.
_EITHER = re.compile(rf"{_SIGN}[1-9]\d{{0,2}},\d{{3}}")


@dataclass(frozen=True)
class NumberCells:
    """Cells of numbers.

    Attributes:
        cells: the numbers with points, without marks between thousands.
        notes: what was done, for the user.
    """

    cells: tuple[str, ...]
    notes: tuple[str, ...]


def with_points(cells: Sequence[str], *, commas_separate: bool, where: str) -> NumberCells | None:
    """Numbers with decimal commas or marks between thousands as numbers with points; None where there are none.

    Args:
        cells: those of a column; all must be numbers.
        commas_separate: whether a comma in a cell may also separate two labels.
        where: the table, for messages.

    Raises:
        TargetError: a comma may begin decimals, group thousands or separate two labels.

    Example:
        >>> with_points(["1,037.37", "950.2"], commas_separate=True, where="t.csv").cells
        ('1037.37', '950.2')
        >>> with_points(["1.037,37", "950,2"], commas_separate=False, where="t.csv").cells
        ('1037.37', '950.2')
    """
    others = [cell for cell in cells if _OTHER_GROUPS.fullmatch(cell)]
    if others and all(_OTHER_GROUPS.fullmatch(cell) or _PLAIN.fullmatch(cell) for cell in cells):
        plain = [re.sub(f"[{_MARKS}]", "", cell) for cell in cells]
        rest = with_points(plain, commas_separate=False, where=where)
        return NumberCells(tuple(plain) if rest is None else rest.cells, (_said(others), *(rest.notes if rest else ())))
    if _has_comma_groups(cells, where):
        grouped = [cell for cell in cells if "," in cell]
        return NumberCells(tuple(cell.replace(",", "") for cell in cells), (_said(grouped),))
    with_commas = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if not with_commas or not all(_WITH_COMMAS.fullmatch(cell) for cell in cells):
        return None
    if commas_separate:
        raise TargetError(
            f"{where}: {len(with_commas)} labels such as {with_commas[0]!r} may be a number or two labels",
            hint="write 0.3 for a number; write several labels as a|b; say --task classification where each of these "
            "cells is one class",
        )
    note = f"{len(with_commas)} labels with a decimal comma, such as {with_commas[0]}, are read as numbers"
    return NumberCells(tuple(cell.replace(".", "").replace(",", ".") for cell in cells), (note,))


def _has_comma_groups(cells: Sequence[str], where: str) -> bool:
    """Whether commas are between thousands: points say so, and several commas of a cell unless its parts stand alone.

    Raises:
        TargetError: all have three digits behind one comma, and numbers without one are whole.
    """
    with_comma = [cell for cell in cells if "," in cell]
    if not with_comma or not all(_COMMA_GROUPS.fullmatch(cell) or _POINT.fullmatch(cell) for cell in cells):
        return False
    alone = {cell for cell in cells if "," not in cell}
    are_lists = any(part in alone for cell in with_comma for part in cell.split(","))
    if any("." in cell or (cell.count(",") > 1 and not are_lists) for cell in cells):
        return True
    if len(with_comma) < len(cells) and all(map(_EITHER.fullmatch, with_comma)):
        example = with_comma[0]
        plain, decimal = example.replace(",", ""), example.replace(",", ".")
        raise TargetError(
            f"{where}: {len(with_comma)} labels such as {example!r} may be {plain} or {decimal}",
            hint=f"write {plain} or {decimal}; say --task classification where each is a class",
        )
    return False


def _said(grouped: Sequence[str]) -> str:
    return f"{len(grouped)} labels with marks between thousands, such as {grouped[0]}, are read as numbers"
