"""The formats for programs: CSV with every column, and JSON with the full record."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acrank.system.view import View


def to_csv(view: View) -> str:
    """CSV after RFC 4180, but with "\\n" line ends; floats in the shortest text that reads back exactly, None empty."""
    return "".join(_line(cells) for cells in [view.columns, *view.rows])


def to_json(view: View) -> str:
    """The view's record; NaN and infinities are null."""
    from acrank.system.plain_data import dumps  # every command loads this module, few write a record

    return dumps(view.record)


def _line(cells: list[Any]) -> str:
    # csv.writer quotes a carriage return within a cell only if the line terminator has one
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"
