"""How results show themselves in a notebook and at Python's prompt: an escaped table, a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from acrank.system.printable import printable
from acrank.system.view import View
from acrank.system.words import shortened

#: Rows of a table in a notebook; the others are counted below it.
MOST_ROWS = 200
_NAME = 60  # characters of a name in a repr


def html_of(view: View, lines: Sequence[str] = ()) -> str:
    """The view's columns for people as an HTML table, its title above and further lines below; all text is escaped.

    Args:
        view: the result.
        lines: what stands below the table, a paragraph each.

    Example:
        >>> html_of(View(columns=["a"], rows=[["<b>"]], record=None), ["x & y"]).count("&lt;b&gt;")
        1
    """
    import pandas

    columns, rows = view.shown()
    cells = [[_cell(one) for one in row] for row in rows[:MOST_ROWS]]
    frame = pandas.DataFrame(cells, columns=pandas.Index(columns))
    with pandas.option_context("display.max_colwidth", None):
        table = frame.to_html(index=False, escape=True, border=0, justify="left", max_rows=None, show_dimensions=False)
    left_out = [f"and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
    title = f"<p><strong>{_text(view.title)}</strong></p>\n" if view.title else ""
    return title + table + "".join(f"\n<p>{_text(line)}</p>" for line in [*left_out, *lines])


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


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else printable(" ".join(str(value).split()))


def _text(text: str) -> str:
    return escape(printable(" ".join(text.split())))
