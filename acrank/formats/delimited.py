"""CSV: every column, floats at full precision, None as an empty cell."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acrank.records import View


def to_csv(view: View) -> str:
    """CSV after RFC 4180, but with "\\n" line ends; floats in the shortest text that reads back exactly."""
    return "".join(_line(cells) for cells in [view.columns, *view.rows])


def _line(cells: list[Any]) -> str:
    # csv.writer quotes a carriage return within a cell only if the line terminator has one
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"
