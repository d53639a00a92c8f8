"""What the record of a run says of its trainings."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from acrank.records import Refined
from acrank.refining.budgeting import Budget, enough_for
from acrank.refining.halving import Stop
from acrank.refining.plans import TrainingPlan, as_duration
from acrank.refining.refine_settings import seconds_of
from acrank.refining.rounds import Rounds
from acrank.refining.sides import Sides


def settings_of(plan: TrainingPlan | None, rounds: Rounds) -> dict[str, Any]:
    """Plain data on how candidates were trained; without a plan none was."""
    if plan is None:
        return {"trained": []}
    return {
        "plan": plan.record(),
        "rates": list(rounds.settings.lrs),
        "trained": list(plan.models),
        "epochs": rounds.settings.epochs,
        "train": len(rounds.sides.train),
        "val": len(rounds.sides.val),
        "images": rounds.sides.note,
    }


def summary_of(known: Mapping[str, Refined], sides: Sides, why: Stop | None) -> str:
    """How many were trained, on how many images of which kind, in how many rounds, and why these ended."""
    rounds = max(found.rounds for found in known.values())
    text = (
        f"refined: {len(known)} candidate{'s' if len(known) > 1 else ''} trained on {len(sides.train)} images and "
        f"validated on {len(sides.val)} others, in {rounds} round{'s' if rounds > 1 else ''} ({sides.note})"
    )
    return f"{text}; {why.value}" if why else text


def counted(number: int, models: Sequence[str], done: Collection[str]) -> tuple[list[str], str]:
    """Those of a round whose training counts, and a note where the budget cut it short.

    All count; of a first round that was cut short the first ones, if two are done; of a later one none.

    >>> counted(2, ["a", "b"], {"a", "b"})
    (['a', 'b'], '')
    >>> counted(1, ["a", "b", "c", "d"], {"a", "b", "d"})[0], counted(1, ["a", "b"], {"a"})[0]
    (['a', 'b'], [])
    """
    if len(done) == len(models):
        return list(models), ""
    first = list(itertools.takewhile(done.__contains__, models)) if number == 1 else []
    first = first if len(first) > 1 else []
    what = f"the first {len(first)} count" if first else "that round does not count"
    return first, (
        f"--refine-budget was spent in round {number} after {len(done)} of {len(models)} candidates: {what} "
        "(--resume goes on with it)"
    )


def not_begun(number: int, wanted: float, *, left: float, budget: Budget) -> str:
    """That a round, of which `wanted` seconds are expected, was not begun, and with which budget it is."""
    enough = enough_for(wanted)
    does = "" if seconds_of(enough) <= budget.seconds else f" --refine-budget {enough}"
    return (
        f"round {number} would take about {as_duration(wanted)}, and {as_duration(left)} of --refine-budget "
        f"{budget.text} are left: it was not begun (--resume{does} goes on with it)"
    )
