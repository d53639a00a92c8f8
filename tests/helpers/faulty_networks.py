"""Factories that crash, hang or take their time: a module that is only copied beside manifests, never imported here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from small_networks import small  # the module beside the manifest
from torch import nn


def aborts() -> None:
    os.abort()


def hangs() -> None:
    time.sleep(600)


def leaves() -> None:
    sys.exit(0)


def slow(begun: str, seconds: float) -> nn.Module:
    """Append the process's number to the file `begun`, and sleep."""
    with Path(begun).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return small()


def spoils(path: str, how: str) -> nn.Module:
    """Remove a file of the target, or put another in its place."""
    if how == "removed":
        Path(path).unlink(missing_ok=True)
    else:
        others = sorted(Path(path).parent.iterdir())
        Path(path).write_bytes(others[-1].read_bytes())
    return small()
