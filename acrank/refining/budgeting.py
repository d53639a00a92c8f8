"""From a budget and measured seconds to a plan: the treatments between the usual one and the shortest."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acrank.executors import TaskExecutor
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.refining.plans import FEWEST_STEPS, SHARE, Cost, TrainingPlan, Treatment, as_duration, plan_for, shortest
from acrank.refining.refine_settings import LEAST_EPOCHS, LEAST_STEPS, RATES, RefineSettings, seconds_of
from acrank.refining.sides import BOUNDS, Sides

#: Images of the shortest training: those of a training and a validation split in benchmarks/transferability/study2.
_MASKS, _LEAST_VAL = 10, {"classification": 100, "segmentation": 10}

#: What a budget that a message names has, of what is expected to be taken.
_ROOM = 1.5
#: By which factor the next budget that is tried is longer.
_STEP = 1.1
#: Seconds of the longest budget that is tried.
_MOST = 1e7


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most time that trainings may take.

    Attributes:
        text: as it was given.
        seconds: of it.
        clock: gives seconds from any moment on.
        deadline: by the clock.
    """

    text: str
    seconds: float
    clock: Callable[[], float]
    deadline: float

    @classmethod
    def of(cls, how: RefineSettings, clock: Callable[[], float]) -> Budget | None:
        """That of some settings, which begins now; None where they have none."""
        if how.refine_budget is None or how.seconds is None:
            return None
        return cls(text=how.refine_budget, seconds=how.seconds, clock=clock, deadline=clock() + how.seconds)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - self.clock()


def full_treatment(sides: Sides, settings: FinetuneSettings, *, least_steps: int = LEAST_STEPS) -> Treatment:
    """That of a first round without a budget: all rates and images, and at least LEAST_EPOCHS and so many steps."""
    epochs = max(LEAST_EPOCHS, math.ceil(least_steps / steps_of(len(sides.train), sides, settings)))
    return Treatment(rates=RATES, epochs=epochs, train=len(sides.train), val=len(sides.val))


def least_treatment(sides: Sides, settings: FinetuneSettings) -> Treatment:
    """The shortest one: the middle rate, FEWEST_STEPS, and images that still tell candidates apart."""
    task = sides.train.target.task
    images = _MASKS if task == "segmentation" else FEWEST_STEPS * (settings.batch_size or 1)
    train = min(len(sides.train), images)
    val = min(len(sides.val), max(_LEAST_VAL[task], BOUNDS[task].each * len(sides.train.target.classes)))
    epochs = fewest_epochs(train, sides, settings)
    return Treatment(rates=(sorted(RATES)[len(RATES) // 2],), epochs=epochs, train=train, val=val)


def fewest_epochs(images: int, sides: Sides, settings: FinetuneSettings) -> int:
    """Epochs on so many images that make at least FEWEST_STEPS."""
    return math.ceil(FEWEST_STEPS / steps_of(images, sides, settings))


def steps_of(images: int, sides: Sides, settings: FinetuneSettings) -> int:
    """Steps of an epoch on so many images."""
    inputs = images * (settings.patches if sides.train.target.task == "segmentation" else 1)
    return max(1, math.ceil(inputs / (settings.batch_size or 1)))


def workers_of(executor: TaskExecutor) -> int:
    """How many candidates an executor trains at a time."""
    about = getattr(executor, "about", {})
    return max(1, int(about.get("workers", 1)))


def enough_for(seconds: float) -> str:
    """A budget for what is expected to take so many seconds, with room for a machine that is busier by then.

    >>> enough_for(70)
    '2m'
    """
    return as_duration(_ROOM * seconds)


def plan_in(
    left: float,
    chosen: Sequence[str],
    sides: Sides,
    *,
    settings: FinetuneSettings,
    full: Treatment,
    costs: Mapping[str, Cost],
    workers: int,
) -> TrainingPlan | None:
    """The plan that fits into so many seconds; None where none fits. See `plan_within` for the arguments."""
    least, fewest = least_treatment(sides, settings), fewest_epochs(full.train, sides, settings)
    about: dict[str, Any] = {"costs": costs, "workers": workers, "fewest_epochs": min(full.epochs, fewest)}
    return plan_for(chosen, full, least, left=left, **about)


def budget_for_more(
    than: TrainingPlan, chosen: Sequence[str], sides: Sides, *, above: float, full: Treatment, **about: Any
) -> str:
    """A budget that gives all candidates at least what a plan gave them, and something more; empty where none is found.

    Args:
        than: the plan.
        chosen: candidates, best first.
        sides: of the trainings.
        above: seconds of a budget that does not.
        full: where there is time enough.
        about: the other arguments of `plan_in`.
    """
    while not than.treatment.covers(full) and (above := above * _STEP) < _MOST:
        found = plan_in(above, chosen, sides, full=full, **about)
        if found is None or not found.gives_more_than(than):
            continue
        enough = enough_for(above)
        there = plan_in(seconds_of(enough), chosen, sides, full=full, **about)
        if there is not None and there.gives_more_than(than):
            return enough
    return ""


def plan_within(
    budget: Budget,
    chosen: Sequence[str],
    sides: Sides,
    *,
    settings: FinetuneSettings,
    full: Treatment,
    measure: Callable[[], Mapping[str, Cost]],
    workers: int,
) -> tuple[TrainingPlan | None, str]:
    """The plan that fits, and a note on what it leaves out, empty where that is nothing; None where none fits.

    Args:
        budget: of which some is spent.
        chosen: candidates, best first.
        sides, settings: of the trainings.
        full: where there is time enough.
        measure: gives the costs of all of them, on the budget's time.
        workers: how many candidates are trained at a time.
    """
    before = budget.left
    costs = measure()
    left, least = budget.left, least_treatment(sides, settings)
    found = plan_in(left, chosen, sides, settings=settings, full=full, costs=costs, workers=workers)
    if found is None:
        first = [costs[model] for model in chosen[:2]]
        wanted = budget.seconds - before + (before - left) + shortest(first, least, workers) / SHARE
        return None, (
            f"--refine-budget {budget.text} is too short: one learning rate and {least.epochs} "
            f"epoch{'s' if least.epochs > 1 else ''} of {least.train} images for "
            f"{'each of the first two candidates' if len(first) > 1 else 'the candidate'} need "
            f"{as_duration(wanted)}; nothing was trained (--resume --refine-budget {enough_for(wanted)} does it)"
        )
    if found.cuts:
        cut, lasts = ", ".join(found.cuts), as_duration(found.seconds or 0.0)
        note = f"planned for --refine-budget {budget.text}: {cut}; the first round takes about {lasts}"
        found = dataclasses.replace(found, note=note)
    return dataclasses.replace(found, budget=budget.text), found.note
