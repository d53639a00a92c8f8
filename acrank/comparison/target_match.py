"""Whether a truth is of the target that a run was scored on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acrank.comparison.name_rules import is_same_name, is_same_task
from acrank.comparison.tables import Truth
from acrank.errors import TableError


def doubts_about_target(target: Mapping[str, Any], truth: Truth, dataset: str) -> list[str]:
    """Hold a truth that nobody chose by name against the target of a run: one line for each doubt.

    Args:
        target: of the run record; its `name` and `task` count where they are there.
        truth: the whole table.
        dataset: the one of its datasets that is taken; "" if it has no name.

    Raises:
        TableError: the column `task` names another task.
    """
    name, task = str(target.get("name") or ""), str(target.get("task") or "")
    about = f"{dataset!r} in {truth.where}" if dataset else truth.where
    named, known = truth.named_tasks.get(dataset, ""), truth.tasks.get(dataset, "")
    if task and named and not is_same_task(task, named):
        overrule = f", or take it with --dataset {dataset}" if dataset else ", or correct its column `task`"
        raise TableError(
            f"the truth {about} is of the task {named!r}, the run of {task!r}",
            hint=f"give the truth of the run's target{overrule}",
        )
    doubts = []
    if name and dataset and not is_same_name(name, dataset):
        doubts.append(f"the truth is of {dataset!r}, the run of {name!r}: --dataset {dataset} says that this is meant")
    if task and known and not is_same_task(task, known):
        doubts.append(f"the measure of the truth is one of {known}, the task of the run is {task}")
    return doubts
