"""How one cell reads in the views made for people."""

from __future__ import annotations

from typing import Any


def text_of(cell: Any) -> str:
    """A cell for people: floats at 4 significant digits, None as a dash.

    >>> text_of(0.123456), text_of(None), text_of(12), text_of(True)
    ('0.1235', '-', '12', 'yes')
    """
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def is_number(cell: Any) -> bool:
    """Whether a cell is right-aligned."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)
