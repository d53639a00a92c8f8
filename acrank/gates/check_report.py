"""The outcome of a check: one result per gate, as a view and as a record."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from acrank.system.notebook import first_lines, html_of, short_name
from acrank.system.view import Column, View
from acrank.system.words import shortened

if TYPE_CHECKING:
    from acrank.gates.changes import Changes

_MAX_LENGTH = 2000
_MOST_LINES, _LINE = 12, 120  # of a repr: as many as there are kinds of gates; characters of a message
#: Invisible characters that letters of some scripts need, and that break up commands to runners.
_JOINERS = "\u200b\u200c\u200d"


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """The result of one gate.

    Attributes:
        name: the gate's name in gates.yaml.
        passed: whether the ranking meets it.
        message: one line for people: what was found and, on failure, what is wrong.
        observed: the figure or model that the gate judged; None if there is none.
        required: the condition, such as "rank <= 3".
        warnings: what takes from the result, such as a model that looks untrained, or that every candidate passes; the
            message says them, too, and the gate `no_warnings` fails for them.
    """

    name: str
    passed: bool
    message: str
    observed: float | str | None
    required: str
    warnings: tuple[str, ...] = ()

    def doubted(self, doubts: Sequence[str]) -> GateResult:
        """The same with warnings, which its message says, too."""
        message = (f"; {'but' if self.passed else 'and'} ").join([self.message, *doubts])
        return replace(self, message=message, warnings=(*self.warnings, *doubts))


@dataclass(frozen=True)
class CheckReport:
    """The results of all gates of one check, in the order of the gates table, and what changed since a baseline.

    Example:
        >>> result = GateResult(name="top_k", passed=False, message="b is 4th", observed=4, required="rank <= 3")
        >>> report = CheckReport([result], run="run.json")
        >>> report.passed, report.title
        (False, 'acrank check of run.json: 1 of 1 gates failed')
    """

    results: list[GateResult]
    run: str = "the run"
    changes: Changes | None = None

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
        """One line: the run, and how many gates passed or failed."""
        total, failed = len(self.results), len(self.failures)
        if not total:
            return f"acrank check of {one_line(self.run)}: no gates, what changed"
        outcome = f"{failed} of {total} gates failed" if failed else f"{total} of {total} gates passed"
        return f"acrank check of {one_line(self.run)}: {outcome}"

    def __repr__(self) -> str:
        outcomes = [("passed" if one.passed else "FAILED", one) for one in self.results]
        lines = [f"{outcome} {one.name}: {shortened(one_line(one.message), _LINE)}" for outcome, one in outcomes]
        return "\n".join([f"<{short_name(self.title)}", *first_lines(lines, most=_MOST_LINES)]) + ">"

    def _repr_html_(self) -> str:
        return "\n".join(map(html_of, self.views()))

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
            layout=[
                Column(name="gate", priority=0, fit="shorten", least=10, ease=20),
                Column(name="result", priority=0, tones={"passed": "good", "FAILED": "bad"}),
                Column(name="observed", priority=3, fit="shorten", least=10),
                Column(name="required", priority=2, fit="wrap", least=12),
                Column(name="message", priority=1, fit="wrap", least=24),
            ],
        )

    def to_record(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        fields = ("passed", "observed", "required", "message")
        results = [
            {"gate": item.name, **{name: getattr(item, name) for name in fields}, "warnings": list(item.warnings)}
            for item in self.results
        ]
        header = {"kind": "acrank-check", "schema_version": 1, "run": one_line(self.run)}
        changes = {} if self.changes is None else {"changes": self.changes.record()}
        return {**header, "passed": self.passed, "results": results, **changes}

    def views(self) -> list[View]:
        """The gates, unless there are none, and what changed since a baseline, where one was given."""
        gates = [self.view()] if self.results else []
        return gates + ([self.changes.view()] if self.changes is not None else [])


def one_line(text: str) -> str:
    r"""Text from a run record made safe to print anywhere: one line, no control characters, at most 2,000 characters.

    Control characters, bidirectional overrides, other invisible ones and lone surrogates become U+FFFD. A zero-width
    space breaks up `::` and `##[`: GitHub's runner obeys `::command::` at the start of any line of a log (where a table
    may be wrapped) and `##[command]` anywhere.

    >>> one_line("a\n::error::b\x1b[31m ##[add-mask]c")
    'a :\u200b:error:\u200b:b\ufffd[31m ##\u200b[add-mask]c'
    """
    text = " ".join(text.split())
    text = "".join("\ufffd" if _is_unprintable(char) else char for char in text)
    text = re.sub(r":(?=:)|##(?=\[)", "\\g<0>\u200b", text)
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"


def _is_unprintable(char: str) -> bool:
    return char not in _JOINERS and unicodedata.category(char) in ("Cc", "Cf", "Cs")
