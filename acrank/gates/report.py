"""The outcome of a check: one result per gate, and how it is shown."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from acrank.formats import View

KIND = "acrank-check"
SCHEMA_VERSION = 1

_LONGEST = 2000


@dataclass(frozen=True)
class GateResult:
    """What one gate found.

    Attributes:
        name: the gate's name in gates.yaml.
        passed: whether the ranking satisfies it.
        message: one line for people: what was found and, on failure, what was missed.
        observed: the figure or model that the gate looked at; None where there is none.
        required: what it had to be, such as "rank <= 3".
    """

    name: str
    passed: bool
    message: str
    observed: float | str | None
    required: str


@dataclass(frozen=True)
class Report:
    """All gates of one check, in the order of the gates table.

    Example:
        >>> report = Report([GateResult("top_k", False, "b is rank 4 of 5", 4, "rank <= 3")], run="run.json")
        >>> report.passed, report.title
        (False, 'acrank check of run.json: 1 of 1 gates failed')
    """

    results: list[GateResult]
    run: str = "the run"

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(result.passed for result in self.results)

    @property
    def failures(self) -> list[GateResult]:
        """The gates that failed."""
        return [result for result in self.results if not result.passed]

    @property
    def title(self) -> str:
        """One line that says how the check went."""
        total, failed = len(self.results), len(self.failures)
        outcome = f"{failed} of {total} gates failed" if failed else f"{total} of {total} gates passed"
        return f"acrank check of {one_line(self.run)}: {outcome}"

    def view(self) -> View:
        """The report as a View: columns gate, result, observed, required, message."""
        return View(
            columns=["gate", "result", "observed", "required", "message"],
            rows=[
                [item.name, "passed" if item.passed else "FAILED", item.observed, item.required, item.message]
                for item in self.results
            ],
            record=self.to_record(),
            title=self.title,
        )

    def to_record(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        results = [
            {
                "gate": item.name,
                "passed": item.passed,
                "observed": item.observed,
                "required": item.required,
                "message": item.message,
            }
            for item in self.results
        ]
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "run": one_line(self.run),
            "passed": self.passed,
            "results": results,
        }


def one_line(text: str) -> str:
    r"""Text from a run record made safe to print anywhere: one line, no control characters, not endless.

    Control characters, bidirectional overrides and lone surrogates become U+FFFD. `::` and `##[` are broken by a
    zero-width space, because GitHub's runner obeys `::command::` at the start of any line of a log (a table may be
    wrapped there) and `##[command]` anywhere.

    >>> one_line("a\n::error::b\x1b[31m ##[add-mask]c")
    'a :\u200b:error:\u200b:b\ufffd[31m ##\u200b[add-mask]c'
    """
    text = " ".join(text.split())
    text = "".join("\ufffd" if _unprintable(char) else char for char in text)
    text = re.sub(r":(?=:)|##(?=\[)", "\\g<0>\u200b", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _unprintable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or unicodedata.bidirectional(char) in _OVERRIDES


_OVERRIDES = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
