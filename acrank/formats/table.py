"""The table for people, drawn by rich; user text is never read as markup.

Within a width, columns are left out and shortened until every line fits; without one the table is whole.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from acrank.formats.cells import cell_text, is_number, visible
from acrank.formats.fitting import heading_in, pieces_of, shortened_to, wrapped
from acrank.formats.widths import Need, fitted
from acrank.system.imports import gc_paused
from acrank.system.view import Bar, Column

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from acrank.system.view import View

GAP = 2
INDENT = "  "
#: A column that wraps is as wide as its longest word, up to so many terminal cells.
WORD = 16
#: Hues that people with any colour vision tell apart (Okabe and Ito); the text of a cell says the same.
TONES = {"good": "#009e73", "bad": "bold #d55e00", "bar": "#2a8fd0", "plain": ""}
_TURNS = {"whole": 1, "shorten": 0, "wrap": 2, "bar": 3}
_RULED = "    \n    \n ── \n    \n ╌╌ \n    \n    \n    \n"


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A column with its cells as text, but for those that are drawn."""

    column: Column
    cells: list[Any]
    heading: str
    texts: list[str]

    @property
    def is_numeric(self) -> bool:
        return any(map(is_number, self.cells))

    def need(self) -> Need:
        from rich.cells import cell_len

        column, heading = self.column, cell_len(self.heading)
        narrow = max(map(cell_len, pieces_of(self.heading)))
        widest = max(map(cell_len, self.texts), default=0)
        turn = _TURNS[column.fit]
        if column.fit == "bar":
            most = max(column.most, heading)
            return Need(least=column.least, ease=column.ease, most=most, priority=column.priority, turn=turn)
        most = max(heading, widest)
        least = max(narrow, widest)
        if column.fit in ("shorten", "wrap"):
            word = max((cell_len(word) for text in self.texts for word in text.split(" ")), default=0)
            held = min(word, WORD) if column.fit == "wrap" else 0
            least = max(min(narrow, column.least), min(widest, column.least), held)
        return Need(least=least, ease=column.ease, most=most, priority=column.priority, turn=turn)


def to_table(
    view: View, *, width: int | None = None, colour: bool = False, hues: Literal["auto", "truecolor"] = "auto"
) -> str:
    """The view as a table.

    Args:
        view: what is shown.
        width: of the terminal; None shows every column, with nothing cut or wrapped.
        colour: whether the terminal takes colours.
        hues: how many it has: as TERM and COLORTERM say, or all of them.
    """
    with gc_paused():
        from rich.console import Console

    shown = [_shown(column, cells) for column, cells in view.table_columns()]
    widths = fitted([one.need() for one in shown], width, GAP)
    out = io.StringIO()
    console = Console(
        file=out,
        width=width or 10**6,  # rich cuts what is wider than its console
        force_terminal=colour,
        color_system=hues if colour else None,
    )
    if title := wrapped(visible(view.title), width):
        _print(console, f"{title}\n", "bold")
    rows = len(shown[0].cells) if shown else 0
    if rows or not view.below:
        console.print(_table(view, shown, widths), crop=False, no_wrap=True)
    kept = [shown[place].column for place in widths]
    _below(console, view, kept if rows else [], width=width, missing=bool(rows) * (len(shown) - len(kept)))
    lines = [line.rstrip() for line in out.getvalue().split("\n")[:-1]]
    return "\n".join(lines) + "\n"


def _shown(column: Column, cells: list[Any]) -> _Shown:
    texts = ["" if isinstance(cell, Bar) else _text(cell, column.digits) for cell in cells]
    return _Shown(column=column, cells=cells, heading=visible(column.heading or column.name), texts=texts)


def _text(cell: Any, digits: int | None) -> str:
    return f"{cell:.{digits}f}" if digits is not None and isinstance(cell, float) else cell_text(cell)


def _table(view: View, shown: Sequence[_Shown], widths: dict[int, int]) -> Table:
    from rich.box import Box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=Box(_RULED), show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, width in widths.items():
        one = shown[place]
        heading = Text(heading_in(one.heading, width))
        table.add_column(
            heading, justify="right" if one.is_numeric else "left", width=width, no_wrap=True, vertical="top"
        )
    parts = set(view.parts())
    for row in range(len(shown[0].cells) if shown else 0):
        if row in parts:
            table.add_section()
        table.add_row(*(_cell(shown[place], row, width) for place, width in widths.items()))
    return table


def _cell(one: _Shown, row: int, width: int) -> Text:
    from rich.text import Text

    cell, text = one.cells[row], one.texts[row]
    if isinstance(cell, Bar):
        return Text(cell.drawn(width), style=TONES["bar"])
    style = TONES[one.column.tones.get(text, "plain")]
    return Text(wrapped(text, width) if one.column.fit == "wrap" else shortened_to(text, width), style=style)


def _below(console: Console, view: View, kept: Sequence[Column], *, width: int | None, missing: int) -> None:
    """What stands under the table: subjects with reasons, legends, what the width left out, and the footer."""
    room = None if width is None else width - len(INDENT)
    if kept and (view.below or view.footer or missing or any(column.legend for column in kept)):
        _print(console, "")
    for subject, text in view.below:
        lines = wrapped(visible(f"{subject}: {text}"), room).split("\n")
        _print(console, "\n".join([lines[0], *(INDENT + line for line in lines[1:])]))
    legends = [column.legend for column in kept if column.legend]
    if missing:
        legends.append(f"{missing} more column{'s' * (missing > 1)} in a wider terminal, in a pipe or with -f csv")
    for text in legends:
        _print(console, wrapped(visible(text), width), "dim")
    for text in view.footer:
        _print(console, wrapped(visible(text), width), "bold")


def _print(console: Console, text: str, style: str = "") -> None:
    from rich.text import Text

    console.print(Text(text, style=style), crop=False, no_wrap=True)
