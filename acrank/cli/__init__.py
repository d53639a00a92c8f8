"""The command line: parse, call, print, exit. Nothing else in acrank prints, reads argv or exits.

Exit codes: 0 done · 1 a gate failed · 2 usage, manifest, table, gates file or output path · 3 target or checkpoints
unusable · 4 internal error · 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

from acrank.system.imports import gc_paused
from acrank.system.interrupts import delivered_interrupts
from acrank.system.text_streams import checked_stdout, escaped_stderr, occupy_closed_handles


def run() -> None:
    """The `acrank` script."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # finding them reads what every package says of itself
    if "OMP_WAIT_POLICY" not in os.environ:  # on a busy machine, threads that wait and spin hold up the others
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    occupy_closed_handles()
    code = main()
    gc.freeze()  # the process ends: nobody has to look through all that it loaded for cycles
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # libraries that are ending would answer with tracebacks
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (default: the process's) and return the exit code."""
    try:
        with gc_paused():
            from acrank.cli.app import build, defaults_for, warn_of_variables
            from acrank.cli.completion import is_completing, line_in_hand
            from acrank.cli.console import report_failure
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    words = sys.argv[1:] if argv is None else list(argv)
    with escaped_stderr(), checked_stdout(), delivered_interrupts():
        try:
            with gc_paused():
                app = build(line_in_hand() if is_completing() else words)
            warn_of_variables(words, os.environ)
            more = {"prog_name": "acrank", "standalone_mode": False, "default_map": defaults_for(words)}
            code = app(args=None if argv is None else words, **more)
            if code == 130:  # Typer has swallowed the KeyboardInterrupt
                from acrank.cli.interruption import say_interrupted

                say_interrupted(words)
            return code if isinstance(code, int) else 0
        except BaseException as error:
            return report_failure(error)
