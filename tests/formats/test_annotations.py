"""Annotations, parsed as GitHub's runner parses them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from acrank.formats.annotations import error_annotation

pieces = st.sampled_from(["%", "\n", "\r", ":", "::", ",", "%0A", "%25", "a", "=", "##[", "::stop-commands::x"])
texts = st.text(max_size=20) | st.lists(pieces).map("".join)


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Command, properties and data of one line, after the grammar of the runner's ActionCommand."""
    command, properties, data = re.fullmatch(r"::(\S+?)(?: (.*?))?::(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
    found = dict(pair.split("=", 1) for pair in (properties or "").split(",") if pair)
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        found = {key: value.replace(code, char) for key, value in found.items()}
        if char not in ":,":
            data = data.replace(code, char)
    return command, found, data


@given(texts, texts)
def test_title_and_message_are_read_back_exactly(title: str, message: str) -> None:
    line = error_annotation(title, message)
    assert "\n" not in line
    assert "\r" not in line
    assert read(line) == ("error", {"title": title}, message)
