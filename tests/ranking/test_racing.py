"""Racing over draws: who goes on, intervals where numbers of draws differ, and what later rounds leave in a record."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.faulty_zoo import comparable
from helpers.workbench import Outcome, entry, make_images, make_zoo, network, write_zoo
from hypothesis import given
from hypothesis import strategies as st

import acrank as package
from acrank.cache import ObservationCache
from acrank.ranking.racing import (
    FIRST,
    as_of_draws,
    can_race,
    contested,
    settings_of_the_race,
    with_own_intervals,
    with_pooled_intervals,
)
from acrank.ranking.values import value_of
from acrank.records import Details, Ranking, Row
from acrank.scores.evaluate import Evaluation
from acrank.settings import Settings

Command = Callable[..., Outcome]
KNN = Settings(scores=["knn"]).for_task("classification")


def row(model: str, *values: float, name: str = "knn") -> Row:
    """A scored row with one value for each of its draws."""
    value = value_of([Evaluation(one) for one in values])
    details = Details(draws=len(values), values={name: list(values)})
    return Row(model, "scored", scores={name: value}, details=details)


# --- who goes on ------------------------------------------------------------------------------------------------------


def test_after_one_draw_the_first_three_go_on() -> None:
    rows = [row(f"m{place}", place / 10) for place in range(9)]
    assert contested(rows, KNN) == {"m6", "m7", "m8"}
    assert FIRST == 3
    lower = Settings(scores=["ac_corr"]).for_task("classification")
    assert contested([row(f"m{i}", i / 10, name="ac_corr") for i in range(9)], lower) == {"m0", "m1", "m2"}


def test_a_leader_that_is_clear_ends_the_race() -> None:
    rows = [row("a", 0.90, 0.91), row("b", 0.50, 0.51), row("c", 0.3)]
    assert contested(rows, KNN) == set()


def test_those_that_overlap_the_leader_go_on_and_no_others() -> None:
    rows = [row("a", 0.90, 0.92), row("b", 0.87, 0.89), row("c", 0.2, 0.21), row("late", 0.88), row("far", 0.1)]
    assert contested(rows, KNN) == {"a", "b", "late"}


def test_candidates_without_a_value_do_not_race() -> None:
    skipped = Row("gone", "skipped", reason="no such file")
    undefined = Row("none", "scored", scores={"knn": value_of([Evaluation(None)])}, details=Details(draws=1))
    rows = [row("a", 0.9), row("b", math.nan), undefined, skipped]
    assert contested(rows, KNN) == set()
    assert contested([*rows, row("c", 0.1)], KNN) == {"a", "c"}


@pytest.mark.parametrize(
    "settings", [Settings(rank_by="consensus"), Settings(rank_by="ncti"), Settings(scores=["etran"], rank_by="etran")]
)
def test_where_the_ranking_score_is_of_the_pool_there_is_no_race(settings: Settings) -> None:
    assert not can_race(settings.for_task("classification"))
    assert can_race(KNN)


# --- intervals where numbers of draws differ --------------------------------------------------------------------------


def test_pooled_intervals_by_hand() -> None:
    rows = [row("three", 1.0, 2.0, 3.0), row("two", 5.0, 7.0), row("one", 4.0)]
    found = {one.model: one.scores["knn"] for one in with_pooled_intervals(rows, ["knn"])}
    # squares of three: 1 + 0 + 1 with 2 degrees of freedom; of two: 1 + 1 with 1; t(0.975, 3) = 3.18245
    deviation = math.sqrt((2 + 2) / 3)
    for name, mean, draws in (("three", 2.0, 3), ("two", 6.0, 2), ("one", 4.0, 1)):
        reach = 3.182446305284263 * deviation / math.sqrt(draws)
        assert found[name].interval == pytest.approx((mean - reach, mean + reach), rel=1e-9)
    assert (found["three"].sd, found["two"].sd, found["one"].sd) == (1.0, pytest.approx(math.sqrt(2)), None)


def test_the_intervals_before_pooling_come_back_for_a_resumed_run() -> None:
    rows = [row("three", 1.0, 2.0, 3.0), row("two", 5.0, 7.0), row("one", 4.0), Row("gone", "skipped")]
    assert with_own_intervals(with_pooled_intervals(rows, ["knn"])) == rows


def test_equal_numbers_of_draws_keep_their_own_intervals() -> None:
    rows = [row("a", 1.0, 1.1), row("b", 5.0, 7.0), Row("gone", "skipped")]
    assert with_pooled_intervals(rows, ["knn"]) == rows
    single = [row("a", 1.0), row("b", 2.0)]
    assert with_pooled_intervals(single, ["knn"]) == single


def test_rows_without_the_score_stay_as_they_are() -> None:
    undefined = Row("u", "scored", scores={"knn": value_of([Evaluation(None)])}, details=Details(draws=1))
    skipped = Row("gone", "skipped")
    found = with_pooled_intervals([row("a", 1.0, 2.0), row("b", 1.5), undefined, skipped], ["knn", "logme"])
    assert found[2:] == [undefined, skipped]
    assert found[1].scores["knn"].low is not None


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a zoo of seven and a target."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)  # another test's folder
    make_zoo(tmp_path / "zoo", 7)
    make_images(tmp_path / "target")
    return tmp_path


def words(*more: object) -> list[object]:
    base = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18]
    return [*base, *([] if "--scores" in more else ["--scores", "logme"]), "--no-cache", *more]


def draws_of(path: str | Path = "run.json") -> dict[str, int | None]:
    return {row.model: row.details.draws for row in Ranking.load(Path(path)).rows}


def test_a_default_run_spends_later_draws_on_the_first_alone(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--repeats", 2))
    assert done.code == 0, done.err
    record = Ranking.load(Path("run.json"))
    assert acrank(*words("--repeats", 1, "-o", "once.json")).code == 0
    first = [row.model for row in Ranking.load(Path("once.json")).rows]  # best first
    assert draws_of() == {model: 2 if place < FIRST else 1 for place, model in enumerate(first)}
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


def test_a_race_under_another_ranking_score_takes_its_draws_anew(acrank: Command, folder: Path) -> None:
    scores = ["--scores", "logme,knn", "--repeats", 2, "-o", "run.json"]
    assert acrank(*words(*scores, "--rank-by", "logme")).code == 0
    assert acrank(*words(*scores, "--rank-by", "knn", "--resume")).code == 0
    assert acrank(*words(*scores[:4], "-o", "fresh.json", "--rank-by", "knn")).code == 0
    rows = [{one.model: one for one in Ranking.load(Path(path)).rows} for path in ("run.json", "fresh.json")]
    assert any(one.details.values.get("logme") for one in rows[0].values())
    for model, one in rows[1].items():
        assert (rows[0][model].scores["knn"].value, rows[0][model].rank) == (one.scores["knn"].value, one.rank)


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
    assert draws_of() == {f"net{i}": 2 for i in range(7)}


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
        if len(ranking.rows) == 7:
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


@given(st.integers(0, 2**32), st.integers(2, 7))
def test_a_race_that_goes_on_decides_as_before(seed: int, count: int) -> None:
    """A resumed run that was complete gives no further draw, and one that was not ends as if it had not stopped."""
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(size=(count, 1)), rng.uniform(0.1, 2), size=(count, 4))

    def raced(counts: list[int], upto: int) -> list[int]:
        counts, decided = list(counts), dict[str, int]()
        for draws in range(2, upto + 1):
            rows = [row(f"m{place}", *values[place, :have]) for place, have in enumerate(counts)]
            again = contested(as_of_draws(rows, "knn", decided), KNN)
            decided |= dict.fromkeys(again, draws)
            counts = [max(have, decided.get(f"m{place}", 1)) for place, have in enumerate(counts)]
        return counts

    whole = raced([1] * count, 4)
    assert raced(whole, 4) == whole
    for stopped in (2, 3):
        assert raced(raced([1] * count, stopped), 4) == whole


def test_resume_gives_the_rest_of_the_draws_without_racing(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--repeats", 2, "-o", "run.json")).code == 0
    assert sorted(set(draws_of().values()), key=str) == [1, 2]
    assert acrank(*words("--repeats", 2, "-o", "run.json", "--resume", "--no-race")).code == 0
    assert set(draws_of().values()) == {2}
    assert acrank(*words("--repeats", 2, "-o", "whole.json", "--no-race")).code == 0
    rows = [{one.model: one.scores for one in Ranking.load(Path(path)).rows} for path in ("run.json", "whole.json")]
    assert rows[0] == rows[1]


def test_a_later_draw_that_fails_keeps_the_row_and_says_so(acrank: Command, folder: Path) -> None:
    torch.save(network(0).state_dict(), folder / "zoo" / "net0.pth")
    torch.save(network(1).state_dict(), folder / "zoo" / "frail.pth")
    write_zoo(folder / "zoo", entry("net0"), entry("frail", "frail", factory_args={"log": str(folder / "log")}))
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
    assert sum("failed" in note for note in frail.notes) == 1, "tried in two rounds, said once"
    assert draws_of()["net0"] == 3


def test_seconds_add_up_over_the_rounds(folder: Path) -> None:
    seen: list[tuple[int, float]] = []

    def note(ranking: Ranking, *_: Any) -> None:
        for one in ranking.rows:
            if one.model == "net0":
                seen.append((one.details.draws or 0, one.seconds or 0.0))

    write_zoo(folder / "zoo", *(entry(f"net{i}") for i in range(2)))
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
