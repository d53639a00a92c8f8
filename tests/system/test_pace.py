"""The time left: exact for work of even pace, never still, and of this run's own work."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from acrank.system.pace import Pace, in_clock


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(0, 5), st.integers(2, 12), st.floats(0.5, 100), st.floats(0, 0.99))
def test_of_even_units_the_time_left_is_what_they_take(kept: int, units: int, each: float, within: float) -> None:
    """The oracle: `units` of `each` seconds end at units * each, whenever one looks."""
    clock = Clock()
    pace = Pace(clock)
    total = kept + units
    pace.update(kept, total, kept=kept)
    assert pace.left() is None
    for done in range(1, units):
        clock.now = done * each
        pace.update(kept + done, total, kept=kept)
        clock.now += within * each
        assert pace.left() == pytest.approx(units * each - clock.now)
        assert pace.elapsed() == pytest.approx(clock.now)


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=6), st.floats(60, 600))
@example([1.8, 1.8, 1.8], 60.0)  # equal before and after the turn
def test_it_goes_on_while_one_unit_takes_long(before: list[float], long: float) -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.update(0, 20)
    for done, seconds in enumerate(before, start=1):
        clock.now += seconds
        pace.update(done, 20)
    seen = []
    for _ in range(int(long)):
        clock.now += 1
        seen.append(pace.left())
    signs = [(later > one) - (later < one) for one, later in itertools.pairwise(seen)]
    assert signs == sorted(signs), "it falls while the unit takes its usual time, and rises from then on"
    assert signs.count(0) <= 1, "only where it turns may two readings be equal"
    last = seen[-1]
    assert last is not None
    assert last > (19 - len(before)) * clock.now / (len(before) + 1) * 0.99  # the slow one counts


def test_work_that_was_there_before_takes_no_time() -> None:
    """Two of seven were kept: after one of 10 s the rest is four times that, not 4 * 10 / 3."""
    clock = Clock()
    pace = Pace(clock)
    clock.now = 100.0  # reading the target took that long
    pace.update(2, 7, kept=2)
    clock.now += 10
    pace.update(3, 7, kept=2)
    assert (pace.elapsed(), pace.left()) == (10, 40)


def test_another_round_has_a_pace_of_its_own() -> None:
    """Two units of 100 s, then a round of units of 10 s, of which an earlier run did one."""
    clock = Clock()
    pace = Pace(clock)
    for done in (1, 2):
        clock.now += 100
        pace.update(done, 2)
    clock.now += 10
    pace.update(2, 5, kept=1)
    assert (pace.elapsed(), pace.left()) == (210, 30)


def test_the_end_is_no_time_left() -> None:
    pace = Pace(Clock())
    pace.update(3, 3)
    assert pace.left() == 0


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (3600, "1:00:00"), (None, "-:--")])
def test_clocks(seconds: float | None, text: str) -> None:
    assert in_clock(seconds) == text
