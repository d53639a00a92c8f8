"""The output formats: a function per format, and the table FORMATS.

Every renderer takes a View: columns and rows for people and spreadsheets, and the full record for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from acrank.errors import UsageError
from acrank.formats.machine_readable import to_csv, to_json
from acrank.formats.markdown import to_markdown
from acrank.formats.table import to_table
from acrank.system.view import View

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
