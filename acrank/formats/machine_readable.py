"""The formats for programs: CSV with every column, and JSON with the full record."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from acrank.system.printable import printable

if TYPE_CHECKING:
    from acrank.system.view import View

_NOT_PLAIN = re.compile(r"[^\x00-\x7e]")


def to_csv(view: View) -> str:
    """CSV after RFC 4180, but with "\\n" line ends; floats in the shortest text that reads back exactly, None empty.

    Text is printable: control characters but line breaks and tabs are escapes, and no line is a command to a CI runner.
    It is data: a text that a spreadsheet would take for a formula stays as it is.
    """
    return "".join(_line(cells) for cells in [view.columns, *view.rows])


def to_json(view: View) -> str:
    """The view's record; NaN and infinities are null, what could steer a terminal is escaped as JSON has it."""
    from acrank.system.plain_data import dumps  # every command loads this module, few write a record

    return _NOT_PLAIN.sub(_json_escape, dumps(view.record)).replace("##[", r"#\u0023[")  # a runner's, even in a line


def _json_escape(found: re.Match[str]) -> str:
    return found[0] if printable(found[0]) == found[0] else ascii_json(found[0])


def ascii_json(text: str) -> str:
    """Text of a JSON string, with every character outside ASCII as its escape.

    >>> print(ascii_json("\u00fc\U0001f600"))
    \\u00fc\\ud83d\\ude00
    """
    return json.dumps(text)[1:-1]


def _line(cells: list[Any]) -> str:
    # csv.writer quotes a carriage return within a cell only if the line terminator has one
    out = io.StringIO()
    texts = [printable(cell, newlines=True) if isinstance(cell, str) else cell for cell in cells]
    csv.writer(out, lineterminator="\r\n").writerow(texts)
    return out.getvalue().removesuffix("\r\n") + "\n"
