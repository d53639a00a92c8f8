"""How one cell reads in the views made for people."""

from __future__ import annotations

import unicodedata
from typing import Any

_CONTROLS = frozenset(
    {"Cc", "Cs", "Zl", "Zp"}
)  # Unicode categories that move the cursor, break lines or cannot be written


def text_of(cell: Any) -> str:
    """A cell for people: floats at 4 significant digits, None as a dash, text on one line.

    >>> text_of(0.123456), text_of(None), text_of(12), text_of(True)
    ('0.1235', '-', '12', 'yes')
    """
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.4g}" if isinstance(cell, float) else visible(str(cell))


def visible(text: str) -> str:
    """Text on one line that no terminal obeys: line breaks and tabs as spaces, other control characters as escapes.

    >>> visible("two\\nlines"), visible("\\x1b[31mred")
    ('two lines', '\\\\x1b[31mred')
    """
    return "".join(_shown(char) if unicodedata.category(char) in _CONTROLS else char for char in text)


def _shown(char: str) -> str:
    return " " if char.isspace() else char.encode("unicode_escape").decode()


def is_number(cell: Any) -> bool:
    """Whether a cell is right-aligned."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)
