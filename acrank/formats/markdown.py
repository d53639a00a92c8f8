"""Markdown: a pipe table that renders on GitHub, safe against whatever a model is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from acrank.formats.cells import is_number, text_of, visible

if TYPE_CHECKING:
    from acrank.formats import View


def to_markdown(view: View) -> str:
    """Title, header and rows; numeric columns are right-aligned."""
    columns, rows = view.shown()
    right = [any(is_number(row[i]) for row in rows) for i in range(len(columns))]
    lines = [f"### {escape(view.title)}", ""] if view.title else []
    lines.append(_line(columns))
    lines.append("|" + "|".join(" ---: " if numeric else " --- " for numeric in right) + "|")
    lines += [_line(row) for row in rows]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that shows as itself inside a table cell: no markup, no HTML, no links, no mentions, no formulas, one line.

    >>> escape("a|b <b>*x*")
    'a\\\\|b &lt;b&gt;\\\\*x\\\\*'
    """
    text = " ".join(visible(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", text)
    text = re.sub(r"(?i)(:)(?=//)|(www)(?=\.)|(@)", "\\g<0>\u200b", text)  # no bare links, no mentions
    return text.replace("$", "<span>$</span>")  # GitHub's own way to show a dollar sign that starts no formula


def _line(cells: list[Any]) -> str:
    return "| " + " | ".join(escape(text_of(cell)) for cell in cells) + " |"
