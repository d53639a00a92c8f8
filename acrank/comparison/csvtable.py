"""A CSV file as named columns of text, with errors that say which line and column."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from acrank.errors import TableError

#: How an empty cell may be written, in lower case.
EMPTY = frozenset({"", "nan", "na", "n/a", "null", "none"})


@dataclass(frozen=True)
class CsvTable:
    """The cells of a CSV file as stripped text.

    Attributes:
        path: where it was read, for messages.
        columns: header, in the file's order.
        rows: one dict per line: column -> text.
        lines: line number of each row in the file.
    """

    path: Path
    columns: list[str]
    rows: list[dict[str, str]]
    lines: list[int]

    def require(self, *names: str, hint: str) -> None:
        """Raise TableError unless every named column is there."""
        for name in names:
            if name not in self.columns:
                raise TableError(f"{self.path} has no column {name!r}: it has {', '.join(self.columns)}", hint=hint)

    def number(self, index: int, column: str) -> float | None:
        """One cell as a float, None where it is empty.

        Raises:
            TableError: the cell holds text.
        """
        text = self.rows[index][column]
        if text.lower() in EMPTY:
            return None
        try:
            return float(text)
        except ValueError as error:
            raise TableError(
                f"{self.path}, line {self.lines[index]}: column {column!r} holds {text!r}, not a number",
                hint="leave the cell empty where there is no value, or name the score columns with --score",
            ) from error

    def text(self, index: int, column: str, default: str = "") -> str:
        """One cell as text; `default` where the table lacks the column."""
        return self.rows[index].get(column, default)


def read_csv(path: Path) -> CsvTable:
    """Read a comma-separated UTF-8 file with a header.

    Raises:
        TableError: unreadable, empty, a repeated column, or a line with too few or too many cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path} is not a CSV file: {error}", hint="save it as comma-separated UTF-8") from error
    if len(numbered) < 2:
        raise TableError(f"{path} holds no rows", hint="give a CSV with a header and one line per model")
    columns = numbered[0][1]
    _check_header(path, columns)
    for line, cells in numbered[1:]:
        if len(cells) != len(columns):
            raise TableError(
                f"{path}, line {line}: {len(cells)} cells under {len(columns)} columns",
                hint="quote cells that hold commas",
            )
    rows = [dict(zip(columns, cells, strict=True)) for _, cells in numbered[1:]]
    return CsvTable(path, columns, rows, [line for line, _ in numbered[1:]])


def _check_header(path: Path, columns: list[str]) -> None:
    for position, name in enumerate(columns, start=1):
        if not name:
            raise TableError(f"{path}: column {position} has no name", hint="give every column a name")
        if columns.index(name) != position - 1:
            raise TableError(f"{path} has two columns {name!r}", hint="rename one of them")
