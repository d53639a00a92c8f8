"""Cells as text in the formats for people."""

from __future__ import annotations

import unicodedata
from typing import Any

#: Unicode categories that move the cursor, break lines or cannot be encoded.
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})


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
    """One line of text that controls no terminal: line breaks and tabs as spaces, other control characters escaped.

    >>> visible("two\\nlines"), visible("\\x1b[31mred")
    ('two lines', '\\\\x1b[31mred')
    """
    return "".join(_escape(char) if unicodedata.category(char) in _CONTROLS else char for char in text)


def _escape(char: str) -> str:
    return " " if char.isspace() else char.encode("unicode_escape").decode()


def is_number(cell: Any) -> bool:
    """Whether a cell is a number, and so right-aligned."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)
