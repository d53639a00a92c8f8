"""Hints for unknown words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for an unknown word: the known words nearest to it, at most three, else `otherwise`.

    Example:
        >>> closest("loggme", ["logme", "leep"], "`acrank scores` lists them")
        "did you mean 'logme'?"
        >>> closest("x", ["logme", "leep"], "`acrank scores` lists them")
        '`acrank scores` lists them'
    """
    found = difflib.get_close_matches(word, list(known), n=3)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else otherwise
