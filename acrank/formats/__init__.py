"""The output formats: a function per format, and the table FORMATS.

Every renderer takes a View: columns and rows for people and spreadsheets, and the full record for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acrank.errors import UsageError
from acrank.formats.machine_readable import to_csv, to_json
from acrank.formats.markdown import to_markdown
from acrank.formats.table import to_table


@dataclass(frozen=True, kw_only=True)
class View:
    """A result ready to be rendered.

    Attributes:
        columns: column names.
        rows: cells (str, int, float, bool or None), one list per row, as long as `columns`.
        record: the whole result as plain data; the JSON format writes it.
        title: shown above the table, and as the heading in markdown.
        brief: the columns that the terminal table and markdown show; all columns if empty.
    """

    columns: list[str]
    rows: list[list[Any]]
    record: Any
    title: str = ""
    brief: list[str] = field(default_factory=list)

    def shown(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of the formats for people: those in `brief`, or all if it is empty."""
        keep = [self.columns.index(name) for name in self.brief] or range(len(self.columns))
        return [self.columns[i] for i in keep], [[row[i] for i in keep] for row in self.rows]


Renderer = Callable[[View], str]
FORMATS: dict[str, Renderer] = {"table": to_table, "json": to_json, "csv": to_csv, "markdown": to_markdown}
_SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".txt": "table"}


def render(view: View, format_name: str) -> str:
    """The view as text in one of FORMATS, ending in a newline."""
    return FORMATS[format_name](view)


def format_of(path: Path, *, also: Sequence[str] = ()) -> str:
    """The format that belongs to a path's suffix; the hint lists the suffixes `also`, which the caller writes itself.

    Raises:
        UsageError: no format has that suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join([*_SUFFIXES, *also])
        raise UsageError(f"no output format for {path.name!r}", hint=f"end the path in one of {known}")
    return _SUFFIXES[suffix]
