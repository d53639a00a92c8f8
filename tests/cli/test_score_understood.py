"""`acrank score` on data that is easily misread: what is said, asked, and kept apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.workbench import Outcome, entry, make_images, make_zoo, write_zoo

Command = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)  # another test's folder
    make_zoo(tmp_path / "zoo", 2)
    make_images(tmp_path / "target", classes=2)
    return tmp_path


def words(data: str, *more: object) -> list[object]:
    quick = ["--repeats", 1, "--scores", "finetunability", "--allow-code", "--device", "cpu", "--no-cache"]
    return ["score", "--zoo", "zoo/zoo.yaml", "--data", data, *quick, *more]


def test_splits_are_no_classes(acrank: Command, folder: Path) -> None:
    for split in ("TRAIN", "Test_Set"):
        make_images(folder / "own" / split, classes=2)
    done = acrank(*words("own"))
    assert done.code == 0, done.err
    record = json.loads((folder / "run.json").read_text())
    assert record["target"]["classes"] == ["class0", "class1"]
    assert 'note: split "TRAIN" of TRAIN, Test_Set ("all" joins them)' in done.err


def test_groups_reach_the_draws(acrank: Command, folder: Path) -> None:
    rows = [f"target/class{c}/00{i}.png,{'ab'[c]},p{c}{i // 2}" for c in range(2) for i in range(10)]
    (folder / "t.csv").write_text("\n".join(["path,label,patient", *rows]))
    done = acrank(*words("t.csv", "--group-column", "patient"))
    assert done.code == 0, done.err
    assert "note: 10 groups of 2 images are kept on one side of every split" in done.err
    draw = json.loads((folder / "run.json").read_text())["target"]["draws"][0]
    patient = dict(row.split(",")[::2] for row in rows)
    assert sum(draw["groups_of_halves"]) == len({patient[name] for name in draw["ids"]}), "no patient is in both"
    done = acrank(*words("t.csv", "--group-pattern", "class[01]"))
    assert done.code == 3
    assert "comes from one group only" in done.err


def test_statistics_of_0_to_255_score_as_those_of_0_to_1(acrank: Command, folder: Path) -> None:
    weights = "net0.pth"
    twins = [
        entry(name, weights=weights, input={"size": 16, "mean": [middle] * 3, "std": [middle] * 3})
        for name, middle in (("units", 0.5), ("bytes", 127.5))
    ]
    write_zoo(folder / "zoo", *twins)
    done = acrank(*words("target"), "-f", "json")
    assert done.code == 0, done.err
    one, other = json.loads(done.out)["rows"]
    assert one["scores"]["finetunability"]["value"] == other["scores"]["finetunability"]["value"]
    assert done.err.count("are of images from 0 to 255: divided by 255") == 1


def test_warnings_stand_without_a_note(acrank: Command, folder: Path) -> None:
    (folder / "target" / "class1").rename(folder / "target" / "Class0")
    done = acrank(*words("target"))
    assert done.code == 0, done.err
    assert "\nwarning: classes differ in spelling only: 'Class0', 'class0'" in done.err


@pytest.mark.parametrize(
    ("labels", "more", "message"),
    [
        ([str(place * 7 + 3) for place in range(20)], [], "a measure, or classes?"),
        (["x", "?", *["x", "y"] * 9], [], "1 of 20 labels are missing"),
        (["x", "y"] * 10, ["--uncertain", "maybe"], "unknown --uncertain 'maybe'"),
        (["x", "y"] * 10, ["--missing-labels", "drop"], "unknown --missing-labels 'drop'"),
        (["x", "y"] * 10, ["--class-folders", "top"], "--class-folders does not apply"),
        (["x", "y"] * 10, ["--labels-file", "y.npy"], "--labels-file does not apply"),
        (["x", "y"] * 10, ["--group-pattern", "("], "is no regular expression"),
    ],
)
def test_what_is_refused(acrank: Command, folder: Path, labels: list[str], more: list[str], message: str) -> None:
    rows = [f"target/class{place // 10}/00{place % 10}.png,{label}" for place, label in enumerate(labels)]
    (folder / "t.csv").write_text("\n".join(["path,label", *rows]))
    done = acrank(*words("t.csv", *more))
    assert done.code in (2, 3)
    assert message in done.err
    assert "hint: " in done.err
