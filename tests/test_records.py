"""The run record: order, bands, views, and what comes back from disk."""

from __future__ import annotations

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from helpers.made_runs import damaged
from hypothesis import given
from hypothesis import strategies as st

from acrank.demo import make_target
from acrank.errors import OutputError, TableError
from acrank.gates import load_gates, read_changes
from acrank.ranking.joining import merge
from acrank.records import KIND, SCHEMA_VERSION, Details, Ranking, Row, Value
from acrank.records.csv_columns import EARLIER_COLUMNS, TRAINING_COLUMNS
from acrank.settings import Settings
from acrank.system.plain_data import dumps
from acrank.system.record_schema import RESERVED
from acrank.system.streams import STREAMS

OLD_RECORD = Path(__file__).parent / "data" / "run_0.2.0.json"


def scored(model: str, value: float | None, half: float | None = None, **other: Any) -> Row:
    """A row with one score `s`; `half` is half the width of its interval."""
    known = value is not None and half is not None
    interval = {"low": value - half, "high": value + half} if known else {}  # type: ignore[operator]
    return Row(model, "scored", scores={"s": Value(value, **interval)}, **other)


def ranked(*rows: Row, higher: bool = True) -> Ranking:
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": higher})


def places(ranking: Ranking) -> list[tuple[str, int | None, int | None]]:
    return [(row.model, row.rank, row.band) for row in ranking.rows]


def full() -> Ranking:
    """A ranking with something in every field."""
    value = Value(0.5, sd=0.1, low=0.4, high=0.6, no_drift=0.1, shuffled=0.2, note="n")
    row = Row(
        "a", "scored", scores={"s": value, "t": Value(None, note="one class")}, params=7, seconds=1.5, notes=["x"]
    )
    row.weights, row.layers = {"sha256": "0", "matched": 3}, [{"name": "bn1", "channels": 2, "values": [0.1, None]}]
    row.reference, row.details = {"top1": 0.7}, Details(device="cpu", cached=True, took={"draw 0": 1.5})
    about = {"settings": {"seed": 0}, "environment": {"python": "3"}, "target": {"classes": ["ä", "b"]}}
    skipped = Row("b", "skipped", reason="no such file")
    directions = {"s": True, "t": False}
    ranking = Ranking.of([skipped, row], rank_by="s", higher_is_better=directions, **about)
    ranking.controls, ranking.warnings, ranking.notes = {"width_tau": 0.3}, ["careful"], ["three files left out"]
    return ranking


# --- order ------------------------------------------------------------------------------------------------------------


def test_rows_are_ordered_by_the_score_in_its_direction() -> None:
    rows = [scored("a", 1.0), scored("b", 3.0), scored("c", 2.0)]
    assert places(ranked(*rows)) == [("b", 1, None), ("c", 2, None), ("a", 3, None)]
    assert places(ranked(*rows, higher=False)) == [("a", 1, None), ("c", 2, None), ("b", 3, None)]


@pytest.mark.parametrize("higher", [True, False])
def test_equal_values_share_a_band_and_go_by_name(higher: bool) -> None:
    rows = [scored("b", 1.0, 0.0), scored("a", 1.0, 0.0), scored("c", 1.0, 0.0)]
    assert places(ranked(*rows, higher=higher)) == [("a", 1, 1), ("b", 2, 1), ("c", 3, 1)]


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("undefined", [None, math.nan, math.inf, -math.inf])
def test_rows_without_a_value_come_after_and_skipped_ones_last(higher: bool, undefined: float | None) -> None:
    rows = [Row("a", "skipped"), scored("b", undefined), Row("c", "scored"), scored("d", 0.0)]
    assert places(ranked(*rows, higher=higher)) == [
        ("d", 1, None),
        ("b", None, None),
        ("c", None, None),
        ("a", None, None),
    ]


def test_a_skipped_row_is_never_ranked_even_with_a_value() -> None:
    row = scored("a", 9.0, rank=1, band=1)
    row.status = "skipped"
    assert places(ranked(row, scored("b", 1.0))) == [("b", 1, None), ("a", None, None)]


def test_a_band_is_what_overlaps_its_leader_not_its_neighbour() -> None:
    # d overlaps c, and c overlaps the leader, but d does not overlap the leader.
    rows = [scored("leader", 10.0, 1.0), scored("c", 8.5, 1.0), scored("d", 7.0, 1.0), scored("e", 6.0, 1.0)]
    assert places(ranked(*rows)) == [("leader", 1, 1), ("c", 2, 1), ("d", 3, 2), ("e", 4, 2)]
    mirrored = [scored(row.model, -row.scores["s"].value, 1.0) for row in rows]  # type: ignore[operator]
    assert places(ranked(*mirrored, higher=False)) == places(ranked(*rows))


