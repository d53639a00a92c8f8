"""Each test has its own zoo, and so its own module of networks."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def own_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the module that another test's zoo has loaded."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
