"""Shared by all tests: the command line in this process, and where the measuring data lies."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers.workbench import Outcome
from hypothesis import settings

from acrank.cli import main

SHARED = Path(__file__).resolve().parents[2] / "shared"
collect_ignore = ["helpers/faulty_networks.py"]  # imports the module that lies beside a manifest

# No deadline: on a busy machine any example may be slow. In CI the same examples every time.
settings.register_profile("acrank", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("acrank")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own, and never the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ACRANK_CACHE", str(folder))
    monkeypatch.setenv("TERM", "xterm-256color")  # what a terminal test shows must not depend on who runs it
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def acrank(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process: `acrank("score", "--zoo", path)`."""

    def call(*args: object) -> Outcome:
        words: Sequence[str] = [str(arg) for arg in args]
        code = main(words)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def shared() -> Path:
    """The folder of real data and checkpoints; the test skips where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("the measuring data is not here")
    return SHARED
