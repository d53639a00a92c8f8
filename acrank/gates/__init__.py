"""Gates: what must hold of a ranking before a model choice may be merged.

`Gates` is what gates.yaml says, `check` holds a ranking against it, `Report` is the outcome.
"""

from __future__ import annotations

from acrank.gates.gates_file import Gates, load_gates, parse_gates, read_gates
from acrank.gates.report import GateResult, Report
from acrank.gates.rules import check

__all__ = ["GateResult", "Gates", "Report", "check", "load_gates", "parse_gates", "read_gates"]
