"""CSV: every column, full precision, empty cells for None."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acrank.formats import View


def to_csv(view: View) -> str:
    """RFC 4180 with "\\n" line ends; floats in the shortest form that reads back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(view.columns)
    writer.writerows(view.rows)
    return out.getvalue()
