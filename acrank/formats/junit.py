"""JUnit XML: passed and failed checks for CI systems."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from acrank.system.printable import printable

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class JUnitCase:
    """One test case: its name, what was found, and whether it failed."""

    name: str
    message: str
    failed: bool


def to_junit(suite: str, cases: Sequence[JUnitCase]) -> str:
    """The cases as one test suite, their text printable; what XML cannot hold becomes U+FFFD.

    The text holds no time and no host name: equal cases give equal bytes.

    Example:
        >>> print(to_junit("gates", [JUnitCase(name="top_k", message="b is rank 4", failed=True)]))
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
    from xml.etree.ElementTree import Element, SubElement, indent, tostring  # every command loads this module

    suite = xml_safe(suite)
    counts = {"tests": str(len(cases)), "failures": str(sum(case.failed for case in cases)), "errors": "0"}
    root = Element("testsuites", counts)
    body = SubElement(root, "testsuite", {"name": suite, **counts, "skipped": "0", "time": "0"})
    for case in cases:
        item = SubElement(body, "testcase", {"classname": suite, "name": xml_safe(case.name), "time": "0"})
        message = xml_safe(case.message)
        if case.failed:
            SubElement(item, "failure", {"message": message, "type": "failure"}).text = message
        else:
            SubElement(item, "system-out").text = message
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def xml_safe(text: str) -> str:
    r"""Printable text, in which what XML 1.0 forbids beside control characters is replaced by U+FFFD.

    >>> print(xml_safe("a\x00b\uffffc"))
    a\x00b\ufffdc
    """
    return _ILLEGAL.sub("\ufffd", printable(text, newlines=True))
