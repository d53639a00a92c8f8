"""Ctrl-C while an object is destroyed is neither lost nor shown as a traceback."""

from __future__ import annotations

import subprocess
import sys

# a shell's background jobs, and what they start, ignore Ctrl-C
SCRIPT = """
import signal
import time
signal.signal(signal.SIGINT, signal.default_int_handler)
from acrank.system.interrupts import delivered_interrupts

class Raises:
    def __init__(self, error):
        self.error = error
    def __del__(self):
        raise self.error

with delivered_interrupts():
    Raises(ValueError("other"))
    try:
        Raises(KeyboardInterrupt())
        time.sleep(20)
        print("lost")
    except KeyboardInterrupt:
        print("raised")
Raises(KeyboardInterrupt())
"""


def test_an_interrupt_in_a_destructor_is_raised_a_moment_later() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stdout == "raised\n"
    assert done.stderr.count("Exception ignored in") == 2  # the other error, and the interrupt outside of the context
    assert done.stderr.index("ValueError: other") < done.stderr.index("KeyboardInterrupt")
