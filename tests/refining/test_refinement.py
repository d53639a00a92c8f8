"""Trainings of a ranking's first candidates on real data: the record, resuming, the budget, failures, masks."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.workbench import dense_entry, make_images, make_masks, make_zoo, network, write_zoo

from acrank.comparison.tables import read_truth
from acrank.errors import TargetError, UsageError
from acrank.executors import InProcess, ProcessExecutor
from acrank.finetuning.network import Network
from acrank.ranking.scoring import score
from acrank.records import Ranking, Row
from acrank.refining import RefineSettings, budgeting, refine, training
from acrank.refining import refinement as module
from acrank.refining.kept_files import delete_rounds
from acrank.refining.refine_progress import RefineProgress
from acrank.refining.refine_settings import seconds_of
from acrank.refining.shortlist import first_candidates
from acrank.settings import Settings
from acrank.targets import Target, open_target
from acrank.zoo import Zoo, load_zoo

SETTINGS = Settings(samples=12, repeats=1, scores=("channel_alignment", "knn"), device="cpu", allow_code=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own module of networks, and trainings take a few steps at two learning rates."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    monkeypatch.setattr(module, "LEAST_STEPS", 2)
    monkeypatch.setattr(budgeting, "FEWEST_STEPS", 1)
    monkeypatch.setattr(budgeting, "_LEAST_VAL", dict.fromkeys(budgeting._LEAST_VAL, 12))
    for place in (module, budgeting):
        monkeypatch.setattr(place, "RATES", (0.1, 0.03))


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


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Shared: tests leave its zoo and its ranking as they are."""
    sys.modules.pop("small_networks", None)
    folder = tmp_path_factory.mktemp("bench")
    return Bench(make_zoo(folder / "zoo", 4), make_images(folder / "target", each=24, size=16))


def without_seconds(ranking: Ranking) -> list[Row]:
    return [
        dataclasses.replace(row, refined=row.refined and dataclasses.replace(row.refined, seconds=0.0))
        for row in ranking.rows
    ]


def trials_in(work_dir: Path) -> dict[str, Any]:
    """Every trial of every round: qualities, curves, intervals."""
    files = [path for path in work_dir.rglob("*.json") if path.name.startswith("net")]
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
    assert (found.complete, found.lacking) == (True, "")
    assert Ranking.from_record(found.to_record()).to_record() == found.to_record()
    cells = dict(zip(found.columns(), found.cells()[0], strict=True))
    assert (cells["refined"], cells["epochs"]) == (best.quality, best.epochs)
    truth = read_truth(tmp_path / "work" / "truth.csv")
    qualities = {row.model: row.refined.quality for row in found.rows if row.refined}
    assert {model: one.mean for model, one in truth.datasets["target"].items()} == qualities


def test_between_two_rounds_the_record_is_not_whole(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acrank.refining.halving.is_clear", lambda *_: False)
    between: list[Ranking] = []
    bench.refine(tmp_path / "work", on_round=between.append)
    assert between
    assert all("what comes after them did not run; --resume goes on" in one.lacking for one in between)


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
    assert list((tmp_path / "work").glob("round-1-*/*.pt"))
    told: list[RefineProgress] = []
    again = bench.refine(tmp_path / "work", resume=True, on_progress=told.append)
    assert without_seconds(again) == without_seconds(whole)
    assert trials_in(tmp_path / "work") == trials_in(tmp_path / "whole")
    assert any(one.epoch for one in told)
    first_epoch = next(one for one in told if one.epoch)
    assert first_epoch.done == first_epoch.kept + 1  # the interrupted training goes on
    assert [one.kept for one in told if one.outcome][:3] == [1, 0, 0]
    told.clear()
    assert without_seconds(bench.refine(tmp_path / "work", resume=True, on_progress=told.append)) == without_seconds(
        whole
    )
    assert not any(one.epoch for one in told)  # everything was there
    assert all(one.kept for one in told)
    epochs = 4
    with pytest.raises(KeyboardInterrupt):
        bench.refine(tmp_path / "work", on_progress=interrupt)  # without resume, nothing is kept


class WorkClock:
    """Counts what networks do: an image that is trained on takes three seconds, one that is validated on takes one."""

    def __init__(self) -> None:
        self.now, self.each = 0.0, 1.0
        self.hook = torch.nn.modules.module.register_module_forward_hook(self._count)

    def _count(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], _: Any) -> None:
        if isinstance(module, Network):
            self.now += self.each * len(inputs[0]) * (3 if module.training else 1)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[WorkClock]:
    found = WorkClock()
    yield found
    found.hook.remove()


