"""Racing over draws: who goes on, intervals where numbers of draws differ, and what later rounds leave in a record."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.faulty_zoo import comparable
from helpers.workbench import Outcome, entry, make_images, make_zoo, write_zoo
from hypothesis import given
from hypothesis import strategies as st

import acrank as package
from acrank.cache import ObservationCache
from acrank.ranking.racing import (
    FIRST,
    Race,
    can_race,
    contested,
    draws_to_give,
    settings_of_the_race,
    with_own_intervals,
    with_pooled_intervals,
)
from acrank.ranking.values import limits_of, value_of
from acrank.records import Details, Ranking, Row
from acrank.scores.evaluate import Evaluation
from acrank.settings import Settings

Command = Callable[..., Outcome]
CANDIDATES = 16  # two further draws
KNN = Settings(scores=["knn"]).for_task("classification")


def row(model: str, *values: float, name: str = "knn", deviation: float | None = None) -> Row:
    """A scored row with one value for each of its draws, and the deviation that the images of each tell."""
    deviations = [deviation] * len(values)
    value = value_of([Evaluation(one) for one in values], deviations, limits=limits_of(name))
    details = Details(draws=len(values), values={name: list(values)}, deviations={name: deviations})
    return Row(model, "scored", scores={name: value}, details=details)


unbounded = partial(row, name="logme")


# --- who goes on ------------------------------------------------------------------------------------------------------


def test_after_one_draw_that_tells_no_deviation_the_first_go_on() -> None:
    rows = [row(f"m{place}", place / 10) for place in range(9)]
    assert contested(rows, KNN, 3) == {"m6", "m7", "m8"}
    lower = Settings(scores=["ac_corr"]).for_task("classification")
    assert contested([row(f"m{i}", i / 10, name="ac_corr") for i in range(9)], lower, 3) == {"m0", "m1", "m2"}


def test_a_leader_that_is_clear_ends_the_race() -> None:
    rows = [row("a", 0.90, 0.91), row("b", 0.50, 0.51), row("c", 0.3)]
    assert contested(rows, KNN, 3) == set()
    assert contested([row("a", 0.9, deviation=0.1), row("b", 0.6, deviation=0.1)], KNN, 3) == set()


def test_after_one_draw_whose_images_tell_it_those_that_overlap_go_on() -> None:
    rows = [row(f"m{place}", place / 10, deviation=0.04 * place) for place in range(9)]
    # 0.8 -/+ 1.386 * 0.32 overlaps 0.7 -/+ 1.386 * 0.28 and 0.6 -/+ 1.386 * 0.24
    assert contested(rows, KNN, 3) == {"m6", "m7", "m8"}
    close = [row("a", 0.80, deviation=0.05), row("b", 0.70, deviation=0.05), row("c", 0.65, deviation=0.05)]
    assert contested(close, KNN, 3) == {"a", "b"}, "1.386 * 0.1 lies between 0.1 and 0.15"


def test_a_race_gives_at_most_one_draw_for_eight_candidates() -> None:
    counts = [draws_to_give(count, KNN) for count in (1, 3, 8, 15, 16, 31, 32, 44, 400)]
    assert counts == [0, 0, 0, 0, 2, 3, 4, 4, 4], "of three draws two are further ones, for two candidates"
    rows = [row(f"m{place}", 0.5 + place / 1000, deviation=1.0) for place in range(24)]
    race = Race(KNN, candidates=24)
    assert race.next_round(rows) == {"m23": 2, "m22": 2}
    assert race.next_round(rows) == {}, "one of three is left, and it takes two to race"
    race = Race(KNN, candidates=7)
    assert race.next_round(rows[:7]) == {}


def test_a_score_whose_draws_tell_nothing_races_in_any_zoo() -> None:
    step = Settings(scores=["ac_corr"]).for_task("classification")
    assert [draws_to_give(count, step) for count in (1, 2, 3, 44)] == [0, 4, 6, 6]
    rows = [row(f"m{place}", place / 10, name="ac_corr") for place in range(5)]
    assert Race(step, candidates=5).next_round(rows) == {"m0": 2, "m1": 2, "m2": 2}


def test_those_that_overlap_the_leader_go_on_and_no_others() -> None:
    rows = [row("a", 0.90, 0.92), row("b", 0.87, 0.89), row("c", 0.2, 0.21), row("late", 0.88), row("far", 0.1)]
    assert contested(rows, KNN, 3) == {"a", "b", "late"}


def test_candidates_without_a_value_do_not_race() -> None:
    skipped = Row("gone", "skipped", reason="no such file")
    undefined = Row("none", "scored", scores={"knn": value_of([Evaluation(None)])}, details=Details(draws=1))
    rows = [row("a", 0.9), row("b", math.nan), undefined, skipped]
    assert contested(rows, KNN, 3) == set()
    assert contested([*rows, row("c", 0.1)], KNN, 3) == {"a", "c"}


@pytest.mark.parametrize(
    "settings", [Settings(rank_by="consensus"), Settings(rank_by="ncti"), Settings(scores=["etran"], rank_by="etran")]
)
def test_where_the_ranking_score_is_of_the_pool_there_is_no_race(settings: Settings) -> None:
    assert not can_race(settings.for_task("classification"))
    assert can_race(KNN)


# --- intervals where numbers of draws differ --------------------------------------------------------------------------


def test_pooled_intervals_by_hand() -> None:
    rows = [unbounded("three", 1.0, 2.0, 3.0), unbounded("two", 5.0, 7.0), unbounded("one", 4.0)]
    found = {one.model: one.scores["logme"] for one in with_pooled_intervals(rows, ["logme"])}
    # squares of three: 1 + 0 + 1 with 2 degrees of freedom; of two: 1 + 1 with 1; t(0.975, 3) = 3.18245, over sqrt(2)
    deviation = math.sqrt((2 + 2) / 3)
    for name, mean, draws in (("three", 2.0, 3), ("two", 6.0, 2), ("one", 4.0, 1)):
        reach = 3.182446305284263 * deviation / math.sqrt(2 * draws)
        assert found[name].interval == pytest.approx((mean - reach, mean + reach), rel=1e-9)
    assert (found["three"].sd, found["two"].sd, found["one"].sd) == (1.0, pytest.approx(math.sqrt(2)), None)


def test_a_deviation_of_its_own_makes_the_interval_of_a_row() -> None:
    rows = [
        unbounded("one", 4.0, deviation=0.5),
        unbounded("three", 1.0, 2.0, 3.0, deviation=0.3),
        unbounded("two", 5.0, 7.0),
    ]
    found = {one.model: one.scores["logme"] for one in with_pooled_intervals(rows, ["logme"])}
    for name, reach in (("one", 1.3859 * 0.5), ("three", 1.3859 * 0.3 / math.sqrt(3))):
        middle = found[name].value
        assert middle is not None
        assert found[name].interval == pytest.approx((middle - reach, middle + reach), rel=1e-4)
    # "two" has no estimate: its own two draws, with t(0.975, 1) = 12.7062 and a standard error of 1
    reach = 12.706204736 / math.sqrt(2)
    assert found["two"].interval == pytest.approx((6 - reach, 6 + reach), rel=1e-9)


def test_a_row_without_estimate_or_draws_takes_the_deviation_of_the_others() -> None:
    rows = [unbounded("a", 4.0, deviation=0.3), unbounded("b", 3.0, deviation=0.4), unbounded("c", 2.0)]
    found = {one.model: one.scores["logme"] for one in with_pooled_intervals(rows, ["logme"])}
    reach = 1.385903824 * math.sqrt((0.09 + 0.16) / 2)
    assert found["c"].interval == pytest.approx((2 - reach, 2 + reach), rel=1e-9)
    assert found["a"] == rows[0].scores["logme"]
    assert with_own_intervals(with_pooled_intervals(rows, ["logme"])) == rows


def test_intervals_keep_to_the_range_of_the_score() -> None:
    rows = [row("one", 0.9, deviation=0.5), row("two", 0.1, 0.3), row("three", 0.2)]
    found = [one.scores["knn"].interval for one in with_pooled_intervals(rows, ["knn"])]
    assert [interval[0] for interval in found[1:]] == [0.0, 0.0]
    assert found[0] == (pytest.approx(0.9 - 1.385903824 * 0.5), 1.0)


def test_the_intervals_before_pooling_come_back_for_a_resumed_run() -> None:
    rows = [
        unbounded("three", 1.0, 2.0, 3.0),
        unbounded("two", 5.0, 7.0),
        unbounded("one", 4.0),
        Row("gone", "skipped"),
    ]
    assert with_own_intervals(with_pooled_intervals(rows, ["logme"])) == rows


def test_equal_numbers_of_draws_keep_their_own_intervals() -> None:
    rows = [unbounded("a", 1.0, 1.1), unbounded("b", 5.0, 7.0), Row("gone", "skipped")]
    assert with_pooled_intervals(rows, ["logme"]) == rows
    single = [unbounded("a", 1.0), unbounded("b", 2.0)]
    assert with_pooled_intervals(single, ["logme"]) == single


def test_rows_without_the_score_stay_as_they_are() -> None:
    undefined = Row("u", "scored", scores={"logme": value_of([Evaluation(None)])}, details=Details(draws=1))
    skipped = Row("gone", "skipped")
    found = with_pooled_intervals([unbounded("a", 1.0, 2.0), unbounded("b", 1.5), undefined, skipped], ["logme", "knn"])
    assert found[2:] == [undefined, skipped]
    assert found[1].scores["logme"].low is not None


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a zoo of sixteen and a target."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)  # another test's folder
    make_zoo(tmp_path / "zoo", CANDIDATES)
    make_images(tmp_path / "target")
    return tmp_path


def words(*more: object) -> list[object]:
    base = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18]
    return [*base, *([] if "--scores" in more else ["--scores", "logme"]), "--no-cache", *more]


def draws_of(path: str | Path = "run.json") -> dict[str, int | None]:
    return {row.model: row.details.draws for row in Ranking.load(Path(path)).rows}


def leader_of_one_draw(acrank: Command) -> str:
    """The first candidate when each has one draw: it races, when there is one."""
    assert acrank(*words("--repeats", 1, "-o", "one.json")).code == 0
    return Ranking.load(Path("one.json")).rows[0].model


def test_a_default_run_spends_later_draws_on_the_first_alone(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--repeats", 2))
    assert done.code == 0, done.err
    record = Ranking.load(Path("run.json"))
    assert acrank(*words("--repeats", 1, "-o", "once.json")).code == 0
    first = Ranking.load(Path("once.json")).rows  # best first
    leader = first[0].scores["logme"]
    again = {row.model for row in first[:FIRST] if leader.overlaps(row.scores["logme"])}
    assert len(again) > 1
    assert draws_of() == {row.model: 2 if row.model in again else 1 for row in first}
    assert all(row.scores["logme"].low is not None for row in record.rows)
    assert len(record.target["draws"]) == 2


def test_without_racing_all_get_all_draws_and_those_that_raced_have_equal_values(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--repeats", 2, "-o", "raced.json")).code == 0
    assert acrank(*words("--repeats", 2, "--no-race", "-o", "whole.json")).code == 0
    assert set(draws_of("whole.json").values()) == {2}
    raced, whole = ({row.model: row for row in Ranking.load(Path(name)).rows} for name in ("raced.json", "whole.json"))
    both = [model for model, draws in draws_of("raced.json").items() if draws == 2]
    assert len(both) == FIRST
    for model in both:
        one, other = raced[model].scores["logme"], whole[model].scores["logme"]
        assert (one.value, one.sd) == (other.value, other.sd)


def test_later_draws_are_of_the_ranking_score_alone_with_equal_values(acrank: Command, folder: Path) -> None:
    scores = ["--scores", "finetunability,ac_corr,knn"]
    assert acrank(*words("--repeats", 2, "-o", "raced.json", *scores)).code == 0
    assert acrank(*words("--repeats", 2, "--no-race", "-o", "whole.json", *scores)).code == 0
    assert acrank(*words("--repeats", 1, "-o", "once.json", *scores)).code == 0
    raced, whole, once = (
        {row.model: row for row in Ranking.load(Path(f"{name}.json")).rows} for name in ("raced", "whole", "once")
    )
    both = [row for row in raced.values() if row.details.draws == 2]
    assert len(both) == FIRST
    for row in both:
        name = row.model
        assert row.details.values == whole[name].details.values, "the step on the labels changes nothing of it"
        assert row.details.draws_of_others == row.details.draws_of("knn") == 1
        assert row.scores["finetunability"].sd == whole[name].scores["finetunability"].sd
        assert [row.scores[one] for one in ("ac_corr", "knn")] == [once[name].scores[one] for one in ("ac_corr", "knn")]
        assert row.layers == once[name].layers


def test_a_race_takes_the_ranking_score_alone_where_its_passes_stay_the_same() -> None:
    usual = Settings().for_task("classification")
    alone = settings_of_the_race(usual)
    assert alone.scores == ("finetunability",)
    assert alone.plan().head is None
    assert usual.plan().head == "ridge"
    features = Settings(rank_by="logme").for_task("classification")
    assert settings_of_the_race(features) == features, "read beside AC-Norm, they have other values than without"


@pytest.mark.parametrize("before", [["--repeats", 3], ["--repeats", 3, "--no-race"]])
@pytest.mark.parametrize("name", ["finetunability", "ac_corr"])
def test_a_race_under_another_ranking_score_takes_its_draws_anew(
    acrank: Command, folder: Path, name: str, before: list[object]
) -> None:
    scores = ["--scores", f"logme,{name}", "--repeats", 3, "-o", "run.json"]
    assert acrank(*words(*scores, *before, "--rank-by", "logme")).code == 0
    done = acrank(*words(*scores, "--rank-by", name, "--resume", "--race"))
    assert done.code == 0, done.err
    assert acrank(*words(*scores[:4], "-o", "fresh.json", "--rank-by", name)).code == 0
    rows = [{one.model: one for one in Ranking.load(Path(path)).rows} for path in ("run.json", "fresh.json")]
    for model, one in rows[1].items():
        found = rows[0][model]
        if "--no-race" not in before or name == "finetunability":  # that is scored anew, for its deviation
            assert (found.scores[name].value, found.rank) == (one.scores[name].value, one.rank)
            assert found.details.draws_of(name) == one.details.draws_of(name)
            assert found.band == one.band


def test_workers_race_as_this_process_does(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--repeats", 3, "-o", "local.json")).code == 0
    assert acrank(*words("--repeats", 3, "-o", "workers.json", "--workers", 1)).code == 0
    assert comparable(Path("workers.json")) == comparable(Path("local.json"))
    assert len(set(draws_of("local.json").values())) > 1


def test_shards_do_not_race_so_that_they_merge(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--repeats", 2, "-o", "part.json", "--shard", "1/1")).code == 0
    assert set(draws_of("part.json").values()) == {2}


@pytest.mark.parametrize(
    "more", [["--scores", "logme,knn", "--rank-by", "consensus"], ["--scores", "ncti,knn", "--rank-by", "ncti"]]
)
def test_pool_relative_rankings_give_all_draws_to_all(acrank: Command, folder: Path, more: list[str]) -> None:
    assert acrank(*words("--repeats", 2, *more)).code == 0
    assert draws_of() == {f"net{i}": 2 for i in range(CANDIDATES)}


def test_a_race_of_one_candidate_is_one_draw(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--model", "net0", "--repeats", 3)).code == 0
    assert draws_of() == {"net0": 1}


def test_resume_goes_on_with_rows_of_fewer_draws(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--repeats", 2, "-o", "whole.json")).code == 0
    calls: list[int] = []
    partial: list[Ranking] = []

    class StopError(Exception):
        """Ends a run after its first round."""

    def stop(ranking: Ranking, *place: Any) -> None:
        partial[:] = [ranking]
        calls.append(len(ranking.rows))
        if len(ranking.rows) == CANDIDATES:
            raise StopError

    settings = Settings(scores=["logme"], samples=18, repeats=2, allow_code=True)
    with pytest.raises(StopError):
        package.score("zoo/zoo.yaml", "target", settings, on_row=stop)
    assert {row.details.draws for row in partial[0].rows} == {1}
    partial[0].save(Path("run.json"))
    done = acrank(*words("--repeats", 2, "-o", "run.json", "--resume"))
    assert done.code == 0, done.err
    assert comparable(Path("run.json")) == comparable(Path("whole.json"))
    before = Path("run.json").read_text()
    assert acrank(*words("--repeats", 2, "-o", "run.json", "--resume")).code == 0
    assert Path("run.json").read_text() == before  # nothing was left to do


@given(st.integers(0, 2**32), st.integers(2, 20), st.booleans())
def test_a_race_that_goes_on_decides_as_before(seed: int, count: int, estimated: bool) -> None:
    """A resumed run that was complete gives no further draw, and one that was not ends as if it had not stopped."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.1, 2)
    values = rng.normal(rng.normal(size=(count, 1)), spread, size=(count, 4))

    def raced(counts: dict[str, int], rounds: int) -> dict[str, int]:
        counts, race = dict(counts), Race(KNN, candidates=count)
        for _ in range(rounds):
            rows = [
                row(model, *values[place, : counts[model]], deviation=spread if estimated else None)
                for place, model in enumerate(counts)
            ]
            wanted = race.next_round(rows)
            counts |= {model: max(counts[model], draws) for model, draws in wanted.items()}
        return counts

    begun = {f"m{place}": 1 for place in range(count)}
    whole = raced(begun, 3)
    assert raced(whole, 3) == whole
    assert sum(whole.values()) - count <= count / 8
    for stopped in (1, 2):
        assert raced(raced(begun, stopped), 3) == whole


