"""The joint ranking of score, history and training: its rule, its bands, and that records keep it."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acrank.errors import TableError
from acrank.ranking.joining import merge
from acrank.records import JOINT, Prior, Ranking, Refined, Row, Value
from acrank.records.joint import expectations, joined, shares_of
from acrank.settings import Settings

SETTINGS = Settings(scores=("knn",), rank_by="knn").for_task("classification")


def row(model: str, score: float | None, prior: Prior | None = None, refined: Refined | None = None) -> Row:
    value = Value(score) if score is None else Value(score, low=score - 0.05, high=score + 0.05)
    return Row(model, "scored", scores={"knn": value}, prior=prior, refined=refined)


def ranking(rows: list[Row]) -> Ranking:
    return Ranking.of(rows, rank_by="knn", higher_is_better={"knn": True}, settings=SETTINGS.record())


def trained(quality: float | None, rounds: int = 1, *, reach: float = 0.01) -> Refined:
    if quality is None:
        return Refined(metric="dice", quality=None, rounds=rounds, reason="it diverged")
    return Refined(metric="dice", quality=quality, low=quality - reach, high=quality + reach, rounds=rounds)


def order(found: Ranking) -> list[str]:
    return [one.model for one in found.rows]


priors = st.none() | st.builds(Prior, value=st.floats(0, 1), targets=st.integers(1, 20))
trainings = st.none() | st.builds(trained, st.none() | st.floats(0, 1), st.integers(1, 3))
tables = st.lists(st.tuples(st.integers(0, 5).map(float), priors, trainings), min_size=2, max_size=6).map(
    lambda found: [row(f"m{place}", *one) for place, one in enumerate(found)]
)


@given(tables)
def test_the_rule(rows: list[Row]) -> None:
    """Against the rule as it is written down, by comparing pairs."""

    def beats(one: Row, other: Row) -> float:
        a, b = one.scores["knn"].value or 0.0, other.scores["knn"].value or 0.0
        return (a > b) + (a == b) / 2

    def share(one: Row) -> Fraction:
        return sum(Fraction(beats(one, other)) for other in rows if other is not one) / (len(rows) - 1)

    def weight(one: Row) -> Fraction:
        return Fraction(one.prior.targets, one.prior.targets + 2) if one.prior else Fraction(0)

    def mean(one: Row, offset: Fraction) -> Fraction:
        value = Fraction(one.prior.value) if one.prior else Fraction(0)
        return (share(one) + weight(one) * (value - offset)) / (1 + weight(one))

    # the sum of what is expected falls as the offset rises: the one that keeps the sum of the shares, by two points
    known = [one for one in rows if one.prior]
    sums = [sum(mean(one, Fraction(offset)) - share(one) for one in known) for offset in (0, 1)]
    offset = sums[0] / (sums[0] - sums[1]) if known else Fraction(0)

    def expected(one: Row) -> float:
        return round(float(mean(one, offset)), 12)

    def key(one: Row) -> tuple[float, ...]:
        if one.refined is None:
            return (1, 0, expected(one), 0)
        if one.refined.quality is None:
            return (0, 0, expected(one), 0)
        peers = [
            (expected(other), other.refined.quality)
            for other in rows
            if other.refined and other.refined.quality is not None and other.refined.rounds == one.refined.rounds
        ]
        mine = (expected(one), one.refined.quality)
        both = [
            sum((x < y) + (x == y) / 2 for x, y in zip([p[side] for p in peers], itertools.repeat(mine[side]))) - 0.5
            for side in (0, 1)
        ]
        return (2, one.refined.rounds, sum(both), one.refined.quality)

    found = joined(ranking(rows))
    if all(one.prior is None and one.refined is None for one in rows):
        assert found.rank_by == "knn"
        return
    keys = {one.model: key(one) for one in rows}
    for one in found.rows:
        ahead = [other for name, other in keys.items() if name != one.model]
        beaten = sum((keys[one.model] > other) + (keys[one.model] == other) / 2 for other in ahead)
        assert one.scores[JOINT].value == pytest.approx(beaten / len(ahead))
    assert [keys[one.model] for one in found.rows] == sorted(keys.values(), reverse=True)


@given(tables, st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[Row], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert joined(ranking(rows)) == joined(ranking(shuffled))


@given(tables, st.integers(0, 5), st.floats(0, 1))
def test_a_better_prior_or_quality_never_costs_a_place(rows: list[Row], which: int, better: float) -> None:
    one = rows[which % len(rows)]
    before = joined(ranking(rows))
    if one.prior is not None:
        one.prior = dataclasses.replace(one.prior, value=max(one.prior.value, better))
    if one.refined is not None and one.refined.quality is not None:
        one.refined = dataclasses.replace(one.refined, quality=max(one.refined.quality, better))
    after = joined(ranking(rows))
    assert order(after).index(one.model) <= order(before).index(one.model) or before.rank_by == "knn"


@given(tables, st.floats(-1, 1))
def test_without_history_a_candidate_is_neither_favoured_nor_punished(rows: list[Row], other: float) -> None:
    """It keeps its share, and those that have a history keep the sum of theirs, whatever that history says."""
    shares = shares_of(rows, "knn", higher_is_better=True)
    found = expectations(shares, {one.model: one.prior for one in rows})
    known = [one.model for one in rows if one.prior]
    assert {model: found[model] for model in found if model not in known} == {
        model: pytest.approx(shares[model], abs=1e-12) for model in found if model not in known
    }
    assert sum(found[model] for model in known) == pytest.approx(sum(shares[model] for model in known))
    # that all of them were finetuned among stronger or weaker rivals changes nothing
    moved = {
        one.model: None if one.prior is None else dataclasses.replace(one.prior, value=one.prior.value + other)
        for one in rows
    }
    assert expectations(shares, moved) == pytest.approx(found, abs=1e-9)


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=2, max_size=6, unique=True), st.floats(0, 1))
def test_the_history_of_one_candidate_alone_changes_no_place(values: list[float], prior: float) -> None:
    rows = [row(f"m{place}", value) for place, value in enumerate(values)]
    before = order(joined(ranking(rows)))
    rows[0].prior = Prior(value=prior, targets=10)
    assert order(joined(ranking(rows))) == before


@given(tables)
@settings(max_examples=30)
def test_it_is_done_once(rows: list[Row]) -> None:
    once = joined(ranking(rows))
    assert joined(once) == once


def test_nothing_known_changes_nothing() -> None:
    plain = ranking([row("a", 1.0), row("b", 2.0)])
    assert joined(plain) is plain
    known = joined(ranking([row("a", 1.0, Prior(value=1.0, targets=2)), row("b", 2.0)]))
    known.rows = [dataclasses.replace(one, prior=None) for one in known.rows]
    assert joined(known) == plain


def test_bands_come_from_trainings_where_both_were_trained() -> None:
    rows = [
        row("a", 0.90, refined=trained(0.80, 2)),
        row("b", 0.91, refined=trained(0.79, 2)),
        row("c", 0.92, refined=trained(0.70, 1)),
        row("d", 0.89),
        row("e", 0.10),
    ]
    found = joined(ranking(rows))
    assert order(found) == ["a", "b", "c", "d", "e"]
    assert [one.band for one in found.rows] == [1, 1, 2, 2, 3]  # c is clear of a; d is within c's interval of the score


def test_one_that_is_better_by_its_interval_is_in_the_band_of_what_stands_before_it() -> None:
    """Earlier targets may put one first that the sample has below another: that is no proof against the other."""
    rows = [row("a", 0.90, Prior(value=1.0, targets=9)), row("b", 0.95, Prior(value=0.0, targets=9)), row("c", 0.1)]
    rows[0].scores["knn"], rows[1].scores["knn"] = Value(0.8, low=0.79, high=0.81), Value(0.95, low=0.94, high=0.96)
    found = joined(ranking(rows))
    assert [(one.model, one.band) for one in found.rows] == [("a", 1), ("b", 1), ("c", 2)]
    lower = Ranking.of(
        [dataclasses.replace(one, scores={"knn": turned(one)}) for one in found.rows],
        rank_by="knn",
        higher_is_better={"knn": False},
        settings=SETTINGS.record(),
    )
    assert [(one.model, one.band) for one in joined(lower).rows] == [("a", 1), ("b", 1), ("c", 2)]


def turned(one: Row) -> Value:
    value = one.scores["knn"]
    return Value(-(value.value or 0.0), low=-(value.high or 0.0), high=-(value.low or 0.0))


@given(tables)
def test_a_record_keeps_ranks_and_bands(rows: list[Row]) -> None:
    found = joined(ranking(rows))
    record = found.to_record()
    for one in record["rows"]:
        one["rank"] = one["band"] = 1
    record["rows"].reverse()
    assert Ranking.from_record(record) == found


@given(tables)
def test_a_forged_joint_value_is_worked_out_again(rows: list[Row]) -> None:
    found = joined(ranking(rows))
    record = found.to_record()
    for one in record["rows"]:
        one["scores"]["joint"] = {"value": float(one["rank"]), "note": "forged"}  # turns the order
    record["higher_is_better"]["joint"] = False
    assert Ranking.from_record(record) == found


@pytest.mark.parametrize(
    "prior", [{"value": 1.5, "targets": 3}, {"value": -1, "targets": 3}, {"value": 0.5, "targets": 0}]
)
def test_a_prior_out_of_range_is_refused(prior: dict[str, float]) -> None:
    record = joined(ranking([row("a", 1.0, Prior(value=1.0, targets=2)), row("b", 2.0)])).to_record()
    record["rows"][0]["prior"] = prior
    with pytest.raises(TableError, match=r"rows\.0\.prior: .* is out of range"):
        Ranking.from_record(record)


def test_a_record_must_say_what_the_score_was(tmp_path: Path) -> None:
    found = joined(ranking([row("a", 1.0, Prior(value=1.0, targets=2)), row("b", 2.0)]))
    record = found.to_record()
    del record["settings"]["rank_by"]
    with pytest.raises(Exception, match="no direction for"):
        Ranking.from_record(record)


def test_merging_joins_anew() -> None:
    rows = [row("a", 1.0, Prior(value=1.0, targets=6)), row("b", 2.0), row("c", 3.0, Prior(value=0.1, targets=6))]
    whole = joined(ranking(rows))
    parts = [joined(ranking(part)) for part in (rows[:2], rows[1:])]
    merged = merge({"one": parts[0], "other": parts[1]})
    assert [(one.model, one.rank, one.scores[JOINT]) for one in merged.rows] == [
        (one.model, one.rank, one.scores[JOINT]) for one in whole.rows
    ]
    assert merged.settings["rank_by"] == "knn"


def test_merging_keeps_the_row_that_was_trained() -> None:
    plain, more = ranking([row("a", 1.0), row("b", 2.0)]), joined(ranking([row("a", 1.0, refined=trained(0.5))]))
    for parts in ({"one": plain, "other": more}, {"other": more, "one": plain}):
        assert order(merge(parts)) == ["a", "b"]
