"""Programs in a process of their own are ended by processor time, not by the clock, and bounded in memory."""

from __future__ import annotations

import pytest

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
