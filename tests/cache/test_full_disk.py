"""A cache that cannot be written while a run goes on costs no candidate its row, and is told once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.workbench import Outcome, make_images, make_zoo

from acrank.cache import ObservationCache
from acrank.records import Ranking, Value

Command = Callable[..., Outcome]
LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # a write beyond it fails, as on a full disk
from acrank.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    make_zoo(tmp_path / "zoo")
    monkeypatch.setattr("acrank.system.files.SETTLED_SECONDS", -1.0)  # hashes are remembered
    make_images(tmp_path / "target", each=60)
    return tmp_path


def words(*more: object) -> list[str]:
    samples = ["--samples", 150, "--repeats", 1]
    return [*map(str, ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", *samples, *more])]


def of_run(folder: Path) -> tuple[dict[str, dict[str, Value]], Ranking]:
    ranking = Ranking.load(folder / "run.json")
    return {row.model: row.scores for row in ranking.rows}, ranking


def told_once(ranking: Ranking, err: str, why: str) -> None:
    (warning,) = [text for text in ranking.warnings if "the cache could not be written" in text]
    assert "for 3 of 3" in warning
    assert why in warning
    assert err.count("the cache could not be written") == 1
    assert [row.details.cached for row in ranking.rows] == [False] * 3


def test_a_full_disk_costs_no_row(acrank: Command, folder: Path, own_cache: Path) -> None:
    assert acrank(*words()).code == 0
    values, _ = of_run(folder)
    cache = ObservationCache()
    smallest = min(path.stat().st_size for path in cache.entries())
    largest = max((folder / name).stat().st_size for name in ("run.json", "scores.csv"))
    assert largest < smallest  # so that a limit between them lets the results through
    cache.clear()
    command = [sys.executable, "-c", LIMITED, str((largest + smallest) // 2), *words()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, ranking = of_run(folder)
    assert found == values
    told_once(ranking, done.stderr, "File too large (make room, or write elsewhere)")
    assert list(cache.entries()) == []
    assert not list(own_cache.rglob(".acrank-*"))


@pytest.mark.parametrize("more", [(), pytest.param(("--workers", 2), marks=pytest.mark.slow)])
def test_a_file_in_the_place_of_the_folder_costs_no_row(
    acrank: Command, folder: Path, own_cache: Path, more: tuple[object, ...]
) -> None:
    acrank(*words("--no-cache", *more))  # where it computes too: some processors sum otherwise in one thread
    values, _ = of_run(folder)
    (own_cache / "observations").write_text("in the way")
    done = acrank(*words(*more))
    assert done.code == 0, done.err
    found, ranking = of_run(folder)
    assert found == values
    told_once(ranking, done.err, "observations")
    assert "Not a directory" in done.err
    (own_cache / "observations").unlink()
    assert acrank(*words(*more)).code == 0
    assert "cache" not in " ".join(of_run(folder)[1].warnings)


def test_hashes_that_cannot_be_remembered_are_still_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acrank.system.files.SETTLED_SECONDS", -1.0)
    path, cache = tmp_path / "weights", ObservationCache(tmp_path / "cache").open()
    path.write_bytes(b"one")
    (tmp_path / "cache" / "weights").write_text("no folder can take its name")
    assert cache.hash_of(path) == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert "Not a directory" in str(cache.take_failure())
    assert cache.take_failure() is None
