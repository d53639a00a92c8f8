"""CSV: every column, full precision, empty cells for None."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acrank.formats import View


def to_csv(view: View) -> str:
    """RFC 4180 with "\\n" line ends; floats in the shortest form that reads back exactly."""
    return "".join(_line(cells) for cells in [view.columns, *view.rows])


def _line(cells: list[Any]) -> str:
    # Python quotes a cell's carriage return only where the line end has one too.
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"
