"""What fits into a budget: the order in which a plan leaves things out, alike for all candidates."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.errors import OutputError, TableError
from acrank.refining.plan_files import load_plans, save_plan
from acrank.refining.plans import SHARE, Cost, TrainingPlan, Treatment, plan_for, shortest, wall_seconds

FULL = Treatment(rates=(0.1, 0.03, 0.01), epochs=3, train=480, val=300)
LEAST = Treatment(rates=(0.03,), epochs=1, train=128, val=100)


def planned(left: float, *costs: Cost, workers: int = 1) -> TrainingPlan | None:
    """The plan of candidates a, b, … with these costs."""
    known = dict(zip("abcdefgh", costs, strict=False))
    return plan_for(list(known), FULL, LEAST, costs=known, left=left, workers=workers)


def test_the_order_in_which_things_are_left_out() -> None:
    """One candidate-epoch is 480 s at 1 s an image; five candidates halve as 5 + 3 x 2 + 2 x 4 = 19 trainings."""
    five = [Cost(train=1.0)] * 5
    # (3 rates x 5 + 14) x 3 epochs x 480 s; then 19 x 3, 19 x 2, 19 x 1 epochs; then the first round alone
    bounds = [(29 * 3, 3, 3), (19 * 3, 1, 3), (19 * 2, 1, 2), (19, 1, 1), (5 * 3, 1, 3), (5 * 2, 1, 2), (5, 1, 1)]
    for epochs, rates, each in bounds:
        plan = planned((epochs * 480 + 0.5) / SHARE, *five)
        assert plan is not None
        assert (len(plan.treatment.rates), plan.treatment.epochs, plan.treatment.train) == (rates, each, 480)
        less = planned((epochs * 480 - 0.5) / SHARE, *five)
        assert less is not None
        assert less.treatment != plan.treatment or less.cuts != plan.cuts
    fewer = planned((5 * 198 + 0.5) / SHARE, *five)
    assert fewer is not None
    assert (fewer.treatment.train, fewer.treatment.val, fewer.models) == (198, 140, list("abcde"))
    assert fewer.cuts == [
        "one learning rate (0.03) of 3",
        "1 of 3 epochs",
        "198 of 480 training images",
        "140 of 300 validation images",
        "one round, others only if time is left",
    ]
    two = planned((2 * 128 + 0.5) / SHARE, *five)
    assert two is not None
    assert (two.models, two.treatment) == (["a", "b"], LEAST)
    assert two.cuts[-1] == "2 of 5 candidates"
    assert planned((2 * 128 - 0.5) / SHARE, *five) is None


costs = st.builds(
    Cost,
    load=st.floats(0, 9),
    read=st.floats(0, 0.1),
    train=st.floats(0.001, 2),
    val=st.floats(0, 1),
    held=st.booleans(),
)


@given(st.lists(costs, min_size=2, max_size=8), st.floats(1, 1e5), st.integers(1, 4))
def test_what_is_planned_fits_and_more_time_is_never_less_training(
    all_costs: list[Cost], left: float, workers: int
) -> None:
    plan = planned(left, *all_costs, workers=workers)
    if plan is None:
        assert shortest(all_costs[:2], LEAST, workers) > SHARE * left
        return
    each = [plan.costs[model].seconds(plan.treatment) for model in plan.models]
    assert wall_seconds(each, workers) <= SHARE * left
    assert plan.seconds == pytest.approx(wall_seconds(each, workers), abs=0.06)
    assert plan.models == plan.chosen[: len(plan.models)]
    assert len(plan.models) == len(plan.chosen) or plan.treatment == LEAST  # fewer candidates are the last resort
    richer = planned(3 * left, *all_costs, workers=workers)
    assert richer is not None
    assert len(richer.models) >= len(plan.models)
    assert len(richer.treatment.rates) >= len(plan.treatment.rates)


@given(st.lists(st.floats(0, 100), max_size=9), st.integers(1, 5))
def test_several_at_a_time_take_no_longer_and_cannot_beat_their_sum(each: list[float], workers: int) -> None:
    times = [wall_seconds(each, count) for count in range(1, workers + 1)]
    assert times[0] == pytest.approx(sum(each))
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(times))
    assert times[-1] >= max([0.0, *each, sum(each) / workers]) - 1e-9


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = planned(1000.0, Cost(train=0.5), Cost(load=2.0, train=0.3, held=False))
    assert plan is not None
    path = tmp_path / "plan.json"
    assert load_plans(tmp_path) == []
    save_plan(tmp_path, plan)
    assert load_plans(tmp_path) == [plan]
    for text in ("[]", path.read_text().replace('"epochs": ', '"epochs": -'), path.read_text()[:-9]):
        path.write_text(text)
        with pytest.raises(TableError, match=r"plan\.json is"):
            load_plans(tmp_path)


def test_a_work_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.work").symlink_to("nothing")
    plan = TrainingPlan(chosen=["a"], models=["a"], treatment=Treatment(rates=(0.1,), epochs=1, train=8, val=8))
    with pytest.raises(OutputError, match="cannot make"):
        save_plan(tmp_path / "run.work", plan)
