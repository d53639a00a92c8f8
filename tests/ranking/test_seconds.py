"""The seconds of a candidate are its own: what all share, such as loading torch, counts for none."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.workbench import make_images, make_zoo

import acrank
from acrank.ranking import candidates
from acrank.settings import Settings
from acrank.system import clock


def test_the_start_of_a_run_is_not_of_its_first_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = []

    def start() -> None:
        hours.append(3600.0)

    monkeypatch.setattr(candidates, "begin_once", start)
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: time.perf_counter() + sum(hours)))
    zoo, target = make_zoo(tmp_path / "zoo"), make_images(tmp_path / "target")
    ranking = acrank.score(zoo, target, Settings(samples=18, allow_code=True, race=False))
    assert hours
    assert all(row.seconds is not None and 0 < row.seconds < 3600 for row in ranking.rows)
