"""README.md and the pages of docs/: their text, their fenced blocks, and the commands in them."""

from __future__ import annotations

import functools
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pages
import typer

import acrank
from acrank.cli.app import build

ROOT = Path(acrank.__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MADE = re.compile(r"<!-- made: .*?<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language and its lines, without their common indent."""

    page: Path
    language: str
    text: str


def blocks(language: str, pages: list[Path] | None = None) -> list[Block]:
    """The fenced blocks of a language in pages (all)."""
    found = [(page, one) for page in pages or PAGES for one in _FENCE.finditer(page.read_text(encoding="utf-8"))]
    return [Block(page, one[2], textwrap.dedent(one[3])) for page, one in found if one[2] == language]


def block_with(first_line: str, language: str, page: Path) -> str:
    """The block of a page that begins with a line.

    Raises:
        LookupError: the page shows none.
    """
    for one in blocks(language, [page]):
        if one.text.startswith(first_line + "\n"):
            return one.text
    raise LookupError(f"{page.name} shows no {first_line}")


def commands() -> list[tuple[Path, str]]:
    """(page, command line) of every line of a console block; lines that go on after a backslash are joined."""
    found = [(one.page, re.sub(r"\\\n", " ", one.text)) for one in blocks("console")]
    return [(page, line[2:]) for page, text in found for line in text.splitlines() if line.startswith("$ ")]


def written(page: Path) -> str:
    """The text of a page without what is made from the program."""
    return _MADE.sub("", page.read_text(encoding="utf-8"))


@functools.cache
def program() -> tuple[Any, dict[str, Any]]:
    """The whole command line, and its commands by full name."""
    root = typer.main.get_command(build())
    return root, dict(pages.named_commands(root, "acrank"))
