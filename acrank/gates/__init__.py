"""Gates: what must hold of a ranking before a model choice may be merged.

`Gates` is what gates.yaml says, `check` holds a ranking against it, `Report` is the outcome.
"""

from __future__ import annotations

from acrank.gates.report import GateResult, Report
from acrank.gates.rules import check
from acrank.gates.schema import Gates, load_gates, parse_gates, read_gates

__all__ = ["GateResult", "Gates", "Report", "check", "load_gates", "parse_gates", "read_gates"]
