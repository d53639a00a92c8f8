"""Fixtures of the tests of the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers.workbench import make_images, make_zoo

from acrank.refining import refinement


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a zoo of two candidates, or of the module's `CANDIDATES`, and a target."""
    monkeypatch.chdir(tmp_path)
    make_zoo(tmp_path / "zoo", getattr(request.module, "CANDIDATES", 2))
    make_images(tmp_path / "target")
    return tmp_path


@pytest.fixture
def folder_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a zoo of three candidates and a target of small images; short trainings take two steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    monkeypatch.setattr(refinement, "LEAST_STEPS", 2)
    make_zoo(tmp_path / "zoo", 3)
    make_images(tmp_path / "target", each=20, size=16)
    return tmp_path
