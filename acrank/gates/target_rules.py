"""The gates on the target: a data set that changed under a run in CI fails."""

from __future__ import annotations

from functools import partial
from typing import Any

from acrank.errors import GatesError
from acrank.gates.check_report import GateResult
from acrank.gates.gates_file import Images
from acrank.gates.lookups import listed
from acrank.records import Ranking


def check_classes(ranking: Ranking, gate: list[str]) -> GateResult:
    """The target has exactly these classes, or labels, in any order."""
    found = _recorded(ranking, "classes", list)
    lacking, more = ([name for name in one if name not in other] for one, other in ((gate, found), (found, gate)))
    message = f"the target has {len(found)} classes: {listed(map(str, found))}"
    if lacking:
        message += f"; it lacks {listed(lacking)}"
    if more:
        message += f"; not expected: {listed(map(str, more))}"
    result = partial(GateResult, name="classes", observed=listed(map(str, found)), required=listed(gate))
    return result(passed=not lacking and not more, message=message)


def check_images(ranking: Ranking, gate: Images) -> GateResult:
    """The target has as many images as the gate allows; those that cannot be decoded do not count."""
    found = _recorded(ranking, "size", int)
    left_out = (ranking.target.get("understood") or {}).get("left_out") or {}
    message = f"the target has {found} images"
    if left_out:
        message += f", without {len(left_out)} that cannot be read: {listed(map(str, left_out))}"
    passed = (gate.at_least or 0) <= found and (gate.at_most is None or found <= gate.at_most)
    return GateResult(name="images", passed=passed, message=message, observed=found, required=gate.condition)


def _recorded(ranking: Ranking, name: str, kind: type) -> Any:
    found = ranking.target.get(name)
    if not isinstance(found, kind):
        raise GatesError(f"the run does not record the target's {name}", hint="give a run of `acrank score`")
    return found
