"""Entries that a scan writes are read back as they were, whatever a file or a key is called."""

from __future__ import annotations

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from acrank.zoo.entries import Entry, comment, entry_text


@given(st.text(), st.text(), st.text())
@example("\ufffe>", "a\x7f", "\U0001f600 b")
@example("\u202e", "\ud800", "\x85 \u2028")
@example("- a", "x" * 300 + " " + "y" * 300, "no")
def test_every_text_is_read_back(name: str, weights: str, prefix: str) -> None:
    lines = entry_text(Entry("resnet18", {"strip_prefix": prefix}), name, weights)
    document = "\n".join([*comment(name, weights), *lines]).encode("utf-8")
    (found,) = yaml.safe_load(document)
    assert found == {"id": name, "architecture": "resnet18", "weights": weights, "strip_prefix": prefix}