def test_a_budget_gives_all_the_same_and_is_kept(bench: Bench, tmp_path: Path, clock: WorkClock) -> None:
    told: list[str] = []
    found = bench.refine(tmp_path / "work", budget="2000s", clock=clock, on_note=told.append)
    plan = found.settings["refine"]["plan"]
    sizes = found.settings["refine"]["train"], found.settings["refine"]["val"]
    cost = {"load": 0.0, "read": 0.0, "train": 3.0, "val": 1.0, "held": True}
    assert [plan["costs"][model] for model in plan["chosen"]] == [cost] * 3
    assert plan["cuts"] == ["one learning rate (0.1) of 2"]
    first = next(iter(json.loads(path.read_text()) for path in (tmp_path / "work").glob("round-1-*/net*.json")))
    assert plan["seconds"] == 3 * 2 * (3 * sizes[0] + sizes[1])
    assert first["details"]["seconds"] == pytest.approx(plan["seconds"] / 3, abs=20)  # setting up is not foreseen
    assert {len(trials) for trials in trials_in(tmp_path / "work").values()} == {1}
    assert clock.now <= 2000
    assert told == [note for note in found.notes if note.startswith("planned for --refine-budget 2000s: one learning")]
    assert Ranking.from_record(found.to_record()).to_record() == found.to_record()


def test_a_short_budget_leaves_out_images_but_no_candidate(bench: Bench, tmp_path: Path, clock: WorkClock) -> None:
    found = bench.refine(tmp_path / "work", budget="450s", clock=clock)
    assert 12 < found.settings["refine"]["val"] < 60
    trained = [row.refined for row in found.rows if row.refined]
    assert len(trained) == 3
    assert {(one.epochs, one.rounds, one.learning_rate) for one in trained} == {(1, 1, 0.1)}
    assert trained[0].seconds < 450 / 3


def test_too_small_a_budget_is_said_before_training_with_one_that_does(
    bench: Bench, tmp_path: Path, clock: WorkClock
) -> None:
    told: list[str] = []
    cut = bench.refine(tmp_path / "work", budget="0.001s", clock=clock, on_note=told.append)
    assert cut.rank_by == "channel_alignment"
    assert [row.model for row in cut.rows] == [row.model for row in bench.ranking.rows]
    assert not (tmp_path / "work").exists()
    assert told == []
    enough = re.search(r"need (\w+); .*--resume --refine-budget (\w+)", cut.warnings[-1])
    assert enough is not None
    assert 1.25 < seconds_of(enough[2]) / seconds_of(enough[1]) < 1.75  # half as much again, both rounded up
    clock.now = 0.0
    found = bench.refine(tmp_path / "work", budget=enough[1], resume=True, clock=clock)
    assert sum(row.refined is not None for row in found.rows) == 2
    assert not any("too short" in text for text in found.warnings)
    assert "2 of 3 candidates" in found.settings["refine"]["plan"]["cuts"]
    clock.now = 0.0
    found = bench.refine(tmp_path / "other", budget=enough[2], clock=clock)
    assert not any("too short" in text for text in found.warnings)


def interrupted(bench: Bench, work: Path, after: int = 1, **about: Any) -> None:
    """Refine until so many candidates are trained."""

    def interrupt(at: RefineProgress) -> None:
        if at.outcome is not None and at.done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.refine(work, on_progress=interrupt, **about)


def test_a_resumed_run_keeps_its_plan(bench: Bench, tmp_path: Path, clock: WorkClock) -> None:
    whole = bench.refine(tmp_path / "whole", budget="800s", clock=clock)
    interrupted(bench, tmp_path / "work", budget="800s", clock=clock)
    again = bench.refine(tmp_path / "work", budget="800 s", resume=True, clock=clock)
    assert again.settings["refine"]["plan"] == whole.settings["refine"]["plan"]
    assert trials_in(tmp_path / "whole") == {
        name: trials for name, trials in trials_in(tmp_path / "work").items() if name.startswith("round-1")
    }


