"""Programs in a process of their own are ended by processor time, not by the clock, and bounded in memory."""

from __future__ import annotations

import signal
import time

import pytest

from acrank.system import bounded_process
from acrank.system.bounded_process import run_program


def test_processor_time_is_bounded_and_waiting_is_not() -> None:
    with pytest.raises(TimeoutError):
        run_program("while True: pass", None, seconds=1)
    waits = "import time; time.sleep(1.5); json.dump(given, sys.stdout)"  # as where others have the processor
    assert run_program(waits, "done", seconds=1) == "done"


def test_what_fails_says_why_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"^KeyError: 'x'$"):
        run_program("{}[given]", "x", seconds=5)
    with pytest.raises(ValueError, match="MemoryError"):
        run_program("bytearray(given)", 2**32, seconds=5)


def test_systems_without_bounds_end_programs_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: neither the module `resource` nor the signals."""
    program = "import sys; sys.modules['resource'] = None\n" + bounded_process._PROLOGUE
    monkeypatch.setattr(bounded_process, "_PROLOGUE", program)
    for name in ("SIGXCPU", "SIGKILL"):
        monkeypatch.delattr(signal, name)
    # subprocess itself ends a program by SIGKILL here, by other means on Windows
    monkeypatch.setattr("subprocess.Popen.kill", lambda process: process.send_signal(9))
    assert run_program("json.dump(given[::-1], sys.stdout)", [1, 2], seconds=5) == [2, 1]
    with pytest.raises(ValueError, match=r"^KeyError: 'x'$"):
        run_program("{}[given]", "x", seconds=5)
    since = time.monotonic()
    with pytest.raises(TimeoutError):
        run_program("while True: pass", None, seconds=1)
    assert time.monotonic() - since < 10