def test_intervals_that_touch_overlap() -> None:
    assert places(ranked(scored("a", 1.0, 0.5), scored("b", 0.0, 0.5))) == [("a", 1, 1), ("b", 2, 1)]
    assert places(ranked(scored("a", 1.0, 0.5), scored("b", 0.0))) == [("a", 1, 1), ("b", 2, 2)]
    assert places(ranked(scored("a", 1.0, 0.5), scored("b", 0.75))) == [("a", 1, 1), ("b", 2, 1)]


@given(st.lists(st.none() | st.floats(allow_infinity=False), max_size=8), st.booleans(), st.integers())
def test_the_order_never_depends_on_the_order_of_evaluation(
    values: list[float | None], higher: bool, seed: int
) -> None:
    rows = [scored(f"m{i}", value, 0.5) for i, value in enumerate(values)]
    shuffled = random.Random(seed).sample(rows, len(rows))
    found = ranked(*shuffled, higher=higher)
    assert places(found) == places(ranked(*rows, higher=higher))
    ranks = [row.rank for row in found.rows if row.rank is not None]
    assert ranks == list(range(1, len(ranks) + 1))
    bands = [row.band for row in found.rows if row.band is not None]
    assert bands == sorted(bands)
    assert set(bands) == set(range(1, len(set(bands)) + 1))


def test_ranking_leaves_the_rows_it_was_given_alone() -> None:
    row = scored("a", 1.0)
    ranked(row)
    assert (row.rank, row.band) == (None, None)


def test_best_is_the_first_ranked_row() -> None:
    best = ranked(scored("a", 1.0), scored("b", 2.0)).best
    assert best is not None
    assert best.model == "b"
    assert ranked(scored("a", None), Row("b", "skipped")).best is None
    assert ranked().best is None


# --- views ------------------------------------------------------------------------------------------------------------


def test_columns_begin_and_end_as_documented() -> None:
    ranking = full()
    scores = ["s", "s_sd", "s_low", "s_high", "t", "t_sd"]
    assert ranking.columns() == ["rank", "band", "model", "status", *scores, "params", "seconds", "reason"]
    assert ranking.cells() == [
        [1, 1, "a", "scored", 0.5, 0.1, *full().rows[0].scores["s"].interval, None, None, 7, 1.5, ""],
        [None, None, "b", "skipped", *[None] * 8, "no such file"],
    ]


def test_the_ranking_score_is_the_first_column_even_where_nothing_has_it() -> None:
    ranking = Ranking.of([Row("a", "skipped")], rank_by="s", higher_is_better={"s": True})
    assert ranking.score_names == ["s"]
    assert ranking.cells()[0][4:6] == [None, None]


def test_frame_is_the_csv_view() -> None:
    frame = full().to_frame()
    assert list(frame.columns) == full().columns()
    assert frame.loc[0, "s"] == 0.5
    assert frame["model"].tolist() == ["a", "b"]
    assert frame["t"].isna().all()


def test_fixed_columns_are_reserved() -> None:
    fixed = [name for name in full().columns() if name not in ("s", "t", "s_sd", "t_sd", "s_low", "s_high")]
    assert {*fixed, "dataset", "family", "half", "method", "seed", "split"} <= RESERVED
    assert {"ground_truth", "ground_truth_se", *TRAINING_COLUMNS, *EARLIER_COLUMNS, "score_share"} <= RESERVED


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_a_record_comes_back_equal(tmp_path: Path) -> None:
    full().save(tmp_path / "run.json")
    assert Ranking.load(tmp_path / "run.json") == full()
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (record["kind"], record["schema_version"]) == (KIND, SCHEMA_VERSION)
    assert record == full().to_record()


def test_paths_may_be_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    full().save("run.json")
    assert Ranking.load("run.json") == full()
    assert read_changes("run.json", full()).models
    Path("gates.yaml").write_text("no_skipped: true\n")
    assert load_gates("gates.yaml").enabled() == ["no_skipped"]
    make_target("retina", n=20)
    assert len([*Path("retina").glob("*/*.png")]) == 20


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=6))
def test_values_come_back_to_the_last_bit(values: list[float]) -> None:
    ranking = ranked(*(scored(f"m{i}", value, 0.1) for i, value in enumerate(values)))
    assert Ranking.from_record(json.loads(dumps(ranking.to_record()))) == ranking


def test_what_json_lacks_becomes_null() -> None:
    record = ranked(scored("a", math.nan), Row("b", "scored", scores={"s": Value(1.0, sd=math.inf)})).to_record()
    assert record["rows"][0]["scores"]["s"]["sd"] is None
    assert record["rows"][1]["scores"]["s"]["value"] is None
    assert json.loads(dumps({"x": [math.nan, (math.inf, 1)], 3: "ü"})) == {"x": [None, [None, 1]], "3": "ü"}


