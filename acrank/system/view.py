"""A result as every format takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Bar:
    """A cell that a table draws: a value and its interval as places on an axis from 0 to 1.

    Attributes:
        value: where the bar ends.
        low, high: ends of the interval; None where there is none.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def drawn(self, width: int) -> str:
        """A line of `width` characters up to the value, and whiskers at the ends of its interval.

        Example:
            >>> Bar(0.5).drawn(8), Bar(0.5, 0.25, 0.8).drawn(12)
            ('━━━●', '━━├──●───┤')
        """
        at = _place(self.value, width)
        cells = ["━"] * at + ["●"] + [" "] * (width - at - 1)
        if self.low is not None and self.high is not None:
            low, high = _place(self.low, width), _place(self.high, width)
            for place in range(low, high + 1):
                cells[place] = "─"
            cells[low], cells[high] = "├", "┤"
            cells[at] = "●"
        return "".join(cells).rstrip()


def _place(share: float, width: int) -> int:
    return min(width - 1, max(0, round(share * width) - 1))


#: Columns of this priority and beyond are for wide terminals: nothing else becomes narrow for them.
EXTRA = 10


@dataclass(frozen=True, kw_only=True)
class Column:
    """How a table for people shows a column, and what becomes of it where the terminal is narrow.

    Attributes:
        name: the heading, unless there is another; it may break at its spaces and underscores.
        heading: in words, where the name is a column's and no score's.
        source: the column of the view whose cells are shown; empty for the one called `name`.
        cells: the cells themselves, one for each row of the view, where they are no column of it.
        priority: 0 is always shown; of the others the largest is left out first, of equal ones the rightmost.
        fit: "whole" is never cut; "shorten" loses its middle; "wrap" goes on in the next line at a space, and words
            that are wider than the column lose their middle; "bar" draws `Bar` cells.
        least: the narrowest that the column may become, in terminal cells; for "shorten", "wrap" and "bar".
        ease: the width up to which the column has more right to room than columns of priority `EXTRA` and beyond.
        most: the widest that a bar becomes.
        digits: decimals of its numbers; None for four significant digits.
        tones: text of a cell -> "good", "bad" or "plain", its colour on a terminal; the text says the same.
        legend: a line below the table that explains the column, where it is shown.
    """

    name: str
    source: str = ""
    cells: list[Any] | None = None
    priority: int = 1
    fit: Literal["whole", "shorten", "wrap", "bar"] = "whole"
    least: int = 12
    ease: int = 0
    most: int = 30
    digits: int | None = None
    tones: Mapping[str, str] = field(default_factory=dict)
    legend: str = ""
    heading: str = ""


@dataclass(frozen=True, kw_only=True)
class View:
    """A result ready to be rendered in any format.

    Attributes:
        columns: column names.
        rows: cells (str, int, float, bool or None), one list per row, as long as `columns`.
        record: the whole result as plain data; the JSON format writes it.
        title: shown above the table, and as the heading in markdown.
        brief: columns that markdown shows, and the table where it has no `layout`; all where empty.
        layout: the columns of the table, in order; empty for those of `brief`, the first of which is always shown.
        parted_by: a column of the view; the table draws a rule wherever its cell changes.
        table_rows: how many rows the table has, the others being told in `below`; None for all.
        below: lines under the table, each a subject and what is said of it, such as skipped rows and their reasons.
        footer: sentences at the very end, for people: in the table and in markdown.
    """

    columns: list[str]
    rows: list[list[Any]]
    record: Any
    title: str = ""
    brief: list[str] = field(default_factory=list)
    layout: list[Column] = field(default_factory=list)
    parted_by: str = ""
    table_rows: int | None = None
    below: list[tuple[str, str]] = field(default_factory=list)
    footer: list[str] = field(default_factory=list)

    def shown(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows for people: `brief` only, where it is given."""
        keep = [self.columns.index(name) for name in self.brief] or range(len(self.columns))
        return [self.columns[i] for i in keep], [[row[i] for i in keep] for row in self.rows]

    def table_columns(self) -> list[tuple[Column, list[Any]]]:
        """The columns of the table with their cells.

        Example:
            >>> view = View(columns=["model", "n"], rows=[["a", 1], ["b", 2]], record=None, table_rows=1)
            >>> [(column.name, column.priority, column.fit, cells) for column, cells in view.table_columns()]
            [('model', 0, 'shorten', ['a']), ('n', 1, 'whole', [1])]
        """
        names, _ = self.shown()
        layout = self.layout or [self._usual(name, place) for place, name in enumerate(names)]
        found = []
        for column in layout:
            cells = column.cells
            if cells is None:
                place = self.columns.index(column.source or column.name)
                cells = [row[place] for row in self.rows]
            found.append((column, cells[: self.table_rows]))
        return found

    def parts(self) -> list[int]:
        """The rows of the table, as places from 0, above which a rule is drawn."""
        if not self.parted_by:
            return []
        place = self.columns.index(self.parted_by)
        cells = [row[place] for row in self.rows][: self.table_rows]
        return [i for i in range(1, len(cells)) if cells[i] != cells[i - 1]]

    def _usual(self, name: str, place: int) -> Column:
        at = self.columns.index(name)
        is_text = any(isinstance(row[at], str) for row in self.rows)
        fit: Literal["whole", "shorten", "wrap"] = "whole" if not is_text else "wrap" if place else "shorten"
        return Column(name=name, priority=place, fit=fit)
