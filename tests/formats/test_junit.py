"""JUnit XML, read back by the independent library junitparser."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, SystemOut

from acrank.formats.junit import JUnitCase, to_junit, xml_safe

texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["]]>", "<!--", "&amp;", '"', "\x00\x0b\ufffe\ud800", ""]
)


def test_counts_names_and_messages_are_read_back(tmp_path: Path) -> None:
    cases = [
        JUnitCase(name="top_k", message="a is rank 1", failed=False),
        JUnitCase(name="time", message="3 < 2 & more", failed=True),
    ]
    (tmp_path / "junit.xml").write_text(to_junit("acrank check", cases), encoding="utf-8")
    xml = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (xml.tests, xml.failures, xml.errors) == (2, 1, 0)
    (suite,) = xml
    assert (suite.name, suite.tests, suite.failures) == ("acrank check", 2, 1)
    passed, failed = suite
    assert (passed.name, passed.classname, passed.is_passed) == ("top_k", "acrank check", True)
    assert passed.child(SystemOut).text == "a is rank 1"
    (result,) = failed.result
    assert isinstance(result, Failure)
    assert (result.message, result.text) == ("3 < 2 & more", "3 < 2 & more")


@given(st.lists(st.builds(JUnitCase, name=texts, message=texts, failed=st.booleans()), max_size=4), texts)
def test_any_text_gives_xml_that_parses_to_the_same_cases(cases: list[JUnitCase], suite: str) -> None:
    text = to_junit(suite, cases)
    xml = JUnitXml.fromstring(text.encode())
    found = [case for part in xml for case in part]
    assert [case.name for case in found] == [xml_safe(case.name) for case in cases]
    assert [not case.is_passed for case in found] == [case.failed for case in cases]
    assert [case.result[0].message for case in found if case.result] == [xml_safe(c.message) for c in cases if c.failed]


def test_the_same_cases_give_the_same_bytes() -> None:
    cases = [JUnitCase(name="a", message="b", failed=True)]
    assert to_junit("s", cases) == to_junit("s", cases)


def test_a_message_steers_no_viewer() -> None:
    text = to_junit("s", [JUnitCase(name="n\u202e", message="a\x1b[31m\n::error::b", failed=False)])
    assert not {"\x1b", "\u202e"} & {*text}
    (suite,) = JUnitXml.fromstring(text.encode())
    (case,) = suite
    assert case.name == r"n\u202e"
    assert case.child(SystemOut).text == "a\\x1b[31m\n: :error::b"
