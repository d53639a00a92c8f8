"""The interval of a score over draws: from their images where these tell it, else from the draws themselves."""

from __future__ import annotations

import math

import pytest

from acrank.ranking.values import comparison_reach, ends_of, value_of
from acrank.records import Details
from acrank.records.score_value import COMPARISON
from acrank.scores.evaluate import Evaluation


def of(*values: float | None) -> list[Evaluation]:
    return [Evaluation(value) for value in values]


def test_two_intervals_that_touch_differ_by_what_is_significant() -> None:
    """Of two values with a standard error of 1 each the difference has one of sqrt(2), and is significant at 1.96."""
    from scipy.stats import norm

    assert 2 * comparison_reach(1.0) / math.sqrt(2) == pytest.approx(norm.ppf(0.975), rel=1e-12)
    assert comparison_reach(1.0, freedom=10**9) == pytest.approx(COMPARISON, rel=1e-6)


def test_the_error_of_a_mean_counts_draws_as_what_they_are_worth() -> None:
    found = value_of(of(1.0, 2.0, 3.0), [0.3, 0.4, 0.5], worth=1.5)
    reach = COMPARISON * math.sqrt((0.09 + 0.16 + 0.25) / 3 / 1.5)
    assert found.interval == pytest.approx((2 - reach, 2 + reach))
    assert value_of(of(1.0, 2.0), [0.3, 0.3]).interval == pytest.approx(
        (1.5 - COMPARISON * 0.3 / math.sqrt(2), 1.5 + COMPARISON * 0.3 / math.sqrt(2))
    )


def test_a_draw_without_a_value_takes_nothing_from_the_others() -> None:
    assert value_of(of(1.0, None, 1.4), [0.3, None, 0.3]).interval == value_of(of(1.0, 1.4), [0.3, 0.3]).interval
    details = Details(
        draws=3, values={"s": [1.0, None, 1.4]}, deviations={"s": [0.3, None, 0.4]}, worth=[1.0, 1.6, 2.0]
    )
    assert details.deviation_of("s") == pytest.approx(math.sqrt((0.09 + 0.16) / 2))
    assert details.worth_of("s") == 1.6


def test_without_an_estimate_of_each_draw_the_draws_tell_it() -> None:
    for deviations in ([], [0.3], [0.3, None]):
        found = value_of(of(1.0, 2.0), deviations)
        assert found.high == pytest.approx(1.5 + 12.706204736432095 * 0.5 / math.sqrt(2))
    assert value_of(of(1.0)).low is None


def test_an_interval_holds_its_value_also_past_the_end_of_the_range() -> None:
    assert ends_of(3.6e-17, 0.0, (None, 0.0)) == (3.6e-17, 3.6e-17)
    assert ends_of(-1e-18, 0.5, (0.0, 1.0)) == (-1e-18, 0.5)
    assert ends_of(0.9, 0.5, (0.0, 1.0)) == (0.4, 1.0)
