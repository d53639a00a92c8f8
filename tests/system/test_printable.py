"""What is printable stays as it is; the rest steers neither a terminal nor a runner."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from acrank.system.printable import printable


@pytest.mark.parametrize("text", ["", "resnet18", "ü 日本", "a::b", "## [x]", "e\u0301", "क\u094d\u200dष"])
def test_names_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("one", ["\u200b", "\u200e", "\u00ad", "\u2060", "\ufeff"])
def test_what_is_invisible_is_shown(one: str) -> None:
    for text in (f"cat{one}", f"{one}cat", f"c{one}at", f"cat{one * 3}"):
        shown = printable(text)
        assert one not in shown
        assert shown != "cat"


@pytest.mark.parametrize("text", ["نمی\u200cخواهم", "👩\u200d👩", ":\u200b:error::", "##\u200b[add-mask]"])
def test_joiners_of_scripts_and_breaks_of_commands_stay(text: str) -> None:
    assert printable(text) == text


@given(st.text(st.characters()), st.booleans())
@example("\t::error::\n  ##[x]\r##vso[y]", True)
@example(":::::", False)
def test_nothing_steers_a_terminal_or_a_runner(text: str, newlines: bool) -> None:
    shown = printable(text, newlines=newlines)
    kept = "\n\t" if newlines else ""
    assert not [one for one in shown if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") and one not in kept]
    assert not re.search(r"^\s*(::|##vso\[)|##\[", shown, re.MULTILINE)
    assert printable(shown, newlines=newlines) == shown
