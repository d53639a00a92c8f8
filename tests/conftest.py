"""Fixtures of the tests: the command line in this process, and the folder of measuring data."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from helpers.workbench import Outcome
from hypothesis import settings

from acrank.cli import main

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
collect_ignore = ["helpers/faulty_networks.py"]  # imports the module that lies beside a manifest

# No deadline: on a busy machine any example may be slow. In CI the same examples every time.
settings.register_profile("acrank", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("acrank")


@pytest.fixture
def acrank(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run the command line in this process: `acrank("score", "--zoo", path)`; never where another test wrote."""
    if Path.cwd() == ROOT:
        monkeypatch.chdir(tmp_path)

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


@pytest.fixture(autouse=True)
def no_module_of_a_manifest_stays() -> Iterator[None]:
    """The module beside one test's manifest must not stand where another test's is wanted."""
    sys.modules.pop("small_networks", None)
    yield
    sys.modules.pop("small_networks", None)
