"""A result as every format takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class View:
    """A result ready to be rendered in any format.

    Attributes:
        columns: column names.
        rows: cells (str, int, float, bool or None), one list per row, as long as `columns`.
        record: the whole result as plain data; the JSON format writes it.
        title: shown above the table, and as the heading in markdown.
        brief: columns that the terminal table and markdown show; all where empty.
    """

    columns: list[str]
    rows: list[list[Any]]
    record: Any
    title: str = ""
    brief: list[str] = field(default_factory=list)

    def shown(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows for people: `brief` only, where it is given."""
        keep = [self.columns.index(name) for name in self.brief] or range(len(self.columns))
        return [self.columns[i] for i in keep], [[row[i] for i in keep] for row in self.rows]
