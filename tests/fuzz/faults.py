"""Planted faults: what the harness must see. Run by the server instead of a command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def passes() -> int:
    """Nothing wrong."""
    print("fine")
    return 0


def crashes() -> int:
    """A segmentation fault."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def raises() -> int:
    """An exception that nothing catches."""
    raise RuntimeError("planted")


def internal() -> int:
    """An internal error."""
    print("error: internal: ValueError: planted", file=sys.stderr)
    return 4


def hangs() -> int:
    """No end."""
    while True:
        time.sleep(1)


def spins() -> int:
    """No end, with work."""
    while True:
        pass


def takes_memory() -> int:
    """Two and a half GiB that are used."""
    held = bytearray(5 * 2**29)
    for page in range(0, len(held), 2**12):
        held[page] = 1
    return 0


def raw_bytes() -> int:
    """A terminal title from foreign text."""
    print("error: \x1b]0;planted\x07", file=sys.stderr)
    return 2


def bidi() -> int:
    """Text that runs backwards."""
    print("error: a\u202eb", file=sys.stderr)
    return 2


def commands_the_runner() -> int:
    """A workflow command."""
    print("a table\n::error::planted")
    return 0


def leaves_a_process() -> int:
    """A process that outlives the command."""
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    return 0


def connects() -> int:
    """A request to the network."""
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    except OSError:
        print("no network", file=sys.stderr)
    return 0


def starts_a_program() -> int:
    """Another program, such as Ghostscript."""
    try:
        subprocess.run(["true"], check=False)
    except OSError:
        print("no program", file=sys.stderr)
    return 0


def odd_code() -> int:
    """An exit code that is not documented."""
    return 9


def talks_too_much() -> int:
    """Two million bytes of hint."""
    print("hint: " + "x" * 2_000_000, file=sys.stderr)
    return 2


def titles_the_terminal() -> int:
    """A terminal title from foreign text, on a terminal."""
    print("a table of \x1b]0;planted\x07", file=sys.stderr)
    return 0


def reads_the_forbidden() -> int:
    """A file that its owner may not read."""
    try:
        Path("forbidden").read_bytes()
    except PermissionError:
        return 3
    return 0


def waits_for_a_core() -> int:
    """Work beside other work on the same core, until three seconds have passed."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    others = [os.fork() for _ in range(3)]
    until = time.monotonic() + 3
    while time.monotonic() < until:
        pass
    if 0 in others:
        os._exit(0)
    for other in others:
        os.waitpid(other, 0)
    return 0
