"""What a stream is written to: how wide it is, and whether it takes colours and the lines of tables."""

from __future__ import annotations

import os
from typing import TextIO

#: For an encoding that lacks the lines of a table.
PLAIN = str.maketrans("─╌━●├┤…", "-.=o||~")


def width_of(stream: TextIO) -> int | None:
    """Columns of the terminal that a stream writes to, as COLUMNS says or the terminal; None where there is none."""
    if not stream.isatty():
        return None
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) else os.get_terminal_size(stream.fileno()).columns or None


def has_colour(stream: TextIO) -> bool:
    """Whether a stream takes colours: NO_COLOR says never, FORCE_COLOR always, else a terminal does."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
