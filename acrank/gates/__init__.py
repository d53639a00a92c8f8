"""Gates: conditions that a ranking must meet before a model choice is merged.

`Gates` is the content of gates.yaml, `check_ranking` tests a ranking against it, `CheckReport` is the outcome.
"""

from __future__ import annotations

from acrank.gates.changes import Change, Changes, changes_since, read_changes
from acrank.gates.check_report import CheckReport, GateResult
from acrank.gates.gates_file import Gates, load_gates, parse_gates, read_gates
from acrank.gates.remedies import remedies
from acrank.gates.rules import check_ranking

__all__ = [
    "Change",
    "Changes",
    "CheckReport",
    "GateResult",
    "Gates",
    "changes_since",
    "check_ranking",
    "load_gates",
    "parse_gates",
    "read_changes",
    "read_gates",
    "remedies",
]
