"""Ctrl-C at moments at which Python cannot raise it."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LATER = 0.05  # seconds


@contextmanager
def delivered_interrupts() -> Iterator[None]:
    """Inside this context a Ctrl-C that came while an object was destroyed is raised in the main thread a moment later.

    Python raises no exception there: it would print the traceback, and the command would go on as if nobody had asked.
    """
    before = sys.unraisablehook

    def hook(found: sys.UnraisableHookArgs) -> None:
        if issubclass(found.exc_type, KeyboardInterrupt):
            again = threading.Timer(_LATER, _thread.interrupt_main)
            again.daemon = True
            again.start()
        else:
            before(found)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
