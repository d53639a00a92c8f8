"""Small programs over expressions of others, in a process of their own: Python's matching cannot be stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

#: Processor time counts, for a busy machine takes longer; the clock ends only what gets hardly any of it.
_PATIENCE = 30
_MEMORY = 2 * 2**30
_PROLOGUE = """
import json, resource, sys
seconds, given = json.load(sys.stdin)
for name, soft, hard in (("CPU", seconds, seconds + 1), ("CORE", 0, 0), ("AS", {memory}, {memory})):
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (soft, hard))
    except (ValueError, OSError):  # not every system has every bound
        pass
"""


def run_program(program: str, given: Any, *, seconds: int) -> Any:
    """What a program makes of `given`.

    Args:
        program: Python that reads the name `given` and prints JSON; fixed, nothing in it comes from a user.
        given: plain data.
        seconds: of processor time, at most.

    Raises:
        TimeoutError: it takes longer.
        ValueError: it failed; the text is its last line.

    Example:
        >>> run_program("json.dump(given[::-1], sys.stdout)", [1, 2], seconds=5)
        [2, 1]
    """
    command = [sys.executable, "-I", "-S", "-c", _PROLOGUE.format(memory=_MEMORY) + program]
    asked = json.dumps([seconds, given])
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=_PATIENCE * seconds)  # noqa: S603 - this Python, with a fixed program
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise TimeoutError
    if done.returncode:
        raise ValueError(done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}")
    return json.loads(done.stdout)