def test_json_is_utf8_for_people_and_ends_its_line() -> None:
    text = dumps({"model": "日本"})
    assert "日本" in text
    assert text.endswith("}\n")


def test_saving_fails_whole(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        full().save(tmp_path / "missing" / "run.json")
    path = tmp_path / "run.json"
    full().save(path)
    broken = full()
    broken.settings["seed"] = object()
    with pytest.raises(TypeError):
        broken.save(path)
    assert Ranking.load(path) == full()


# --- what is no record ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"rank,band\n1,1\n", "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (b"[]", "is not a run record"),
        (b"null", "is not a run record"),
        (b"{}", "is not a run record"),
        (b'{"kind": "acrank-run"}', "schema version None"),
        (b'{"kind": "acrank-run", "schema_version": 99}', "schema version 99, this acrank reads 1 and 2"),
        (b'{"kind": "acrank-run", "schema_version": 1}', "is damaged"),
        (b'{"kind": "acrank-run", "schema_version": true}', "schema version True, this acrank reads 1 and 2"),
        (b'{"kind": "acrank-run", "schema_version": "2"}', "schema version '2', this acrank reads 1 and 2"),
        (b'{"kind": "acrank-run", "rows": [], "rows": [1]}', "is not JSON: 'rows' is there twice"),
    ],
)
def test_files_that_are_no_record_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(TableError, match=said) as caught:
        Ranking.load(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        Ranking.load(tmp_path / "run.json")
    with pytest.raises(TableError, match="is a folder"):
        Ranking.load(tmp_path)


def paths_of(item: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    return [before] + [path for key, child in children for path in paths_of(child, (*before, key))]


OPEN = ("settings", "environment", "target", "controls")  # free-form below their first level


@pytest.mark.parametrize("value", [..., "text", ["x"], {"x": 1}, 3, None, {"unknown": {"y": 0}}])
def test_a_damaged_record_is_refused_or_works(value: Any) -> None:
    for path in [path for path in paths_of(full().to_record()) if path and not (len(path) > 1 and path[0] in OPEN)]:
        try:
            ranking = Ranking.from_record(damaged(full().to_record(), path, value), where="run.json")
        except TableError:
            continue
        assert ranking.to_frame().shape[0] == len(ranking.rows)
        assert Ranking.from_record(json.loads(dumps(ranking.to_record()))) == ranking
        assert isinstance(ranking.best, Row | None)
        assert Ranking.of(ranking.rows, rank_by="s", higher_is_better={"s": True}).score_names[0] == "s"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("rows",), ...),
        (("rows",), "text"),
        (("rank_by",), ...),
        (("rank_by",), None),
        (("higher_is_better",), ["s"]),
        (("higher_is_better", "s"), ...),
        (("settings",), None),
        (("warnings",), "text"),
        (("unknown",), 1),
        (("rows", 0), None),
        (("rows", 0, "model"), ...),
        (("rows", 0, "model"), 3),
        (("rows", 0, "status"), "done"),
        (("rows", 0, "rank"), "first"),
        (("rows", 0, "scores"), ["s"]),
        (("rows", 0, "scores", "s"), 0.5),
        (("rows", 0, "scores", "s", "value"), "half"),
        (("rows", 0, "scores", "s", "unknown"), 1),
        (("rows", 0, "layers"), {}),
        (("rows", 0, "reference", "top1"), "high"),
        (("higher_is_better", "s"), "yes"),
        (("higher_is_better", "s"), 1),
        (("candidates",), -1),
        (("candidates",), "2"),
        (("complete",), 1),
        (("rows", 0, "rank"), True),
        (("rows", 0, "params"), "7"),
        (("rows", 0, "seconds"), "0.5"),
        (("rows", 0, "layers"), [{"channels": True}]),
        (("rows", 0, "scores", "s", "value"), True),
        (("rows", 0, "scores", "s", "value"), "0.5"),
        (("rows", 0, "scores", "s"), {"value": 0.0, "low": 5, "high": -5}),
        (("rows", 0, "refined"), {"metric": "accuracy", "quality": 0.5, "low": 0.6, "high": 0.4}),
        (("settings",), {"seed": object()}),
    ],
)
def test_known_damage_is_refused(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(TableError, match=r"^run.json is damaged: ") as caught:
        Ranking.from_record(damaged(full().to_record(), path, value), where="run.json")
    assert "\n" not in caught.value.message


def test_whole_numbers_stand_for_floats() -> None:
    record = damaged(full().to_record(), ("rows", 0, "scores", "s", "value"), 2)
    assert Ranking.from_record(record).rows[0].value("s") == 2.0


def test_reading_a_record_leaves_it_alone() -> None:
    record = full().to_record()
    Ranking.from_record(record)
    assert record == full().to_record()


# --- records of acrank 0.2.0 ------------------------------------------------------------------------------------------


def test_a_record_of_0_2_0_is_read() -> None:
    """run_0.2.0.json was written by `acrank score` 0.2.0 (two candidates, two draws; layers and ids shortened)."""
    old = json.loads(OLD_RECORD.read_text())
    ranking = Ranking.load(OLD_RECORD)
    assert [(row.model, row.rank, row.params) for row in ranking.rows] == [
        (row["model"], row["rank"], row["params"]) for row in old["rows"]
    ]
    assert ranking.rows[0].scores["ac_corr"].value == old["rows"][0]["scores"]["ac_corr"]["value"]
    assert ranking.rows[0].details.parts == old["rows"][0]["details"]["parts"]
    settings = Settings.from_record(ranking.settings)
    assert (settings.protocol, settings.samples, settings.repeats, settings.streams) == ("one-step", 16, 2, 1)
    assert ranking.to_record()["schema_version"] == SCHEMA_VERSION
    assert Ranking.from_record(ranking.to_record()) == ranking


def test_old_warnings_about_the_target_become_notes() -> None:
    old = json.loads(OLD_RECORD.read_text())
    old["warnings"] = ['split "train" of test, train ("all" joins them)', "1 skipped: x"]
    ranking = Ranking.from_record(old)
    assert ranking.notes == ['split "train" of test, train ("all" joins them)']
    assert ranking.warnings == ["1 skipped: x"]


def test_an_old_record_is_not_merged_with_one_of_other_streams() -> None:
    old = Ranking.load(OLD_RECORD)
    new = copy.deepcopy(old)
    new.settings["streams"] = STREAMS
    with pytest.raises(TableError, match="their settings differ in streams"):
        merge({"old.json": old, "new.json": new})
    assert merge({"old.json": old, "again.json": old}).settings["streams"] == 1


@pytest.mark.parametrize("warnings", [3, [3], None])
def test_an_old_record_with_strange_warnings_is_damaged(warnings: object) -> None:
    with pytest.raises(TableError, match="is damaged: warnings"):
        Ranking.from_record({**json.loads(OLD_RECORD.read_text()), "warnings": warnings})


# --- records that are not believed ------------------------------------------------------------------------------------


def changed(tmp_path: Path, **fields: Any) -> Path:
    """A record of two rows on disk, with other fields than acrank wrote."""
    record = ranked(scored("a", 1.0), scored("b", 2.0)).to_record()
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**record, **fields}))
    return path


