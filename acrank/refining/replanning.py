"""Which plan a run follows: a new one, that of the run it resumes, or one that goes on from it with another budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.outcomes import Outcome
from acrank.refining.budgeting import Budget, budget_for_more, plan_within
from acrank.refining.halving import Stop
from acrank.refining.plans import ONE_ROUND, SHARE, Cost, TrainingPlan, Treatment, as_duration, cuts_of, wall_seconds
from acrank.refining.refine_settings import seconds_of
from acrank.refining.sides import Sides


@dataclass(frozen=True, kw_only=True)
class PlanInputs:
    """What a plan depends on.

    Attributes:
        chosen: candidates, best first.
        sides, settings: of the trainings.
        full: the first round's treatment where there is time enough.
        budget: which has begun; None for none.
        measure: gives the costs of all of them, on the budget's time.
        finished: gives the outcomes of those whose first round is done under a treatment.
        ended: why the trainings of an earlier plan ended; Stop.BUDGET where they had not.
        workers: how many candidates are trained at a time.
    """

    chosen: list[str]
    sides: Sides
    settings: FinetuneSettings
    full: Treatment
    budget: Budget | None
    measure: Callable[[], Mapping[str, Cost]]
    finished: Callable[[Treatment], Mapping[str, Outcome]]
    ended: Callable[[TrainingPlan], Stop]
    workers: int


def plan_to_resume(known: Sequence[TrainingPlan], given: PlanInputs) -> TrainingPlan | None:
    """Which plan of earlier runs a run goes on from: that of the same budget, else of what was finished last.

    That of the same budget has all candidates that another budget added to it later.

    Args:
        known: the plans in the work folder, the last one first.
        given: what the plan depends on.
    """
    wanted = given.budget and given.budget.seconds
    same = next((plan for plan in known if _seconds(plan.budget) == wanted), None)
    if same is not None:
        alike = [plan for plan in known if (plan.treatment, plan.chosen) == (same.treatment, same.chosen)]
        most = max(alike, key=lambda plan: len(plan.models))
        is_more = len(most.models) > len(same.models)
        return dataclasses.replace(most, budget=same.budget, note="") if is_more else same
    return next((plan for plan in known if given.finished(plan.treatment)), known[0] if known else None)


def next_plan(known: TrainingPlan | None, given: PlanInputs) -> tuple[TrainingPlan | None, str]:
    """The plan of a run, and what to say of the earlier run; where nothing fits, None and why.

    A run that resumes another follows its plan as long as the budget is the same. With another one, or none, it is
    planned anew, by the costs that were measured then. Where its first round is done, later rounds go on, unless all
    rounds fit with more training; where its last round is done, too, one round with more training is enough. Else,
    where the new plan gives every candidate at least what those of the earlier run had, it is the plan; else the
    finished trainings are kept, and as many others as fit get the same.

    Args:
        known: the plan of the run that is resumed; None for none.
        given: what the plan depends on.
    """
    if known is not None and _seconds(known.budget) == (given.budget and given.budget.seconds):
        return (known if known.chosen == given.chosen else known.for_others(given.chosen, given.full)), ""
    if known is None:
        return _new_plan(given)
    done = given.finished(known.treatment)
    if set(known.costs) >= set(given.chosen):  # nothing is measured again
        costs = _corrected(known, done)
        given = dataclasses.replace(given, measure=lambda: costs)
    new, why = _new_plan(given)
    covers = new is not None and new.models == given.chosen and new.treatment.covers(known.treatment)
    if given.budget is not None and known.models == given.chosen and set(done) >= set(given.chosen):
        ended = given.ended(known)
        more = new is not None and new.gives_more_than(known)
        if ended is not Stop.BUDGET and not more:
            each = new.costs if new else given.measure()
            return _nothing_more(known, given, given.budget, why=ended, costs=each)
        if ended is Stop.BUDGET and not (more and new is not None and ONE_ROUND not in new.cuts):
            return _gone_on(known, given.budget)
    if new is not None and covers:
        return new, "" if new.treatment == known.treatment else _anew(new, known, finished=bool(done))
    kept = _extended(known, given, done=set(done), costs=new.costs if new else given.measure())
    if kept is None:
        return new, why
    count = sum(model in done for model in kept.models)
    return kept, f"{count} finished training{'s' if count > 1 else ''} of the earlier run kept" if count else ""


def _gone_on(known: TrainingPlan, budget: Budget) -> tuple[TrainingPlan, str]:
    """The plan of the earlier run, whose first round is done, with another budget."""
    note = (
        f"the first round of the earlier run is kept: --refine-budget {budget.text} is too short for all rounds with "
        "more training, and goes to its later rounds"
    )
    return dataclasses.replace(known, budget=budget.text, note=""), note


def _nothing_more(
    known: TrainingPlan, given: PlanInputs, budget: Budget, *, why: Stop, costs: Mapping[str, Cost]
) -> tuple[TrainingPlan, str]:
    """The plan of the earlier run, whose trainings have ended, with another budget, in which no more training fits."""
    about: dict[str, Any] = {"settings": given.settings, "full": given.full, "workers": given.workers, "costs": costs}
    enough = budget_for_more(known, given.chosen, given.sides, above=budget.seconds, **about)
    more = f"takes about --refine-budget {enough}" if enough else f"does not fit into --refine-budget {budget.text}"
    rest = (
        "with all training that --refine gives"
        if known.treatment.covers(given.full)
        else f"and more training for all {more}"
    )
    return dataclasses.replace(known, budget=budget.text, note=""), f"nothing more is trained: {why.value}, {rest}"


def _new_plan(given: PlanInputs) -> tuple[TrainingPlan | None, str]:
    if given.budget is None:
        return TrainingPlan(chosen=given.chosen, models=given.chosen, treatment=given.full), ""
    about: dict[str, Any] = {"full": given.full, "measure": given.measure, "workers": given.workers}
    found, note = plan_within(given.budget, given.chosen, given.sides, settings=given.settings, **about)
    return found, "" if found else note


def _anew(new: TrainingPlan, known: TrainingPlan, *, finished: bool) -> str:
    """That a plan gives more than the earlier one, which finished something or nothing."""
    changes = ", ".join(new.treatment.changes_from(known.treatment))
    where = f"fits into --refine-budget {new.budget}" if new.budget else "is possible without --refine-budget"
    kept = "; what was finished is kept" if finished else ""
    return f"more training than the earlier run's {where}: all are trained anew ({changes}){kept}"


def _extended(
    known: TrainingPlan, given: PlanInputs, *, done: Collection[str], costs: Mapping[str, Cost]
) -> TrainingPlan | None:
    """What the earlier run finished, and as many others as fit, treated alike; None where that makes fewer than two."""
    budget, how = given.budget, known.treatment
    if budget is None:
        return None
    seconds = [0.0 if model in done else costs[model].seconds(how) for model in given.chosen]
    left = SHARE * max(0.0, budget.left)
    fit = [n for n in range(2, len(seconds) + 1) if wall_seconds(seconds[:n], given.workers) <= left]
    if not fit or not done:
        return None
    count = max(fit)
    first = wall_seconds(seconds[:count], given.workers)
    cuts = cuts_of(how, given.full, trained=count, chosen=len(given.chosen), all_rounds=False)
    note = (
        f"planned for --refine-budget {budget.text} alike: {', '.join(cuts) or 'nothing is left out'}; the others take "
        f"about {as_duration(first)}"
    )
    return TrainingPlan(
        chosen=given.chosen,
        models=given.chosen[:count],
        treatment=how,
        cuts=cuts,
        seconds=round(first, 1),
        costs={model: costs[model] for model in given.chosen},
        note=note,
        budget=budget.text,
    )


def _seconds(budget: str | None) -> float | None:
    return None if budget is None else seconds_of(budget)


def with_others(
    plan: TrainingPlan, outcomes: Mapping[str, Outcome], *, full: Treatment, left: float, workers: int
) -> TrainingPlan:
    """The plan, with as many of those that it leaves out as fit into the time that is left after its first round.

    Args:
        plan: whose first round is over.
        outcomes: of that round; their seconds correct what the plan foresaw.
        full: the treatment where there is time enough.
        left: seconds.
        workers: how many candidates are trained at a time.
    """
    rest, how, costs = plan.chosen[len(plan.models) :], plan.treatment, _corrected(plan, outcomes)
    seconds = [costs[model].seconds(how) for model in rest if model in costs]
    fit = [n for n in range(1, len(seconds) + 1) if wall_seconds(seconds[:n], workers) <= SHARE * max(0.0, left)]
    if not fit:
        return plan
    models = plan.chosen[: len(plan.models) + max(fit)]
    cuts = cuts_of(how, full, trained=len(models), chosen=len(plan.chosen), all_rounds=False)
    return dataclasses.replace(plan, models=models, cuts=cuts)


def _corrected(plan: TrainingPlan, outcomes: Mapping[str, Outcome]) -> dict[str, Cost]:
    """The costs of a plan, by how much longer or shorter its finished trainings took than it foresaw."""
    taken = {model: float(one.details["seconds"]) for model, one in outcomes.items() if "seconds" in one.details}
    both = [model for model in taken if model in plan.costs]
    foreseen = sum(plan.costs[model].seconds(plan.treatment) for model in both)
    pace = sum(taken[model] for model in both) / foreseen if foreseen else 1.0
    return {model: cost.times(pace) for model, cost in plan.costs.items()}
