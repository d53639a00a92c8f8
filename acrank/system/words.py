"""Words that users give: lists of them, and hints about unknown ones."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterable


def closest(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for an unknown word: the known words nearest to it, at most three, else `otherwise`.

    Example:
        >>> closest("loggme", ["logme", "leep"], "`acrank scores` lists them")
        "did you mean 'logme'?"
        >>> closest("x", ["logme", "leep"], "`acrank scores` lists them")
        '`acrank scores` lists them'
    """
    found = difflib.get_close_matches(shortened(word, 200), list(known), n=3)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else otherwise


def words_of(values: Iterable[str]) -> list[str]:
    """The words of a list: repeated, separated by commas or line breaks; quotes keep a comma within a word.

    Example:
        >>> words_of(["a, b", "c", '"d,e"'])
        ['a', 'b', 'c', 'd,e']
    """
    readers = (csv.reader(io.StringIO(value, newline=""), skipinitialspace=True) for value in values)
    return [word.strip() for reader in readers for row in reader for word in row if word.strip()]


def from_to(low: float, high: float, spec: str = "g") -> str:
    """A range in words; one number where its ends read the same.

    Example:
        >>> from_to(2, 3), from_to(3, 3), from_to(0.801, 0.804, ".2f")
        ('2 to 3', '3', '0.80')
    """
    ends = [format(low, spec), format(high, spec)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def shortened(text: str, most: int = 2000) -> str:
    """The text with its middle left out where it is longer than `most` characters.

    Example:
        >>> shortened("a" * 30, 11)
        'aaaaa…aaaaa'
    """
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
