"""Rows of CSV text, where a stray double quote must not make one cell of many rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: What a reader may advise where quotes are wrong.
QUOTE_HINT = 'double a quote within a cell ("5"" wide"), or remove it; keep each row on one line where you can'
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,7}(?:\.gz)?$")


@dataclass(frozen=True, slots=True)
class QuotedRow:
    """A row: its cells, stripped, its last line, and whether a line of it may be a row of its own."""

    cells: list[str]
    last: int
    is_doubtful: bool = False


def rows_of_text(lines: Iterable[str], delimiter: str, *, strict: bool = False) -> Iterator[QuotedRow]:
    r"""The rows of CSV text; quotes may keep a line break within a cell, but those that swallow rows are refused.

    Of the header, lines with as many cells as it has are refused; of other rows those whose cells are also alike: paths
    with the suffix of the row's, numbers where it has numbers. Where only their count is the same, the row is doubtful.

    Args:
        lines: with their ends.
        delimiter: between cells.
        strict: whether text behind a closing quote is an error within a line, too.

    Raises:
        csv.Error: a quote that is never closed, or that swallows rows.

    Example:
        >>> [row.cells for row in rows_of_text(['a,"b\n', 'c"\n', "d,5 in\n"], ",")]
        [['a', 'b\nc'], ['d', '5 in']]
        >>> list(rows_of_text(['1.png,"a\n', '2.png,b"\n'], ","))
        Traceback (most recent call last):
        ...
        _csv.Error: a quote in line 1 runs on to line 2, which looks like a row
    """
    raw: list[str] = []
    is_over = False

    def kept() -> Iterator[str]:
        nonlocal is_over
        for line in lines:
            raw.append(line)
            yield line
        is_over = True

    last, is_header = 0, True
    for found in csv.reader(kept(), delimiter=delimiter):
        first, last = last + 1, last + len(raw)
        if is_over:  # the reader asked for more within a row
            raise csv.Error(f"unexpected end of data: a quote in line {first} is never closed")
        cells, is_doubtful = [cell.strip() for cell in found], False
        if strict or len(raw) > 1:
            _refuse_text_behind(raw, delimiter, first=first)
        if len(raw) > 1:
            is_doubtful = _swallows(raw, cells, delimiter, first=first, is_header=is_header)
        raw.clear()
        is_header = is_header and not any(cells)
        yield QuotedRow(cells, last, is_doubtful=is_doubtful)


def breaks_line(cell: str) -> bool:
    """Whether a cell holds a line break."""
    return "\n" in cell or "\r" in cell


def _refuse_text_behind(raw: Sequence[str], delimiter: str, *, first: int) -> None:
    """Refuse text behind a closing quote: in a cell of several lines, a stray one opened or closed it."""
    try:
        list(csv.reader(raw, delimiter=delimiter, strict=True))
    except csv.Error as error:
        runs_on = f" runs on to line {first + len(raw) - 1}" if len(raw) > 1 else ""
        raise csv.Error(f"a quote in line {first}{runs_on}: {error}") from error


def _swallows(raw: Sequence[str], cells: Sequence[str], delimiter: str, *, first: int, is_header: bool) -> bool:
    """Whether the first line of a row and a further one have as many cells as it, each by itself.

    Raises:
        csv.Error: and they are alike, or the row is the header.
    """
    if len(cells) < 2 or not _parts(raw[0], len(cells), delimiter):
        return False
    kinds = [None if breaks_line(cell) else _kind(cell) for cell in cells]
    is_doubtful = False
    for number, line in enumerate(raw[1:], start=first + 1):
        parts = _parts(line, len(cells), delimiter)
        if not parts:
            continue
        is_doubtful = True
        pairs = [(kind, _kind(part)) for part, kind in zip(parts, kinds, strict=True) if kind]
        paths = [one == other for one, other in pairs if one.startswith(".")]
        if is_header or any(paths) or (not paths and all(one == other for one, other in pairs)):
            raise csv.Error(f"a quote in line {first} runs on to line {number}, which looks like a row")
    return is_doubtful


def _parts(line: str, width: int, delimiter: str) -> list[str]:
    """The cells of a line, where it has so many by itself, whether quotes in it are stray or not; else none."""
    for parts in (line.split(delimiter), *csv.reader([line], delimiter=delimiter)):
        if len(parts) == width:
            return [part.strip(' \r\n"') for part in parts]
    return []


def _kind(cell: str) -> str:
    """A number, the suffix of a path, one word or none, or several.

    >>> _kind("-1.5"), _kind("a b/c.PNG"), _kind("dog"), _kind("soft, round")
    ('number', '.png', 'word', 'words')
    """
    if _NUMBER.fullmatch(cell):
        return "number"
    found = _SUFFIX.search(cell)
    return found[0].lower() if found else "words" if " " in cell else "word"
