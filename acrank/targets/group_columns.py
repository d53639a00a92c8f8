"""Columns of a table whose names say that they tell groups, such as `patient_id`: proposed, never taken in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from acrank.targets.target import first_few

#: How the warning begins.
_START = "warning: by "
_PEOPLE = "patient|subject|subj|participant|person|individual|donor|proband|volunteer|animal|mouse|mrn|pid"
#: Words that may say a class, too; alone they count where their cells are no truth values.
_ALONE = "case|study|slide|exam|examination|visit|accession"
_OBJECTS = "lesion|nodule|tumou?r|specimen|biopsy|sample|series|scan|video|volume|session|encounter|eye|wsi|tissue"
_NUMBER = "id|ids|uid|uuid|instance uid|no|nr|num|number|nbr|key|code|index|idx|identifier|hash|pseudonym|name"
_BEFORE = "(?:(?:anon|anonymi[sz]ed|deid|dicom|original|orig|unique|source|the) )?"
_NAME = re.compile(
    rf"{_BEFORE}(?:(?P<people>(?:{_PEOPLE})s?(?: ?(?:{_NUMBER}))?)"
    rf"|(?P<other>(?:{_ALONE})(?: ?(?:{_NUMBER}))?|(?:{_OBJECTS}) ?(?:{_NUMBER})))"
)
_TRUTH = frozenset({"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", "t", "f", ""})


def group_columns(header: Sequence[str], rows: Sequence[Sequence[str]], *, besides: Collection[int]) -> list[str]:
    """The columns that may say which images belong together, those of people first, then those of fewer groups.

    Their cells are several, of which at least two images share one.

    Args:
        header: names of the columns.
        rows: cells, one for each column.
        besides: columns of images and labels, which are none.

    >>> group_columns(["path", "age", "PatientID"], [["a", "9", "p"], ["b", "9", "p"], ["c", "8", "q"]], besides=[0])
    ['PatientID']
    """
    found = {}
    for place, name in enumerate(header):
        told = None if place in besides else _NAME.fullmatch(_words(name))
        groups = {*(row[place] for row in rows)} - {""} if told else set()
        cells = sum(bool(row[place]) for row in rows)
        is_truth = {cell.lower() for cell in groups} <= _TRUTH
        if told and 1 < len(groups) < cells and not is_truth:
            found[name] = (told.lastgroup == "other", len(groups))
    return sorted(found, key=lambda name: found[name])


def columns_note(header: Sequence[str], rows: Sequence[Sequence[str]], *, besides: Collection[int]) -> list[str]:
    """The warning on columns that may say which images belong together, and the option that uses the likeliest."""
    names = group_columns(header, rows, besides=besides)
    if not names:
        return []
    cells = [row[header.index(names[0])] for row in rows]
    largest = max(Counter(cell for cell in cells if cell).values())
    lacking = f" ({cells.count('')} rows name none, which must be filled in first)" if "" in cells else ""
    which = f"the column {names[0]!r}" if len(names) == 1 else f"one of the columns {first_few([*map(repr, names)])}"
    return [
        f"{_START}{which} several images seem to be of one patient or object (up to {largest} of one), and may then be "
        f"on both sides of a split: say --group-column {_quoted(names[0])} to keep them together{lacking}"
    ]


def tells_columns(notes: Sequence[str]) -> bool:
    """Whether the warning on such columns is among a target's notes."""
    return any(note.startswith(_START) for note in notes)


def _words(name: str) -> str:
    """A name as words in lower case: `PatientID`, `patient_id` and `patient id` are one."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.split(r"[\W_]+", parted.lower())).strip()


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else f"'{name}'"
