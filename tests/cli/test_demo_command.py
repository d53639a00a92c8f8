"""`acrank demo`: the main job, offline, from nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.workbench import Outcome

from acrank.demo import zoo_path
from acrank.records import Ranking
from acrank.zoo import load_zoo


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def test_ranks_every_embedded_candidate(acrank: Callable[..., Outcome], shared_folder: Path) -> None:
    folder = shared_folder / "deep" / "er"
    done = acrank("demo", "--dir", folder, "-f", "csv")
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert {row["model"] for row in rows} == {one.id for one in load_zoo(zoo_path()).candidates}
    assert all(row["status"] == "scored" for row in rows)
    assert (folder / "scores.csv").read_text() == done.out
    random = next(row for row in rows if "random" in row["model"])
    # an untouched network is never lifted to the top
    assert int(random["rank"]) > len(rows) / 2  # finetuned, it is the fourth worst
    assert random == min(rows, key=lambda row: float(row["channel_alignment"]))

    compared = {row["score"]: row for row in csv.DictReader((folder / "comparison.csv").open())}
    assert compared["finetunability"]["n"] == str(len(rows))
    assert {"params", "random ranking"} <= set(compared)

    # a second run finds the target, and gives the command to repeat it by hand
    again = acrank("demo", "--dir", folder)
    assert "making a target" not in again.err
    assert "against finetuning" in again.out
    words = again.err.splitlines()[-1].removeprefix("the same by hand: ").split()
    assert words[0] == "acrank"
    by_hand = acrank(*words[1:], "-o", folder / "by_hand.json")
    assert by_hand.code == 0
    one, other = (Ranking.load(folder / name) for name in ("run.json", "by_hand.json"))
    assert [(row.model, row.scores) for row in one.rows] == [(row.model, row.scores) for row in other.rows]


def test_a_folder_that_cannot_be_made_is_exit_2(acrank: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = acrank("demo", "--dir", tmp_path / "file" / "below")
    assert done.code == 2
    assert done.err.startswith("error: cannot make ")
