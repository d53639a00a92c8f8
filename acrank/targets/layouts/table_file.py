"""Reading a CSV or TSV file: its header, and its rows of equal width."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from acrank.errors import TargetError
from acrank.system.bounds import MOST_TEXT, read_bounded
from acrank.system.quoted_rows import QUOTE_HINT, breaks_line, rows_of_text
from acrank.targets.stores.reading import check_count
from acrank.targets.target import first_few

#: Characters of one row.
_LONGEST_ROW = 2**20


@dataclass(frozen=True)
class ListedRow:
    """The cells of a row, stripped, and its number; the header is row 1. A doubtful one may have swallowed others."""

    number: int
    cells: list[str]
    is_doubtful: bool = False


def read_table(path: Path) -> tuple[list[str], list[ListedRow], str]:
    """Column names, rows, and what separates the cells, of a CSV or TSV file.

    Raises:
        TargetError: it cannot be read, is empty or too large, or has rows of several widths or columns of one name, or
            quotes that are never closed or swallow rows.
    """
    text = read_bounded(path, TargetError, most=MOST_TEXT)
    first = text.partition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    try:
        rows = list(_rows(path, text, delimiter))
    except csv.Error as error:
        hint = QUOTE_HINT if "quote" in str(error) else "give a CSV or TSV in UTF-8"
        raise TargetError(f"cannot read {path}: {error}", hint=hint) from error
    if not rows:
        raise TargetError(f"{path} is empty", hint="the first row names the columns, then one row per image")
    header = rows[0].cells
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise TargetError(f"{path} has two columns called {twice[0]!r}", hint="rename one of them")
    return header, rows[1:], delimiter


def _rows(path: Path, text: str, delimiter: str) -> Iterator[ListedRow]:
    """The rows that are not blank, header first; one of another width, or too long, is refused where it stands."""
    since, width, count = 0, 0, 0

    def lines() -> Iterator[str]:
        nonlocal since
        for line in io.StringIO(text, newline=""):
            since += len(line)
            if since > _LONGEST_ROW:
                raise csv.Error(f"a row of more than {_LONGEST_ROW} characters")
            yield line

    for number, found in enumerate(rows_of_text(lines(), delimiter), start=1):
        since, cells = 0, found.cells
        if not any(cells):
            continue
        width, count = width or len(cells), count + 1
        check_count(count * max(1, width // 8), str(path))
        if len(cells) != width:
            raise TargetError(
                f"{path}: row {number} has {len(cells)} cells, the header has {width}",
                hint="quote cells that contain the separator",
            )
        yield ListedRow(number, cells, found.is_doubtful)


def refuse_broken(path: Path, header: Sequence[str], rows: Sequence[ListedRow], *, places: Sequence[int]) -> None:
    """Refuse a line break within a cell of the columns that are used: a stray quote joins rows so."""
    for row in rows:
        for place in places:
            if breaks_line(row.cells[place]):
                raise TargetError(
                    f"{path}: the cell of row {row.number} in column {header[place]!r} holds a line break",
                    hint=QUOTE_HINT,
                )


def doubtful_notes(rows: Sequence[ListedRow]) -> list[str]:
    """A warning on rows with cells of several lines, of which some have as many cells as the table has columns."""
    found = [f"row {row.number}" for row in rows if row.is_doubtful]
    said = "hold lines with as many separators as a row of the table: are these notes, or rows behind a stray quote?"
    return [f"warning: quoted cells of {first_few(found, 3)} {said}"] if found else []


def tidy_path(cell: str) -> str:
    """A path of a table with forward slashes.

    >>> tidy_path(".\\\\scans\\\\a.png")
    'scans/a.png'
    """
    return cell.replace("\\", "/").removeprefix("./")
