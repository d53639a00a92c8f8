"""The terminal table, drawn by rich; user text is never taken for markup."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from acrank.formats.cells import is_number, text_of

if TYPE_CHECKING:
    from acrank.formats import View


def to_table(view: View, *, width: int | None = None, colour: bool = False) -> str:
    """The view as a table; `width` in characters where the terminal has one, uncut otherwise."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns, rows = view.shown()
    table = Table(
        box=box.SIMPLE_HEAD, title=Text(view.title, style="bold") if view.title else None, title_justify="left"
    )
    for i, name in enumerate(columns):
        numeric = any(is_number(row[i]) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold", no_wrap=width is None)
    for row in rows:
        table.add_row(*(Text(text_of(cell)) for cell in row))
    out = io.StringIO()
    console = Console(file=out, width=width or 10_000, force_terminal=colour, color_system="auto" if colour else None)
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n") + "\n"
