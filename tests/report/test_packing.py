"""Data inside a page: never markup, and the same when they come out."""

from __future__ import annotations

import base64
import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from acrank.report.packing import PLAIN_MOST, packed, page_json, script_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON | st.sampled_from(["</script>", "<!--<script>", "]]>", "\0\u2028\ud800"]))
def test_json_of_a_page_holds_no_markup_and_loses_nothing(data: object) -> None:
    text = script_json(data)
    assert text.isascii()
    assert not set("<>&\n") & set(text)
    assert json.loads(text) == data


@given(st.text())
def test_packed_text_comes_out_of_any_gzip_reader(text: str) -> None:
    raw = gzip.decompress(base64.b64decode(packed(text)["gzip"]))
    assert raw.decode() == text
    assert packed(text) == packed(text)


def test_only_large_data_are_packed() -> None:
    assert json.loads(page_json({"a": 1})) == {"a": 1}
    large = ["x" * PLAIN_MOST]
    assert list(json.loads(page_json(large))) == ["gzip"]
