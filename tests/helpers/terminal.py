"""A command on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Sequence


def on_terminal(command: Sequence[str], *, columns: int, **environment: str) -> bytes:
    """What a command, which must succeed, writes to stderr on a terminal of so many columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm", **environment}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=env) as run:
        os.close(follower)
        seen = b""
        try:
            while part := os.read(leader, 65536):
                seen += part
        except OSError:  # Linux: the other end is closed
            pass
    os.close(leader)
    assert run.returncode == 0, seen
    return seen
