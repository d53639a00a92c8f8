"""Malformed inputs of fixed seeds, for every entry point; `python -m tests.fuzz` tries others."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.campaign import Campaign, entries, numbered
from fuzz.client import Server
from fuzz.materials import Materials
from fuzz.signals import Runs
from fuzz.workspace import make_case

CASES = 9
#: Entries whose commands take seconds have fewer of them.
FEWER = {"report": 3, "resume": 3, "scan": 5}
SLOW_CASES = 900
SIGNALS, WITH_WORKERS = 10, 3


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as found:
        yield found


@pytest.fixture(scope="module")
def materials(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Materials:
    return Materials(tmp_path_factory.mktemp("fuzz") / "materials", server)


@pytest.mark.parametrize("entry", entries())
def test_malformed_inputs(entry: str, server: Server, materials: Materials, tmp_path: Path) -> None:
    found = []
    for seed in range(FEWER.get(entry, CASES)):
        case = make_case(entry, seed, tmp_path / str(seed), materials)
        found += [f"{case.name}: {fault}" for fault in server.judge(case)]
    assert found == [], f"one of them again: python -m tests.fuzz --repeat {entry}:SEED"


def test_a_seed_makes_the_same_case_again(materials: Materials, tmp_path: Path) -> None:
    for entry in entries():
        one, other = (make_case(entry, 3, tmp_path / name / entry, materials) for name in ("one", "other"))
        assert one.move == other.move
        assert [word.replace("/one/", "/other/") for word in one.argv] == list(other.argv)


@pytest.mark.slow
def test_thousands_of_malformed_inputs(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "fuzz", cases=SLOW_CASES, until=time.monotonic() + 3600, jobs=os.cpu_count() or 1)
    campaign.run(numbered(1, entries()))
    assert campaign.failures == []
    assert campaign.counts.total() == SLOW_CASES


@pytest.mark.slow
def test_signals_at_random_moments(server: Server, tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs", server)
    found = []
    for index in range(SIGNALS):
        found += runs.interrupt(index, tmp_path / str(index), workers=index < WITH_WORKERS)
    assert found == []
