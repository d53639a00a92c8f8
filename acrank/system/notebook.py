"""How results show themselves in a notebook and at Python's prompt: an escaped table, a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from acrank.system.printable import printable
from acrank.system.view import Bar, Column, View
from acrank.system.words import shortened

#: Rows of a table in a notebook; the others are counted below it.
MOST_ROWS = 200
_NAME = 60  # characters of a name in a repr
_BAR_WIDTH = 20  # characters
_WRAPPED, _RIGHT = "text-align: left", "text-align: right"
_LEFT = f"{_WRAPPED}; white-space: nowrap"
_BAR = f"{_WRAPPED}; white-space: pre; font-family: monospace; line-height: 1"
_RULE = "border-top: 2px solid currentColor"


def html_of(view: View, lines: Sequence[str] = ()) -> str:
    """The table for people as HTML: title, columns with something in them, legends, and further lines; all is escaped.

    Args:
        view: the result.
        lines: what stands below the table, a paragraph each.

    Example:
        >>> html_of(View(columns=["a"], rows=[["<b>"]], record=None), ["x & y"]).count("&lt;b&gt;")
        1
    """
    columns = [(column, cells) for column, cells in view.table_columns() if any(cell is not None for cell in cells)]
    count = max((len(cells) for _, cells in columns), default=0)
    title = f"<p><strong>{_text(view.title)}</strong></p>\n" if view.title else ""
    legends = [column.legend for column, _ in columns if column.legend]
    below = [
        *([f"and {count - MOST_ROWS} more"] if count > MOST_ROWS else []),
        *(f"{subject}: {text}" for subject, text in view.below[:MOST_ROWS]),
        *([f"and {len(view.below) - MOST_ROWS} more"] if len(view.below) > MOST_ROWS else []),
    ]
    small = "".join(f"\n<p><small>{_text(line)}</small></p>" for line in [*below, *legends])
    return title + _table(view, columns, min(count, MOST_ROWS)) + small + "".join(f"\n<p>{_text(x)}</p>" for x in lines)


def _table(view: View, columns: Sequence[tuple[Column, list[Any]]], rows: int) -> str:
    """The first rows as a table; a rule parts them where the view's does."""
    if not rows:
        return ""
    styles = [_style(column, cells) for column, cells in columns]
    heads = "".join(
        f'<th style="{style}">{_text(column.name)}</th>' for style, (column, _) in zip(styles, columns, strict=True)
    )
    parts, body = set(view.parts()), []
    for row in range(rows):
        cells = "".join(
            f'<td style="{style}">{_cell(cells[row], column.digits)}</td>'
            for style, (column, cells) in zip(styles, columns, strict=True)
        )
        body.append(f'<tr style="{_RULE}">{cells}</tr>' if row in parts else f"<tr>{cells}</tr>")
    inner = "\n".join(body)
    return f'<table class="dataframe">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{inner}\n</tbody>\n</table>'


def _style(column: Column, cells: Sequence[Any]) -> str:
    if column.fit == "bar":
        return _BAR
    is_numeric = any(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)
    return _RIGHT if is_numeric else _WRAPPED if column.fit == "wrap" else _LEFT


def short_name(name: str) -> str:
    r"""A name for a repr: printable, with its middle left out where it is long.

    >>> short_name("a\x1b"), len(short_name("a" * 500))
    ('a\\x1b', 59)
    """
    return shortened(printable(name), _NAME)


def first_lines(lines: Sequence[str], most: int = 5) -> list[str]:
    """The first lines, indented, and how many more there are.

    >>> first_lines(["a", "b", "c"], most=2)
    ['  a', '  b', '  … and 1 more']
    """
    more = [f"  … and {len(lines) - most} more"] if len(lines) > most else []
    return [f"  {line}" for line in lines[:most]] + more


def _cell(value: Any, digits: int | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, Bar):
        return value.drawn(_BAR_WIDTH)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if digits is None else f"{value:.{digits}f}"
    return _text(str(value))


def _text(text: str) -> str:
    return escape(printable(" ".join(text.split())))
