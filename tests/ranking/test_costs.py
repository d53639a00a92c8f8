"""The seconds of a row are what scoring it costs, also where the cache gave it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from helpers.workbench import make_images, make_zoo

import acrank
from acrank.cache import ObservationCache
from acrank.errors import GatesError
from acrank.gates import check_ranking, parse_gates
from acrank.ranking.costs import with_both_costs, without_twins
from acrank.ranking.racing import after_round
from acrank.records import Details, Ranking, Row, Value, ZeroPoint
from acrank.report.chart_data import candidate_rows
from acrank.settings import Settings


@pytest.fixture
def scored(tmp_path: Path) -> Any:
    """Scores two candidates, by default with one cache."""
    zoo, target = make_zoo(tmp_path / "zoo"), make_images(tmp_path / "target")

    def call(**more: Any) -> dict[str, Row]:
        settings = Settings(**{"samples": 18, "allow_code": True, "race": False, **more})
        cache = ObservationCache(tmp_path / "cache").open()
        return {row.model: row for row in acrank.score(zoo, target, settings, cache=cache).rows}

    return call


def test_a_cached_row_has_the_seconds_of_the_first_run(scored: Any) -> None:
    first, again = scored(), scored()
    for model, row in again.items():
        assert row.details.cached
        assert row.details.took == first[model].details.took
        assert row.seconds == first[model].seconds
        assert row.seconds == pytest.approx(sum(row.details.took.values()), abs=1e-3)
    assert {part.split()[0] for part in again["net0"].details.took} >= {"load", "draw", "scores"}


def test_other_draws_and_scores_add_their_own(scored: Any) -> None:
    scored(scores=("knn",))
    more = scored(scores=("knn", "ac_corr"), repeats=2)
    again = scored(scores=("knn", "ac_corr"), repeats=2)
    for model, row in again.items():
        assert row.details.cached
        assert not more[model].details.cached
        assert {part for part in row.details.took if part.startswith("draw")} == {"draw 0", "draw 1"}
        assert row.seconds > 0
        draws = ("draw 0", "draw 1")
        assert [row.details.took[name] for name in draws] == [more[model].details.took[name] for name in draws]


def test_twins_and_rounds_of_a_race_cost_the_same_again(scored: Any) -> None:
    words = {"scores": ("logme",), "repeats": 2, "race": True, "untrained": 1}
    first, again = scored(**words), scored(**words)
    for model, row in again.items():
        assert row.details.took.keys() == first[model].details.took.keys()
        assert "untrained 0" in row.details.took
        assert row.details.took["draw 0"] == first[model].details.took["draw 0"]


def old(seconds: float = 0.01, *, cached: bool = True) -> Row:
    """A row as an earlier version wrote it."""
    return Row("old", "scored", scores={"s": Value(1.0)}, seconds=seconds, details=Details(cached=cached))


def new(**took: float) -> Row:
    parts = {name.replace("_", " "): seconds for name, seconds in took.items()}
    details = Details(cached=True, took=parts)
    return Row("new", "scored", scores={"s": Value(2.0)}, seconds=sum(took.values()), details=details)


def test_a_time_of_reading_an_earlier_cache_is_no_cost() -> None:
    both = Ranking.of([old(), new(load_0=2.0, draw_0=1.0)], rank_by="s", higher_is_better={"s": True})
    assert [row.cost for row in both.rows] == [3.0, None]
    assert old(4.0, cached=False).cost == 4.0
    (result,) = check_ranking(both, parse_gates({"max_seconds": 3})).results
    assert (result.observed, result.passed) == (3.0, True)
    assert [row.get("t") for row in candidate_rows(both, {})] == [3.0, None]
    assert [row[both.columns().index("seconds")] for row in both.cells()] == [3.0, None]
    alone = Ranking.of([old()], rank_by="s", higher_is_better={"s": True})
    with pytest.raises(GatesError, match="no candidate of the run has a time") as caught:
        check_ranking(alone, parse_gates({"max_seconds": 3}))
    assert "earlier version took from its cache" in (caught.value.hint or "")


def test_rounds_are_added_and_what_both_have_counts_once() -> None:
    one, two = new(load_0=2.0, draw_0=1.0, drift=0.5), new(load_1=2.0, draw_1=1.0, drift=0.5)
    assert with_both_costs(two, one, two).seconds == 6.5
    assert with_both_costs(two, old(), two).cost is None
    assert with_both_costs(two, old(4.0, cached=False), two).seconds == 7.5
    failed = Row("new", "skipped", reason="gone", seconds=0.25)
    assert after_round(one, failed).seconds == 3.75


def test_a_zero_point_that_is_dropped_costs_nothing() -> None:
    row = new(load_0=2.0, untrained_0=1.0)
    row.untrained = ZeroPoint.of("s", [1.0])
    dropped = without_twins(row)
    assert (dropped.seconds, dropped.untrained) == (2.0, None)
    assert without_twins(dataclasses.replace(old(), untrained=row.untrained)).seconds == 0.01
