"""The order of halving, from made qualities: who goes on, who leaves when, and when it stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.records import Refined
from acrank.refining.halving import Stop, is_clear, successive_halving

#: Candidate -> its quality in rounds 1, 2, 3; None fails. Worked by hand below.
TABLE: dict[str, list[float | None]] = {
    "a": [0.60, 0.70, 0.80],
    "b": [0.70, 0.75, 0.78],
    "c": [0.65, 0.60, 0.99],
    "d": [0.50, 0.99, 0.99],
    "e": [None, 0.99, 0.99],
}


class Rounds:
    """Hands out the qualities of a table, and notes who was trained."""

    def __init__(self, table: Mapping[str, Sequence[float | None]], *, reach: float = 0.3, last: int = 9) -> None:
        self.table, self.reach, self.last = table, reach, last
        self.seen: list[list[str]] = []
        self.rates: list[Mapping[str, float]] = []

    def __call__(self, number: int, models: Sequence[str], rates: Mapping[str, float]) -> dict[str, Refined] | None:
        if number > self.last:
            return None
        self.seen.append(list(models))
        self.rates.append(dict(rates))
        return {model: self.one(model, number) for model in models}

    def one(self, model: str, number: int) -> Refined:
        quality = self.table[model][number - 1]
        epochs, about = 2**number, {"metric": "dice", "rounds": number, "seconds": 1.0}
        if quality is None:
            return Refined(quality=None, reason="it diverged", **about)  # type: ignore[arg-type]
        ends = {"low": quality - self.reach, "high": quality + self.reach}
        return Refined(quality=quality, epochs=epochs, learning_rate=number / 10, **about, **ends)  # type: ignore[arg-type]


def test_the_order_of_halving() -> None:
    """All are expected alike, so quality decides: round 1 loses d (and e, which fails), round 2 c; a beats b in 3."""
    rounds = Rounds(TABLE)
    known, why = successive_halving("abcde", dict.fromkeys("abcde", 0.5), rounds)
    assert rounds.seen == [["a", "b", "c", "d", "e"], ["b", "c"]]
    assert why is Stop.DECIDED
    assert {model: one.rounds for model, one in known.items()} == {"a": 1, "b": 2, "c": 2, "d": 1, "e": 1}
    assert known["e"].reason == "it diverged"


def test_the_score_has_half_a_say() -> None:
    """By quality b > c > a > d; expected a first and d second: shares add up to a 4/3, b 4/3, c 2/3, d 2/3."""
    rounds = Rounds(TABLE)
    successive_halving("abcd", {"a": 0.9, "d": 0.8, "b": 0.7, "c": 0.1}, rounds)
    assert rounds.seen[1] == ["b", "a"]  # of equal sums the better quality goes first


def test_epochs_seconds_and_rates_are_carried_on() -> None:
    rounds = Rounds(TABLE)
    known, _ = successive_halving("abc", dict.fromkeys("abc", 0.5), rounds)
    assert rounds.seen == [["a", "b", "c"], ["b", "c"]]
    assert (known["b"].epochs, known["b"].seconds, known["b"].quality) == (2 + 4, 2.0, 0.75)
    assert rounds.rates == [{}, {"b": 0.1, "c": 0.1}]


def test_it_stops_when_the_first_is_clear() -> None:
    rounds = Rounds(TABLE, reach=0.01)
    known, why = successive_halving("abc", dict.fromkeys("abc", 0.5), rounds)
    assert (why, len(rounds.seen)) == (Stop.CLEAR, 1)
    assert known["b"].rounds == 1


def test_a_round_that_was_cut_short_does_not_count() -> None:
    rounds = Rounds(TABLE, last=1)
    known, why = successive_halving("abcd", dict.fromkeys("abcd", 0.5), rounds)
    assert why is Stop.BUDGET
    assert {one.rounds for one in known.values()} == {1}
    assert successive_halving("ab", {"a": 1.0, "b": 0.0}, Rounds(TABLE, last=0)) == ({}, Stop.BUDGET)


def test_nothing_could_be_trained() -> None:
    known, why = successive_halving("e", {"e": 0.5}, Rounds(TABLE))
    assert (why, known["e"].quality) == (Stop.FAILED, None)


def test_clear_needs_intervals() -> None:
    first, other = (Refined(metric="dice", quality=one) for one in (0.9, 0.1))
    assert not is_clear(first, [other])
    with_ends = [Refined(metric="dice", quality=q, low=q - 0.1, high=q + 0.1) for q in (0.9, 0.1)]
    assert is_clear(with_ends[0], with_ends[1:])
    assert not is_clear(with_ends[1], with_ends[:1])
    assert not is_clear(with_ends[0], [*with_ends[1:], other])


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=9))
def test_half_goes_on_and_it_ends(qualities: list[float]) -> None:
    table = {f"m{place}": [quality] * 9 for place, quality in enumerate(qualities)}
    rounds = Rounds(table, reach=2.0)
    known, why = successive_halving(list(table), dict.fromkeys(table, 0.5), rounds)
    assert why is Stop.DECIDED
    assert [len(seen) for seen in rounds.seen[1:]] == [(len(seen) + 1) // 2 for seen in rounds.seen[:-1]]
    last = [
        quality
        for model, one in known.items()
        if one.rounds == len(rounds.seen) and (quality := one.quality) is not None
    ]
    assert max(last) == pytest.approx(max(qualities))