def test_ranks_follow_from_the_values_not_from_the_record(tmp_path: Path) -> None:
    record = ranked(scored("a", 1.0), scored("b", 2.0)).to_record()
    rows = [{**row, "rank": 1, "band": 1} for row in reversed(record["rows"])]
    assert places(Ranking.load(changed(tmp_path, rows=rows))) == [("b", 1, None), ("a", 2, None)]


def test_rows_that_cannot_be_are_refused_with_their_place(tmp_path: Path) -> None:
    first, second = ranked(scored("a", 1.0), scored("b", 2.0)).to_record()["rows"]
    for row, message in (
        ({**second, "model": first["model"]}, "rows.1.model: 'b' is listed twice"),
        ({**second, "model": ""}, "rows.1.model: is empty"),
        ({**second, "seconds": -1.0}, "rows.1.seconds: -1.0 is negative"),
        ({**second, "layers": [{}]}, "rows.1.layers: a layer has no number of channels"),
        ({**second, "scores": {"s": {"value": 1.0, "sd": -1.0}}}, "rows.1.scores.s.sd: -1.0 is negative"),
        ({**second, "seconds": math.inf}, "rows.1.seconds: inf is not a finite number"),
        ({**second, "params": 10**400}, "rows.1.params: a number of 1329 bits"),
    ):
        with pytest.raises(TableError, match=r"run\.json") as caught:
            Ranking.load(changed(tmp_path, rows=[first, row]))
        assert message in str(caught.value)


def test_what_a_row_says_is_bounded() -> None:
    row = Row("a", "skipped", reason="r" * 10**6, notes=["n" * 10**6, *("more" for _ in range(500))])
    assert (len(row.reason), len(row.notes[0]), len(row.notes)) == (1999, 1999, 100)
    assert row.notes[-1] == "402 more notes are left out"
    record = Ranking.of([row], rank_by="s", higher_is_better={"s": True}).to_record()
    record["rows"][0]["reason"] = "r" * 10**6  # and where it is read again
    assert Ranking.from_record(record).rows == [row]


@pytest.mark.parametrize("depth", [50, 100_000])
def test_deep_json_is_refused(tmp_path: Path, depth: int) -> None:
    (tmp_path / "run.json").write_text("[" * depth + "]" * depth)
    with pytest.raises(TableError, match="nested"):
        Ranking.load(tmp_path / "run.json")
