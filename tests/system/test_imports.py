"""No garbage is collected while modules load, and the collector is as it was afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from acrank.system.imports import gc_paused

WATCH = """
import gc, sys
collected = []
gc.callbacks.append(lambda phase, about: phase == "start" and collected.append(about))
{command}
print(len(collected), gc.isenabled())
"""


@pytest.fixture
def _no_collector():
    gc.disable()
    yield
    gc.enable()


def test_the_collector_pauses_and_goes_on_after_an_error() -> None:
    seen = []
    with pytest.raises(ImportError), gc_paused():
        seen.append(gc.isenabled()) or __import__("acrank.nothing")
    assert [*seen, gc.isenabled()] == [False, True]


@pytest.mark.usefixtures("_no_collector")
def test_a_collector_that_was_off_stays_off() -> None:
    with gc_paused():
        pass
    assert not gc.isenabled()


def after(command: str) -> tuple[int, bool]:
    """How often garbage was collected during a command in a fresh process, and whether it still may be."""
    done = subprocess.run([sys.executable, "-c", WATCH.format(command=command)], capture_output=True, check=True)
    count, enabled = done.stdout.split()
    return int(count), enabled == b"True"


def test_torch_and_timm_load_without_a_collection() -> None:
    code = (
        "from acrank.zoo.architectures.timm_import import import_timm; import torch; collected.clear(); import_timm()"
    )
    count, enabled = after(code)
    assert count <= 1  # the one that was put off
    assert enabled


def test_the_count_can_fail() -> None:
    assert after("import json; kept = [[] for _ in range(10_000)]")[0] > 1
