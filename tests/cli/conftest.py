"""Fixtures of the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.workbench import make_images, make_zoo


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a zoo of two candidates, or of the module's `CANDIDATES`, and a target."""
    monkeypatch.chdir(tmp_path)
    make_zoo(tmp_path / "zoo", getattr(request.module, "CANDIDATES", 2))
    make_images(tmp_path / "target")
    return tmp_path
