"""Trainings of a ranking's first candidates on real data: the record, resuming, the budget, failures, masks."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.workbench import dense_entry, make_images, make_masks, make_zoo, network, write_zoo

from acrank.comparison.tables import read_truth
from acrank.errors import TargetError, UsageError
from acrank.executors import ProcessExecutor
from acrank.ranking.scoring import score
from acrank.records import Ranking, Row
from acrank.refining import RefineSettings, refine
from acrank.refining import refinement as module
from acrank.refining.refinement import RefineProgress, first_candidates
from acrank.settings import Settings
from acrank.targets import Target, open_target
from acrank.zoo import Zoo, load_zoo

SETTINGS = Settings(samples=12, repeats=1, scores=("channel_alignment", "knn"), device="cpu", allow_code=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own module of networks, and trainings take a few steps."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    monkeypatch.setattr(module, "LEAST_STEPS", 4)


class Bench:
    """A zoo, a target and their ranking."""

    def __init__(self, zoo: Path, target: Path, settings: Settings = SETTINGS) -> None:
        self.zoo: Zoo = load_zoo(zoo)
        self.target: Target = open_target(target)
        self.settings = settings
        self.ranking: Ranking = score(self.zoo, self.target, settings)

    def refine(self, work_dir: Path, count: int = 3, budget: str | None = None, **more: Any) -> Ranking:
        how = RefineSettings(refine=count, refine_budget=budget)
        about = {"settings": self.settings, "how": how, "work_dir": work_dir}
        return refine(self.ranking, self.zoo, self.target, **about, **more)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(make_zoo(tmp_path / "zoo", 4), make_images(tmp_path / "target", each=24, size=16))


def without_seconds(ranking: Ranking) -> list[Row]:
    return [
        dataclasses.replace(row, refined=row.refined and dataclasses.replace(row.refined, seconds=0.0))
        for row in ranking.rows
    ]


def trials_in(work_dir: Path) -> dict[str, Any]:
    """Every trial of every round: qualities, curves, intervals."""
    files = [path for path in work_dir.rglob("*.json") if path.name != "settings.json"]
    return {str(path.relative_to(work_dir)): json.loads(path.read_text())["trials"] for path in files}


def test_the_record(bench: Bench, tmp_path: Path) -> None:
    found = bench.refine(tmp_path / "work")
    first = [row.model for row in bench.ranking.rows[:3]]
    assert {row.model for row in found.rows if row.refined} == set(first)
    assert {row.model for row in found.rows[:3]} == set(first)  # those that were trained stand ahead
    assert (found.rank_by, found.settings["rank_by"]) == ("joint", "channel_alignment")
    best = found.rows[0].refined
    assert best is not None
    assert best.low is not None
    assert best.low <= (best.quality or 0) <= (best.high or 0)
    assert best.curve[-1] == best.quality
    assert found.settings["refine"]["trained"] == first
    assert any(note.startswith("refined: 3 candidates trained on") for note in found.notes)
    assert Ranking.from_record(found.to_record()).to_record() == found.to_record()
    cells = dict(zip(found.columns(), found.cells()[0], strict=True))
    assert (cells["refined"], cells["epochs"]) == (best.quality, best.epochs)
    truth = read_truth(tmp_path / "work" / "truth.csv")
    qualities = {row.model: row.refined.quality for row in found.rows if row.refined}
    assert {model: one.mean for model, one in truth.datasets["target"].items()} == qualities


def test_going_on_after_an_interruption_gives_the_same(bench: Bench, tmp_path: Path) -> None:
    whole = bench.refine(tmp_path / "whole")
    epochs = 0

    def interrupt(at: RefineProgress) -> None:
        nonlocal epochs
        epochs += at.outcome is None
        if epochs == 5:  # in the middle of a training
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.refine(tmp_path / "work", on_progress=interrupt)
    assert list((tmp_path / "work" / "round-1").glob("*.pt"))
    told: list[RefineProgress] = []
    again = bench.refine(tmp_path / "work", resume=True, on_progress=told.append)
    assert without_seconds(again) == without_seconds(whole)
    assert trials_in(tmp_path / "work") == trials_in(tmp_path / "whole")
    assert any(one.epoch for one in told)
    told.clear()
    assert without_seconds(bench.refine(tmp_path / "work", resume=True, on_progress=told.append)) == without_seconds(
        whole
    )
    assert not any(one.epoch for one in told)  # everything was there
    bench.refine(tmp_path / "work", on_progress=told.append)
    assert any(one.epoch for one in told)  # without resume, nothing is kept


def test_the_budget(bench: Bench, tmp_path: Path) -> None:
    cut = bench.refine(tmp_path / "work", budget="0.001s")
    assert cut.rank_by == "channel_alignment"
    assert [row.model for row in cut.rows] == [row.model for row in bench.ranking.rows]
    assert any("--refine-budget was spent in round 1 after 0 of 3" in note for note in cut.notes)
    ample = bench.refine(tmp_path / "work", budget="1h", resume=True)
    assert without_seconds(ample) == without_seconds(bench.refine(tmp_path / "other"))


def test_workers_give_the_same(bench: Bench, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    here = bench.refine(tmp_path / "here", count=2)
    with ProcessExecutor(1, threads=1) as executor:
        there = bench.refine(tmp_path / "there", count=2, executor=executor)
    assert without_seconds(there) == without_seconds(here)


def test_a_candidate_that_fails_drops_behind(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.ranking.rows[0].model
    load = module.train_candidate.__globals__["load_candidate"]

    def damaged(candidate: Any, **more: Any) -> Any:
        found = load(candidate, **more)
        if candidate.id == first:
            with torch.no_grad():
                found.model[0].weight.fill_(float("nan"))
        return found

    monkeypatch.setitem(module.train_candidate.__globals__, "load_candidate", damaged)
    found = bench.refine(tmp_path / "work")
    last = found.rows[-1]
    assert last.model == first
    assert last.refined is not None
    assert last.refined.quality is None
    assert "diverged" in last.refined.reason
    assert dict(zip(found.columns(), found.cells()[-1], strict=True))["reason"] == last.refined.reason
    assert first in read_truth(tmp_path / "work" / "truth.csv").unknown["target"]


def test_a_changed_checkpoint_is_trained_anew(bench: Bench, tmp_path: Path) -> None:
    bench.refine(tmp_path / "work")
    changed = bench.ranking.rows[0].model
    torch.save(network(9).state_dict(), tmp_path / "zoo" / f"{changed}.pth")
    told: list[RefineProgress] = []
    bench.refine(tmp_path / "work", resume=True, on_progress=told.append)
    assert {one.model for one in told if one.epoch and one.round == 1} == {changed}


def test_masks(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    zoo = write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "one"), dense_entry(tmp_path / "zoo", "other"))
    settings = Settings(samples=6, repeats=1, scores=("knn",), device="cpu", allow_code=True)
    bench = Bench(zoo, make_masks(tmp_path / "target", n=14, size=16), settings)
    found = bench.refine(tmp_path / "work", count=2)
    best = found.rows[0].refined
    assert best is not None
    assert best.metric == "dice"
    assert best.quality is not None
    assert best.low is not None
    assert best.low <= best.quality <= (best.high or 0)


def test_other_data_and_other_tasks_are_refused(bench: Bench, tmp_path: Path) -> None:
    other = open_target(make_images(tmp_path / "other", each=8))
    about: dict[str, Any] = {"settings": SETTINGS, "how": RefineSettings(refine=1), "work_dir": tmp_path / "work"}
    with pytest.raises(UsageError, match="of another target"):
        refine(bench.ranking, bench.zoo, other, **about)
    with pytest.raises(TargetError, match="--refine does not support regression"):
        refine(bench.ranking, bench.zoo, dataclasses.replace(other, task="regression"), **about)
    with pytest.raises(UsageError, match="manifest has no"):
        refine(bench.ranking, bench.zoo.select(["net0"]), bench.target, **{**about, "how": RefineSettings(refine=4)})


def test_the_leading_band_belongs_to_it() -> None:
    from acrank.records import Value

    rows = [Row(f"m{i}", "scored", scores={"s": Value(-float(i), low=-i - 2.5, high=-i + 2.5)}) for i in range(9)]
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
    assert [row.band for row in ranking.rows] == [1] * 6 + [2] * 3
    assert first_candidates(ranking, 4) == ([f"m{i}" for i in range(6)], [])
    chosen, notes = first_candidates(ranking, 2)
    assert chosen == ["m0", "m1", "m2", "m3"]
    assert notes == ["6 candidates are in the leading band: --refine trains the first 4"]
    assert len(first_candidates(ranking, 8)[0]) == 8


def test_earlier_rounds_alone_are_deleted(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "round-1").mkdir(parents=True)
    (work / "round-1" / "notes.txt").write_text("mine")
    module.delete_rounds(work)
    assert (work / "round-1" / "notes.txt").exists()