@pytest.mark.parametrize("longer", ["1h", None])
def test_a_longer_budget_trains_anew_what_it_gives_more(
    bench: Bench, tmp_path: Path, clock: WorkClock, longer: str | None
) -> None:
    whole = bench.refine(tmp_path / "whole", budget=longer, clock=clock)
    interrupted(bench, tmp_path / "work", budget="800s", clock=clock)
    before = trials_in(tmp_path / "work")
    again = bench.refine(tmp_path / "work", budget=longer, resume=True, clock=clock)
    record, expected = (one.settings["refine"] for one in (again, whole))
    assert (record["budget"], record["plan"]["budget"]) == (longer, longer)
    assert record["plan"]["treatment"] == expected["plan"]["treatment"]
    assert trials_in(tmp_path / "work") == {**before, **trials_in(tmp_path / "whole")}
    where = f"fits into --refine-budget {longer}" if longer else "is possible without --refine-budget"
    assert (
        f"more training than the earlier run's {where}: all are trained anew (learning rates: 2, earlier 1, "
        "epochs: 2, earlier 1); what was finished is kept"
    ) in again.notes


@pytest.mark.parametrize("shorter", ["800s", "700s"])
def test_a_longer_budget_that_was_interrupted_leaves_what_is_finished(
    bench: Bench, tmp_path: Path, clock: WorkClock, shorter: str
) -> None:
    first = bench.refine(tmp_path / "work", count=2, budget="800s", clock=clock)
    before = trials_in(tmp_path / "work")

    def interrupt(_: RefineProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.refine(tmp_path / "work", count=2, budget="1h", resume=True, clock=clock, on_progress=interrupt)
    told: list[RefineProgress] = []
    about: dict[str, Any] = {"resume": True, "clock": clock, "on_progress": told.append}
    again = bench.refine(tmp_path / "work", count=2, budget=shorter, **about)
    assert not any(one.epoch for one in told)
    assert without_seconds(again) == without_seconds(first)
    assert trials_in(tmp_path / "work") == before
    longer = bench.refine(tmp_path / "work", count=2, budget="1h", resume=True, clock=clock)
    assert not any("trained anew" in note for note in longer.notes)  # that plan is followed, and what it had is there


def test_a_shorter_budget_keeps_what_is_trained_and_goes_on_alike(
    bench: Bench, tmp_path: Path, clock: WorkClock
) -> None:
    interrupted(bench, tmp_path / "work", budget="800s", clock=clock)
    before = trials_in(tmp_path / "work")
    told: list[RefineProgress] = []
    again = bench.refine(tmp_path / "work", budget="200s", resume=True, clock=clock, on_progress=told.append)
    first = [row.model for row in bench.ranking.rows[:2]]
    assert before.items() <= trials_in(tmp_path / "work").items()
    assert {one.model for one in told if one.epoch} == {first[1]}
    assert [row.model for row in bench.ranking.rows if any(row.model == one.model for one in told)] == first
    assert again.settings["refine"]["trained"] == first
    assert "2 of 3 candidates" in again.settings["refine"]["plan"]["cuts"]
    assert any(note.startswith("1 finished training of the earlier run kept; planned for") for note in again.notes)


def test_the_budget_that_a_round_needs_is_named_and_does_it(
    bench: Bench, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acrank.refining.halving.is_clear", lambda *_: False)
    cut = bench.refine(tmp_path / "work", budget="800s", clock=clock)
    before = clock.now
    again = bench.refine(tmp_path / "work", budget="100s", resume=True, clock=clock)
    assert clock.now == before  # nothing is measured again, and nothing fits
    for note in (note for one in (cut, again) for note in one.notes if note.startswith("round 2 would take")):
        enough = re.search(r"\(--resume(?: --refine-budget (\w+))? goes on with it\)", note)
        assert enough is not None
    found = bench.refine(tmp_path / "work", budget=enough[1], resume=True, clock=clock)
    assert max(row.refined.rounds for row in found.rows if row.refined) == 2


def test_a_budget_for_all_rounds_with_more_training_trains_a_finished_run_anew(
    bench: Bench, tmp_path: Path, clock: WorkClock
) -> None:
    first = bench.refine(tmp_path / "work", budget="800s", clock=clock)
    again = bench.refine(tmp_path / "work", budget="2h", resume=True, clock=clock)
    plans = [one.settings["refine"]["plan"]["treatment"] for one in (first, again)]
    assert plans[1]["epochs"] > plans[0]["epochs"]
    assert any("all are trained anew" in note for note in again.notes)


def test_where_trainings_had_ended_more_training_of_all_is_done_or_its_budget_named(
    bench: Bench, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acrank.refining.halving.is_clear", lambda *_: True)
    first = bench.refine(tmp_path / "work", budget="450s", clock=clock)
    before = clock.now
    again = bench.refine(tmp_path / "work", budget="200s", resume=True, clock=clock)
    assert clock.now == before
    back = bench.refine(tmp_path / "work", budget="450s", resume=True, clock=clock)
    assert clock.now == before  # the plan of that budget, not a new one
    assert without_seconds(back) == without_seconds(first)
    note = next(note for note in again.notes if note.startswith("nothing more is trained: "))
    enough = re.fullmatch(
        r".*: the first is clear of the others, and more training for all takes about --refine-budget (\w+)", note
    )
    assert enough is not None
    assert not any("later rounds" in note for note in again.notes)
    more = bench.refine(tmp_path / "work", budget=enough[1], resume=True, clock=clock)
    plans = [one.settings["refine"]["plan"] for one in (first, more)]
    assert "one round, others only if time is left" in plans[1]["cuts"]
    assert plans[1]["treatment"]["val"] > plans[0]["treatment"]["val"]
    assert any("all are trained anew (validation images: " in note for note in more.notes)


def test_more_of_the_same_budget_after_another_goes_on(bench: Bench, tmp_path: Path, clock: WorkClock) -> None:
    interrupted(bench, tmp_path / "work", after=2, budget="800s", clock=clock)
    again = bench.refine(tmp_path / "work", budget="300s", resume=True, clock=clock)
    assert len([row for row in again.rows if row.refined]) == 3  # two cost nothing more
    assert {len(trials) for trials in trials_in(tmp_path / "work").values()} == {1}


def test_time_that_is_left_goes_to_those_that_the_plan_left_out(bench: Bench, tmp_path: Path, clock: WorkClock) -> None:
    short = bench.refine(tmp_path / "none", budget="0.001s", clock=clock)
    enough = re.search(r"need (\w+);", short.warnings[-1])
    assert enough is not None
    clock.now, told = 0.0, []

    def on_note(note: str) -> None:
        told.append(note)
        clock.each = 0.1  # the machine is free once the plan is made

    seen: list[RefineProgress] = []
    found = bench.refine(tmp_path / "work", budget=enough[1], clock=clock, on_note=on_note, on_progress=seen.append)
    assert not [one.outcome.reason for one in seen if one.outcome is not None and one.outcome.reason]
    assert len({one.model for one in seen if one.epoch}) == 3
    assert "2 of 3 candidates" in told[0]
    assert told[1:] == ["time is left: 1 more than planned is trained"]
    assert sum(row.refined is not None for row in found.rows) == 3
    plan = found.settings["refine"]["plan"]
    assert plan["models"] == plan["chosen"] == found.settings["refine"]["trained"]
    assert not any("candidates" in cut for cut in plan["cuts"])
    assert json.loads((tmp_path / "work" / "plan.json").read_text())["models"] == plan["models"]


def test_who_cannot_be_timed_is_named_and_counts_as_the_dearest(
    bench: Bench, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = bench.ranking.rows[2].model
    load = training.train_candidate.__globals__["load_candidate"]

    def lacking(candidate: Any, **more: Any) -> Any:
        if candidate.id == last:
            raise ValueError("no such luck")
        return load(candidate, **more)

    monkeypatch.setitem(training.train_candidate.__globals__, "load_candidate", lacking)
    told: list[str] = []
    found = bench.refine(tmp_path / "work", budget="800s", clock=clock, on_note=told.append)
    assert told[0].startswith(f"{last} could not be timed: ")
    assert "no such luck" in told[0]
    costs = found.settings["refine"]["plan"]["costs"]
    assert costs[last] == costs[bench.ranking.rows[0].model]


def test_of_a_round_that_is_cut_short_the_first_two_count(bench: Bench, tmp_path: Path, clock: WorkClock) -> None:
    def slow_down(note: str) -> None:
        clock.each = 2.0  # once the plan is made

    found = bench.refine(tmp_path / "work", budget="600s", clock=clock, on_note=slow_down)
    first = [row.model for row in bench.ranking.rows[:2]]
    assert {row.model for row in found.rows if row.refined} == set(first)
    assert {row.model for row in found.rows[:2]} == set(first)
    assert any("after 2 of 3 candidates: the first 2 count" in note for note in found.notes)


def test_a_later_round_is_not_begun_without_time_for_it(bench: Bench, tmp_path: Path, clock: WorkClock) -> None:
    told: list[RefineProgress] = []
    found = bench.refine(tmp_path / "work", budget="800s", clock=clock, on_progress=told.append)
    assert {one.round for one in told} == {1}
    assert any(note.startswith("round 2 would take about") for note in found.notes)
    assert found.settings["refine"]["stopped"] == "the budget does not reach further"


class Pickling(InProcess):
    """Runs what arrives when a task is sent to another process and back."""

    def submit(self, fn: Any, /, *args: Any) -> Any:
        task, own = pickle.loads(pickle.dumps((fn, args)))
        return super().submit(task, *own)


def test_tasks_may_run_elsewhere(bench: Bench, tmp_path: Path) -> None:
    here = bench.refine(tmp_path / "here", count=1)
    assert without_seconds(bench.refine(tmp_path / "there", count=1, executor=Pickling())) == without_seconds(here)


@pytest.mark.slow
def test_workers_give_the_same(bench: Bench, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    here = bench.refine(tmp_path / "here", count=2)
    with ProcessExecutor(1, threads=1) as executor:
        there = bench.refine(tmp_path / "there", count=2, budget="1h", executor=executor)
    assert without_seconds(there) == without_seconds(here)


def test_a_candidate_that_fails_drops_behind(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.ranking.rows[0].model
    load = training.train_candidate.__globals__["load_candidate"]

    def damaged(candidate: Any, **more: Any) -> Any:
        found = load(candidate, **more)
        if candidate.id == first:
            with torch.no_grad():
                found.model[0].weight.fill_(float("nan"))
        return found

    monkeypatch.setitem(training.train_candidate.__globals__, "load_candidate", damaged)
    found = bench.refine(tmp_path / "work")
    last = found.rows[-1]
    assert last.model == first
    assert last.refined is not None
    assert last.refined.quality is None
    assert "diverged" in last.refined.reason
    assert dict(zip(found.columns(), found.cells()[-1], strict=True))["reason"] == last.refined.reason
    assert first in read_truth(tmp_path / "work" / "truth.csv").unknown["target"]


def test_a_changed_checkpoint_is_trained_anew(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", 2)
    bench = Bench(zoo, make_images(tmp_path / "target", each=24, size=16))
    bench.refine(tmp_path / "work", count=2)
    changed = bench.ranking.rows[0].model
    torch.save(network(9).state_dict(), tmp_path / "zoo" / f"{changed}.pth")
    told: list[RefineProgress] = []
    bench.refine(tmp_path / "work", count=2, resume=True, on_progress=told.append)
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


def test_who_overlaps_the_first_from_a_later_band_is_trained_too() -> None:
    from acrank.records import Value

    values = [Value(9.0, low=8.0, high=10.0), Value(7.0, low=6.9, high=7.1), Value(6.0, low=3.0, high=9.0)]
    rows = [Row(f"m{i}", "scored", scores={"s": value}) for i, value in enumerate(values)]
    assert first_candidates(Ranking.of(rows, rank_by="s", higher_is_better={"s": True}), 1)[0] == ["m0", "m2"]


def test_earlier_rounds_alone_are_deleted(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "round-1-0a1b2c3d").mkdir(parents=True)
    (work / "round-1-0a1b2c3d" / "notes.txt").write_text("mine")
    delete_rounds(work)
    assert (work / "round-1-0a1b2c3d" / "notes.txt").exists()
