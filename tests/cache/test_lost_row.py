"""A run that was stopped after a candidate's observations were cached and before its row was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.workbench import Outcome, make_images, make_zoo

from acrank.records import Ranking, Row

Command = Callable[..., Outcome]


def rows_in(path: str) -> dict[str, Row]:
    """The rows without what depends on how they were reached: seconds, and whether the cache served them."""
    return {
        row.model: dataclasses.replace(
            row, seconds=None, details=dataclasses.replace(row.details, cached=None, took={})
        )
        for row in Ranking.load(Path(path)).rows
    }


def test_the_resumed_run_gives_the_same_rows_and_says_what_the_cache_served(
    acrank: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_zoo(tmp_path / "zoo")
    make_images(tmp_path / "target")
    words = ("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18)
    monkeypatch.setenv("ACRANK_CACHE", str(tmp_path / "one"))
    assert acrank(*words, "-o", "whole.json").code == 0
    monkeypatch.setenv("ACRANK_CACHE", str(tmp_path / "other"))
    assert acrank(*words, "-o", "stopped.json", "--model", "net0").code == 0
    assert acrank(*words, "-o", "lost.json", "--model", "net1").code == 0
    assert acrank(*words, "-o", "stopped.json", "--resume").code == 0
    assert rows_in("stopped.json") == rows_in("whole.json")
    cached = {row.model: row.details.cached for row in Ranking.load(Path("stopped.json")).rows}
    assert cached == {"net0": False, "net1": True, "net2": False}
