"""The table in docs/data.md against the options: what it names exists, and every option that decides is in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import acrank
from acrank.targets.target_options import TargetOptions

TABLE = [
    line
    for line in (Path(acrank.__file__).parents[1] / "docs" / "data.md").read_text().splitlines()
    if line[:2] == "| "
]
#: Options that choose among what the user has, and decide nothing that is ambiguous.
NO_DOUBT = {"image_column", "label_column", "labels_file", "slices", "spacing", "allow_outside"}
#: What goes beside options of `TargetOptions`.
OTHER_OPTIONS = {"--data"}
CHOICES = {
    name: tuple(getattr(extra, "choices", None) or ())
    for name, hint in get_type_hints(TargetOptions, include_extras=True).items()
    for extra in get_args(hint)[1:]
}


def spoken_of() -> list[tuple[str, str]]:
    """(option, value or "") of everything in code that begins with two hyphens."""
    codes = [code for line in TABLE for code in re.findall(r"`([^`]+)`", line) if code.startswith("--")]
    return [(code.split(" ", 1)[0], code.split(" ", 1)[1] if " " in code else "") for code in codes]


def test_what_the_table_names_are_options_and_choices() -> None:
    for option, value in spoken_of():
        if option in OTHER_OPTIONS:
            continue
        name = option[2:].replace("-", "_")
        assert name in CHOICES, option
        if CHOICES[name] and value:
            assert value in CHOICES[name], f"{option} {value}"


def test_every_option_that_decides_is_in_the_table() -> None:
    named = {option[2:].replace("-", "_") for option, _ in spoken_of()}
    assert set(CHOICES) - named - NO_DOUBT == set()
    words = " ".join(TABLE)
    lacking = [f"{name} {choice}" for name, choices in CHOICES.items() for choice in choices if choice not in words]
    assert lacking in ([], ["doubts refuse", "bad_images skip"])  # the defaults, which the table says in words


def test_every_row_has_an_input_a_deed_and_a_way_out() -> None:
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in TABLE]
    assert len(rows) > 40
    assert {len(row) for row in rows} == {3}
    assert [row for row in rows if not row[0] or (not row[0].startswith("**") and not (row[1] and row[2]))] == []
