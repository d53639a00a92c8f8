"""Cells as text for people."""

from __future__ import annotations

import math
from typing import Any

import pytest

from acrank.formats.cells import cell_text, is_number


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (11_689_512, "11689512"),
        (0.0, "0"),
        (0.123456, "0.1235"),
        (1234567.0, "1.235e+06"),
        (1e-9, "1e-09"),
        (math.nan, "nan"),
        ("", ""),
        ("model", "model"),
    ],
)
def test_cells_as_text(cell: Any, text: str) -> None:
    assert cell_text(cell) == text


@pytest.mark.parametrize(("cell", "expected"), [(1, True), (1.5, True), (True, False), (None, False), ("1", False)])
def test_only_numbers_are_numbers(cell: Any, expected: bool) -> None:
    assert is_number(cell) is expected
