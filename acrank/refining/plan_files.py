"""The plans in the work folder: that of the last run, and those of the runs before that had another budget."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from acrank.errors import TableError, UsageError
from acrank.refining.kept_files import EARLIER_PLANS, PLAN
from acrank.refining.plans import TrainingPlan
from acrank.refining.refine_settings import seconds_of
from acrank.system.files import atomic_write, make_folder, reached
from acrank.system.plain_data import Kind, dumps, read_json, validated

_EXPECTED = "plan that `acrank score --refine` wrote"


@dataclasses.dataclass(frozen=True)
class _EarlierPlans:
    plans: list[TrainingPlan]


def load_plans(work_dir: Path) -> list[TrainingPlan]:
    """The plans of earlier runs, the last one first; empty where there is none.

    Raises:
        OutputError: the folder cannot be read.
        TableError: a file is damaged.
    """
    last, before = work_dir / PLAN, work_dir / EARLIER_PLANS
    with reached(work_dir):
        found = [_read(last, TrainingPlan)] if last.exists() else []
        found += _read(before, _EarlierPlans).plans if before.exists() else []
    for path, plans in ((last, found[:1]), (before, found[1:])):
        for plan in plans:
            _check(plan, path)
    return found


def save_plan(work_dir: Path, plan: TrainingPlan) -> None:
    """Write the plan of a run as the last one; it replaces that of the same treatment and budget."""
    make_folder(work_dir)
    earlier = [one for one in load_plans(work_dir) if _purpose(one) != _purpose(plan)]
    if earlier:
        once = {_purpose(one): one for one in reversed(earlier)}  # the last of each
        atomic_write(work_dir / EARLIER_PLANS, dumps(dataclasses.asdict(_EarlierPlans([*once.values()][::-1]))))
    atomic_write(work_dir / PLAN, dumps(plan.record()))


def _purpose(plan: TrainingPlan) -> tuple[object, float | None]:
    return plan.treatment, None if plan.budget is None else seconds_of(plan.budget)


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        return validated(kind, read_json(path, _EXPECTED))
    except ValueError as error:
        raise _damaged(path, error) from error


def _check(plan: TrainingPlan, path: Path) -> None:
    try:
        _ = _purpose(plan)
    except UsageError as error:
        raise _damaged(path, error) from error
    if not (plan.treatment.rates and plan.treatment.epochs > 0 and set(plan.models) <= set(plan.chosen)):
        raise _damaged(path, ValueError("it trains nothing"))


def _damaged(path: Path, error: Exception) -> TableError:
    return TableError(f"{path} is damaged: {error}", hint="run without --resume")
