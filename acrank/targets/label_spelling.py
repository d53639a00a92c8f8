"""Names of classes that differ in spelling only, or that say that the class is not known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

#: Of up to four digits of an exponent, which are exact at any length.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,4})?", re.IGNORECASE)
#: Cells without a label, whatever the user says.
EMPTY = ("", "nan", "na", "n/a", "#n/a", "<na>")
#: What spreadsheets leave in a cell whose formula failed (#REF!, #BEZUG!, Err:502), or that is too narrow.
_FAILED = re.compile(r"#[¡¿]?[^\W\d_][^\Wa-z]*(?:/0)?[!?]|#{2,}|Err:\d{3}")
#: Words that say that a label is not known, unless a class has this name.
UNKNOWN = (
    "none",
    "null",
    "nil",
    "unknown",
    "unk",
    "?",
    "??",
    "-",
    "--",
    "missing",
    "not available",
    "undefined",
    "tbd",
    "n.a.",
    "n.a",
    ".",
    "unlabeled",
    "unlabelled",
    "not labeled",
    "not labelled",
    "no label",
    "not annotated",
    "not known",
    "not specified",
    "unspecified",
)


def composed(text: str) -> str:
    """Text with letters and their accents in one character each (NFC), as most systems write names.

    >>> len("Mu\u0308ll"), len(composed("Mu\u0308ll"))
    (5, 4)
    """
    return unicodedata.normalize("NFC", text)


def without_label(cells: np.ndarray) -> np.ndarray:
    """Where cells are empty, or hold what a spreadsheet writes where there is no value; bool of their shape.

    >>> without_label(np.array(["", "NaN", "#N/A", "#REF!", "#DIV/0!", "####", "#1", "# 2!"])).tolist()
    [True, True, True, True, True, True, False, False]
    """
    distinct, places = np.unique(cells, return_inverse=True)
    lacking = [cell.lower() in EMPTY or _FAILED.fullmatch(cell) is not None for cell in distinct.tolist()]
    return np.array(lacking, dtype=bool)[places].reshape(cells.shape)


def spelling_notes(classes: Sequence[str]) -> tuple[str, ...]:
    """Warnings on classes that are one word or number in several spellings; on unknown images.

    Words may differ in case, blanks, punctuation or what is invisible, numbers in all but their value.

    Example:
        >>> spelling_notes(["Benign", "benign ", "malignant"])
        ("warning: classes differ in spelling only: 'Benign', 'benign '; are they one class?",)
    """
    alike: dict[str | Decimal, list[str]] = {}
    for name in classes:
        alike.setdefault(_value(name), []).append(name)
    notes = [
        f"warning: classes differ in spelling only: {', '.join(map(repr, names))}; are they one class?"
        for names in alike.values()
        if len(names) > 1
    ]
    unknown = [name for name in classes if name.strip().casefold() in UNKNOWN]
    if unknown:
        notes.append(f"warning: classes named {', '.join(map(repr, unknown))}: are their images labelled at all?")
    return tuple(notes)


def _value(name: str) -> str | Decimal:
    """The number that a name is, else it without what does not matter.

    >>> _value("+01") == _value("1e0") == _value("\uff11.00") == 1, _value("1.10") == _value("1.1"), _value("a-1")
    (True, True, 'a1')
    """
    plain = _plain(name)
    text = unicodedata.normalize("NFKC", plain).strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else plain


def _plain(name: str) -> str:
    """A name without case, blanks, joints and a trailing dot; names without letters as they are seen.

    >>> _plain("soft\u00adware "), _plain("1\u200b"), _plain("1.")
    ('software', '1', '1.')
    """
    seen = "".join(one for one in name if unicodedata.category(one) != "Cf")  # joiners, marks of direction, BOM
    plain = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", seen).casefold()).strip(".")
    return plain if any(map(str.isalpha, plain)) else seen
