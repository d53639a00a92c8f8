"""A CSV file as rows of text cells; every error names the file, the line and the column."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from acrank.errors import TableError
from acrank.system.bounds import read_bounded
from acrank.system.quoted_rows import QUOTE_HINT, breaks_line, rows_of_text
from acrank.system.words import closest

#: Spellings of an empty cell, in lower case.
EMPTY = frozenset({"", "nan", "na", "n/a", "null", "none"})
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity)", re.ASCII | re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class CsvRow:
    """One row: its file, its line number, the stripped text of its cells by column, and what separates them."""

    path: Path
    line: int
    cells: dict[str, str]
    delimiter: str = ","

    def text(self, column: str) -> str:
        """A cell as text; "" if the file lacks the column.

        Raises:
            TableError: the cell holds a line break, as a stray quote gives.
        """
        text = self.cells.get(column, "")
        if breaks_line(text):
            raise self.error(f"column {column!r} holds a line break", hint=QUOTE_HINT)
        return text

    def number(self, column: str) -> float | None:
        """A cell as a float; None if it is empty or NaN, or the file lacks the column.

        Unless commas separate the cells, a number may have a decimal comma.

        Raises:
            TableError: the cell holds text.
        """
        text = self.text(column)
        with_comma = self.delimiter != "," and _DECIMAL_COMMA.fullmatch(text)
        number = text.replace(",", ".") if with_comma else text
        if text.lower() in EMPTY:
            return None
        if not _NUMBER.fullmatch(number):  # float() would take 1_000, and digits of other scripts
            raise self.error(
                f"column {column!r} holds {text!r}, not a number",
                hint="leave the cell empty where there is no value, or name the score columns with --score",
            )
        return float(number)

    def error(self, problem: str, *, hint: str) -> TableError:
        """The error to raise for a problem in this row."""
        return TableError(f"{self.path}, line {self.line}: {problem}", hint=hint)


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """A CSV file: its path, its columns in order, and its rows."""

    path: Path
    columns: list[str]
    rows: list[CsvRow]

    def require(self, *names: str, hint: str) -> None:
        """Raise TableError unless the table has every named column."""
        for name in names:
            if name not in self.columns:
                text = f"{self.path} has no column {name!r}: it has {', '.join(self.columns)}"
                raise TableError(text, hint=closest(name, self.columns, hint))


def read_csv(path: Path) -> CsvTable:
    """Read a UTF-8 file with a header; commas, semicolons or tabs separate cells, whichever the header has most of.

    Raises:
        TableError: unreadable, empty, a duplicate or unnamed column, or a line with too few or too many cells.
    """
    return parse_csv(read_bounded(path, TableError), path)


def parse_csv(text: str, path: Path) -> CsvTable:
    """The same of text that was read already.

    Args:
        text: the file's content.
        path: what errors call it.
    """
    delimiter = max(",;\t", key=text.lstrip("\r\n").partition("\n")[0].count)
    try:
        found = rows_of_text(io.StringIO(text, newline=""), delimiter, strict=True)
        numbered = [(row.last, row.cells) for row in found if any(row.cells)]
    except csv.Error as error:
        hint = QUOTE_HINT if "quote" in str(error) else "save it as comma-separated UTF-8"
        raise TableError(f"{path} is not a CSV file: {error}", hint=hint) from error
    if len(numbered) < 2:
        raise TableError(f"{path} holds no rows", hint="give a CSV with a header and one line per model")
    columns = numbered[0][1]
    _check_header(path, columns)
    rows = []
    for line, cells in numbered[1:]:
        row = CsvRow(path=path, line=line, cells=dict(zip(columns, cells, strict=False)), delimiter=delimiter)
        if len(cells) != len(columns):
            raise row.error(
                f"{len(cells)} cells under {len(columns)} columns", hint="quote cells that hold the separator"
            )
        rows.append(row)
    return CsvTable(path=path, columns=columns, rows=rows)


def _check_header(path: Path, columns: list[str]) -> None:
    for position, name in enumerate(columns, start=1):
        if not name:
            raise TableError(f"{path}: column {position} has no name", hint="give every column a name")
        if columns.index(name) != position - 1:
            raise TableError(f"{path} has two columns {name!r}", hint="rename one of them")


def model_of(row: CsvRow) -> str:
    """The name in the column `model`; TableError where it is empty."""
    if not row.text("model"):
        raise row.error("column 'model' is empty", hint="name every model")
    return row.text("model")
