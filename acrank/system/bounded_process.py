"""Small programs over expressions of others, in a process of their own: Python's matching cannot be stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

#: Processor time counts, for a busy machine takes longer; the clock ends only what gets hardly any of it.
_PATIENCE = 30
#: Seconds of the clock for each second asked for, where nothing bounds processor time, as on Windows.
_UNBOUNDED_PATIENCE = 3
_MEMORY = 2 * 2**30
_PROLOGUE = """
import json, sys
try:
    import resource
except ImportError:  # Windows has none
    resource = None
seconds, given = json.load(sys.stdin)
for name, soft, hard in (("CPU", seconds, seconds + 1), ("CORE", 0, 0), ("AS", {memory}, {memory})):
    try:
        if resource:
            resource.setrlimit(getattr(resource, "RLIMIT_" + name), (soft, hard))
    except (AttributeError, ValueError, OSError):  # not every system has every bound
        pass
"""


def run_program(program: str, given: Any, *, seconds: int) -> Any:
    """What a program makes of `given`.

    Args:
        program: Python that reads the name `given` and prints JSON; fixed, nothing in it comes from a user.
        given: plain data.
        seconds: of processor time, at most; where a system does not bound that, three times as many by the clock.

    Raises:
        TimeoutError: it takes longer.
        ValueError: it failed; the text is its last line.

    Example:
        >>> run_program("json.dump(given[::-1], sys.stdout)", [1, 2], seconds=5)
        [2, 1]
    """
    command = [sys.executable, "-I", "-S", "-c", _PROLOGUE.format(memory=_MEMORY) + program]
    asked = json.dumps([seconds, given])
    ends = [-getattr(signal, name) for name in ("SIGXCPU", "SIGKILL") if hasattr(signal, name)]
    patience = _PATIENCE if hasattr(signal, "SIGXCPU") else _UNBOUNDED_PATIENCE
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=patience * seconds)  # noqa: S603 - this Python, with a fixed program
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    if done.returncode in ends:
        raise TimeoutError
    if done.returncode:
        raise ValueError(done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}")
    return json.loads(done.stdout)
