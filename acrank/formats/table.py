"""The terminal table, drawn by rich; user text is never read as markup."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from acrank.formats.cells import cell_text, is_number, visible
from acrank.system.imports import gc_paused

if TYPE_CHECKING:
    from acrank.system.view import View


def to_table(view: View, *, width: int | None = None, colour: bool = False) -> str:
    """The view as a table, `width` characters wide; without a width nothing is cut or wrapped."""
    with gc_paused():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

    columns, rows = view.shown()
    texts = [[visible(name) for name in columns], *([cell_text(cell) for cell in row] for row in rows)]
    table = Table(box=box.SIMPLE_HEAD)
    for i, name in enumerate(texts[0]):
        numeric = any(is_number(row[i]) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold", no_wrap=not width)
    for row in texts[1:]:
        table.add_row(*map(Text, row))
    title = visible(view.title)
    out = io.StringIO()
    console = Console(
        file=out,
        width=width or _natural_width(title, texts),
        force_terminal=colour,
        color_system="auto" if colour else None,
    )
    if title:
        console.print(Text(title, style="bold", overflow="fold"))
    console.print(table)
    lines = [line.rstrip() for line in out.getvalue().split("\n")[:-2]]  # without the empty line below the table
    return "\n".join(lines if title else lines[1:]) + "\n"


def _natural_width(title: str, texts: list[list[str]]) -> int:
    """The width that holds every cell whole: rich cuts what is wider than its console."""
    from rich.cells import cell_len

    table = sum(max(map(cell_len, column)) + 3 for column in zip(*texts, strict=True))
    return max(cell_len(title), table + 3)
