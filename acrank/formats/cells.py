"""Cells as text in the formats for people."""

from __future__ import annotations

import re
from typing import Any

from acrank.system.printable import printable

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]")


def cell_text(cell: Any) -> str:
    """A cell as one line of text: floats with 4 significant digits, None as a dash.

    >>> cell_text(0.123456), cell_text(None), cell_text(12), cell_text(True)
    ('0.1235', '-', '12', 'yes')
    """
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.4g}" if isinstance(cell, float) else visible(str(cell))


def visible(text: str) -> str:
    """One line of text that controls no terminal: line breaks and tabs as spaces, the rest as `printable` has it.

    >>> visible("two\\nlines"), visible("\\x1b[31mred")
    ('two lines', '\\\\x1b[31mred')
    """
    return printable(_BREAKS.sub(" ", text))


def is_number(cell: Any) -> bool:
    """Whether a cell is a number, and so right-aligned."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)