def test_resume_gives_the_rest_of_the_draws_without_racing(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--repeats", 2, "-o", "run.json")).code == 0
    assert sorted(set(draws_of().values()), key=str) == [1, 2]
    assert acrank(*words("--repeats", 2, "-o", "run.json", "--resume", "--no-race")).code == 0
    assert set(draws_of().values()) == {2}
    assert acrank(*words("--repeats", 2, "-o", "whole.json", "--no-race")).code == 0
    rows = [{one.model: one.scores for one in Ranking.load(Path(path)).rows} for path in ("run.json", "whole.json")]
    assert rows[0] == rows[1]


def test_a_later_draw_that_fails_keeps_the_row_and_says_so(acrank: Command, folder: Path) -> None:
    leader = leader_of_one_draw(acrank)
    shutil.copy(folder / "zoo" / f"{leader}.pth", folder / "zoo" / "frail.pth")
    frail_one = entry("frail", "frail", factory_args={"log": str(folder / "log")})
    write_zoo(folder / "zoo", frail_one, *(entry(f"net{i}") for i in range(CANDIDATES)))
    assert acrank(*words("--repeats", 1, "-o", "once.json")).code == 0
    (folder / "log").unlink()
    done = acrank(*words("--repeats", 3))
    assert done.code == 0, done.err
    once = {row.model: row for row in Ranking.load(Path("once.json")).rows}["frail"]
    frail = {row.model: row for row in Ranking.load(Path("run.json")).rows}["frail"]
    assert frail.status == "scored"
    assert frail.scores["logme"].value == once.scores["logme"].value
    assert frail.details.draws == 1
    assert frail.notes[-1].startswith("draw 2 failed: ")
    assert frail.notes[-1].endswith("RuntimeError: built once too often")
    assert sum("failed" in note for note in frail.notes) == 1
    assert draws_of()[leader] == 2


def test_seconds_add_up_over_the_rounds(acrank: Command, folder: Path) -> None:
    leader = leader_of_one_draw(acrank)
    seen: list[tuple[int, float]] = []

    def note(ranking: Ranking, *_: Any) -> None:
        for one in ranking.rows:
            if one.model == leader:
                seen.append((one.details.draws or 0, one.seconds or 0.0))

    settings = Settings(scores=["logme"], samples=18, repeats=3, allow_code=True)
    package.score("zoo/zoo.yaml", "target", settings, on_row=note)
    by_draws = dict(seen)
    assert by_draws[2] > by_draws[1] > 0
    assert [draws for draws, _ in seen] == sorted(draws for draws, _ in seen)


def test_a_later_round_loads_the_earlier_draws_from_the_cache(folder: Path) -> None:
    cache = ObservationCache(folder / "cache").open()
    settings = Settings(scores=["logme"], samples=18, repeats=2, allow_code=True)
    ranking = package.score("zoo/zoo.yaml", "target", settings, cache=cache)
    again = package.score("zoo/zoo.yaml", "target", settings, cache=cache)
    assert all(one.details.cached for one in again.rows)
    for one, other in zip(ranking.rows, again.rows, strict=True):
        assert dataclasses.replace(other, seconds=one.seconds, details=one.details) == one


def test_the_record_says_whether_it_raced(acrank: Command, folder: Path) -> None:
    acrank(*words("--repeats", 2, "--no-race"))
    assert json.loads(Path("run.json").read_text())["settings"]["race"] is False
