"""Every test, docstring example and README block has a cache of its own and no configuration file: never the user's."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this test or example, and the environment variables that it must not depend on."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ACRANK_CACHE", str(folder))
    monkeypatch.setenv("ACRANK_CONFIG", "none")
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return folder
