"""Markdown: a pipe table that renders on GitHub; names show as text, never as markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from acrank.formats.cells import cell_text, is_number, visible

if TYPE_CHECKING:
    from acrank.system.view import View


def to_markdown(view: View) -> str:
    """Title, header and rows; numeric columns are right-aligned."""
    columns, rows = view.shown()
    right = [any(is_number(row[i]) for row in rows) for i in range(len(columns))]
    lines = [f"### {escape(view.title)}", ""] if view.title else []
    lines.append(_line(columns))
    lines.append("|" + "|".join(" ---: " if numeric else " --- " for numeric in right) + "|")
    lines += [_line(row) for row in rows]
    lines += [line for text in view.footer for line in ("", escape(text))]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text escaped for a table cell: one line, without markup, HTML, links, mentions or formulas.

    >>> escape("a|b <b>*x*")
    'a\\\\|b &lt;b&gt;\\\\*x\\\\*'
    """
    text = " ".join(visible(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", text)
    text = re.sub(r"(?i)(:)(?=//)|(www)(?=\.)|(@)", "\\g<0>\u200b", text)  # no bare links, no mentions
    return text.replace("$", "<span>$</span>")  # GitHub's syntax for a dollar sign outside formulas


def _line(cells: list[Any]) -> str:
    return "| " + " | ".join(escape(cell_text(cell)) for cell in cells) + " |"
