"""JUnit XML: the form in which CI systems read passed and failed checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """One test case: its name, what was found, and whether that is a failure."""

    name: str
    message: str
    failed: bool


def to_junit(suite: str, cases: Sequence[Case]) -> str:
    """The cases as one test suite; characters that XML cannot hold become U+FFFD.

    Nothing in it depends on when or where it was written.

    Example:
        >>> print(to_junit("gates", [Case("top_k", "b is rank 4", failed=True)]))
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites tests="1" failures="1" errors="0">
          <testsuite name="gates" tests="1" failures="1" errors="0" skipped="0" time="0">
            <testcase classname="gates" name="top_k" time="0">
              <failure message="b is rank 4" type="failure">b is rank 4</failure>
            </testcase>
          </testsuite>
        </testsuites>
        <BLANKLINE>
    """
    from xml.etree import ElementTree  # every command loads this module, few write XML

    counts = {"tests": str(len(cases)), "failures": str(sum(case.failed for case in cases)), "errors": "0"}
    root = ElementTree.Element("testsuites", counts)
    body = ElementTree.SubElement(root, "testsuite", {"name": legal(suite), **counts, "skipped": "0", "time": "0"})
    for case in cases:
        _add(body, suite, case)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def legal(text: str) -> str:
    r"""Text with every character that XML 1.0 forbids replaced by U+FFFD.

    >>> legal("a\x00b")
    'a\ufffdb'
    """
    return _ILLEGAL.sub("\ufffd", text)


def _add(suite: Element, name: str, case: Case) -> None:
    from xml.etree import ElementTree

    element = ElementTree.SubElement(
        suite, "testcase", {"classname": legal(name), "name": legal(case.name), "time": "0"}
    )
    kind, about = (
        ("failure", {"message": legal(case.message), "type": "failure"}) if case.failed else ("system-out", {})
    )
    ElementTree.SubElement(element, kind, about).text = legal(case.message)
