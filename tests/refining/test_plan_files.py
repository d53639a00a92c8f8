"""Plans of several runs side by side in a work folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.locked_folder import locked

from acrank.errors import OutputError, TableError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.refining.kept_files import EARLIER_PLANS, PLAN, delete_rounds, finished_trainings
from acrank.refining.plan_files import load_plans, save_plan
from acrank.refining.plans import TrainingPlan, Treatment
from acrank.refining.rounds import Rounds

SHORT = TrainingPlan(
    chosen=["a", "b"], models=["a"], treatment=Treatment(rates=(0.03,), epochs=2, train=8, val=8), budget="4m"
)
LONG = dataclasses.replace(SHORT, treatment=Treatment(rates=(0.1, 0.03), epochs=4, train=8, val=8), budget="1h")


def test_the_last_plan_comes_first_and_each_purpose_has_one(tmp_path: Path) -> None:
    assert load_plans(tmp_path) == []
    longer = dataclasses.replace(SHORT, budget="6m")
    for plan in (SHORT, LONG, longer):
        save_plan(tmp_path, plan)
    assert load_plans(tmp_path) == [longer, LONG, SHORT]
    more = dataclasses.replace(SHORT, models=["a", "b"], budget="240s")
    save_plan(tmp_path, more)
    assert load_plans(tmp_path) == [more, longer, LONG]
    delete_rounds(tmp_path)
    assert load_plans(tmp_path) == []


@pytest.mark.parametrize("name", [PLAN, EARLIER_PLANS])
@pytest.mark.parametrize("change", [("budget", "soon"), ("models", ["c"]), ("chosen", None)])
def test_a_damaged_plan_is_named(tmp_path: Path, name: str, change: tuple[str, object]) -> None:
    save_plan(tmp_path, SHORT)
    save_plan(tmp_path, LONG)
    record = json.loads((tmp_path / name).read_text())
    plan = record["plans"][0] if name == EARLIER_PLANS else record
    plan.update([change])
    (tmp_path / name).write_text(json.dumps(record))
    with pytest.raises(TableError, match=f"{name} is damaged") as raised:
        load_plans(tmp_path)
    assert raised.value.hint == "run without --resume"


@pytest.mark.parametrize("step", ["plans", "trainings", "outcomes"])
def test_a_work_folder_that_was_locked_is_named(tmp_path: Path, step: str) -> None:
    folder = tmp_path / "run.work"
    folder.mkdir()
    about: dict[str, Any] = {"sides": None, "settings": FinetuneSettings(), "seed": 0, "candidates": {}}
    steps: dict[str, Callable[[], object]] = {
        "plans": lambda: load_plans(folder),
        "trainings": lambda: finished_trainings(folder),
        "outcomes": lambda: Rounds(treatment=SHORT.treatment, work_dir=folder, **about).finished(1, []),
    }
    with locked(folder), pytest.raises(OutputError, match=r"cannot write .*run\.work: Permission denied"):
        steps[step]()
