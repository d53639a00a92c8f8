"""The pictures of terminals: whole SVG, nothing loaded from elsewhere, and the committed ones show today's table."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import acrank
from acrank.records import Ranking, Row, Value

ROOT = Path(acrank.__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "screenshots" / "terminal.py"))


def text_of(svg: str) -> str:
    return "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_picture_is_whole_and_loads_nothing(script: dict[str, Any], width: int) -> None:
    rows = [Row(f"<net {i}>", "scored", scores={"logme": Value(3.0 - i)}) for i in range(3)]
    svg = script["picture"](Ranking.of(rows, rank_by="logme", higher_is_better={"logme": True}), width, "acrank demo")
    shown = text_of(svg)
    assert all(f"<net {i}>" in shown for i in range(3))
    assert "$ acrank demo" in shown
    assert not re.search(r"url\((?!#)|@import|<image|xlink", svg)
    assert "#2a8fd0" in svg  # the bars' hue


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_committed_pictures_have_the_columns_of_that_width(width: int) -> None:
    shown = text_of((ROOT / "docs" / "images" / f"terminal-{width}.svg").read_text(encoding="utf-8"))
    assert "by finetunability (higher is better)" in shown
    assert "as a share of the best" in shown
    assert ("more columns" in shown) is (width < 200)
    assert all((column in shown) is (width == 200) for column in ("params", "probe_accuracy"))
