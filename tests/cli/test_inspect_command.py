"""`acrank inspect`, and what `score` and `finetune` say of the data and do about broken images."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import Outcome, make_masks
from PIL import Image

from acrank.records import Ranking

Command = Callable[..., Outcome]
CANDIDATES = 3  # of the fixture `folder`


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def score(*more: object) -> list[object]:
    common = ["--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--repeats", 1, "--scores", "knn"]
    return ["score", *common, "-o", "run.json", *more]


def test_says_what_was_understood_without_a_network(folder: Path) -> None:
    code = "import sys; from acrank.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    words = [sys.executable, "-c", code, "inspect", "--data", "target", "-f", "json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    record = json.loads(done.stdout)
    assert (record["kind"], record["layout"], record["images"]) == ("acrank-inspect", "folders", 30)
    assert record["classes"] == {"class0": 10, "class1": 10, "class2": 10}
    assert record["examined"] == 30
    assert {"torch", "timm"}.isdisjoint(done.stderr.split())


def test_formats_and_outputs(acrank: Command, folder: Path) -> None:
    done = acrank("inspect", "--data", "target", "-f", "csv", "-o", "a.json", "-o", "a.md", "-o", "sheet.png")
    assert done.code == 0, done.err
    cells = dict(list(csv.reader(io.StringIO(done.out)))[1:])
    assert (cells["task"], cells["class class1"], cells["mode colour"]) == ("classification", "10", "30")
    assert json.loads(Path("a.json").read_text())["sizes"] == {"20 x 20": 30}
    assert Path("a.md").read_text().startswith("### target: what acrank understood")
    assert Image.open("sheet.png").mode == "RGB"


@pytest.mark.parametrize("name", ["sheet.jpg", "no/folder/sheet.png"])
def test_an_output_that_cannot_be_written_is_refused_first(acrank: Command, folder: Path, name: str) -> None:
    assert acrank("inspect", "--data", "target", "-o", name).code == 2


def test_the_sheet_shows_images_by_class_and_masks(acrank: Command, folder: Path) -> None:
    for path in (folder / "target" / "class1").iterdir():
        Image.new("RGB", (20, 20), (0, 200, 0)).save(path)
    assert acrank("inspect", "--data", "target", "--class-folders", "top", "-o", "sheet.png").code == 0
    sheet = np.asarray(Image.open("sheet.png").convert("RGB"))
    places = np.argwhere((sheet == (0, 200, 0)).all(axis=2))
    rows = np.unique(places[:, 0])
    assert len(sheet) / 3 < rows.min() < rows.max() < len(sheet) * 2 / 3
    make_masks(folder / "masked")
    assert acrank("inspect", "--data", "masked", "-o", "sheet.png").code == 0
    pixels = np.asarray(Image.open("sheet.png").convert("RGB")).astype(int)
    assert ((pixels[..., 0] - pixels[..., 1] > 60) & (pixels[..., 0] - pixels[..., 2] > 60)).sum() > 500


def test_small_images_are_enlarged_on_the_sheet(acrank: Command, folder: Path) -> None:
    for path in (folder / "target").rglob("*.png"):
        Image.new("RGB", (10, 8), (0, 200, 0)).save(path)
    assert acrank("inspect", "--data", "target", "--doubts", "warn", "-o", "sheet.png").code == 0
    sheet = np.asarray(Image.open("sheet.png").convert("RGB"))
    assert (sheet == (0, 200, 0)).all(axis=2).sum() == 18 * (12 * 10) * (12 * 8), (
        "6 of each of 3 classes, 12 times as large"
    )


def test_the_cost_of_a_run_is_counted(acrank: Command, folder: Path) -> None:
    done = acrank("inspect", "--data", "target", "--zoo", "zoo/zoo.yaml", "-f", "json")
    cost = json.loads(done.out)["cost"]
    assert (cost["candidates"], cost["images per draw"], cost["images through networks, at most"]) == (3, 30, 90)
    assert cost["bytes of weights"] == sum(path.stat().st_size for path in (folder / "zoo").glob("*.pth"))


def test_copies_in_another_split_are_a_warning(acrank: Command, folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (12, 16, 16), np.uint8)
    labels = [0, 1] * 4
    np.savez("s.npz", train_images=images[:8], train_labels=labels, test_images=images[4:], test_labels=labels)
    done = acrank("inspect", "--data", "s.npz")
    assert "warning: 4 pairs of images of different splits show the same: train/4 and test/0" in done.err
    np.savez("s.npz", train_images=images[:6], train_labels=labels[:6], test_images=images[6:], test_labels=labels[:6])
    assert "warning" not in acrank("inspect", "--data", "s.npz").err


def test_score_says_what_it_understood_before_and_in_the_record(acrank: Command, folder: Path) -> None:
    done = acrank(*score())
    assert done.code == 0, done.err
    said = done.err.splitlines()
    assert said[0] == "data: target: layout folders, classification, 30 images, 3 classes"
    assert said[1] == "data: classes: class0 10, class1 10, class2 10"
    assert next(i for i, line in enumerate(said) if line.startswith("1/3")) > 3
    assert any(line.startswith("data: values that reach net0: -1 to ") for line in said)
    understood = Ranking.load(Path("run.json")).target["understood"]
    assert understood["classes"] == {"class0": 10, "class1": 10, "class2": 10}
    assert understood["normalised"]["model"] == "net0"
    assert understood["normalised"]["deviation"] == pytest.approx(understood["values"]["deviation"] / 0.5)


@pytest.mark.parametrize(("more", "said"), [(["--samples", 12], "12 of 30 labelled images a draw"), ([], "all 30")])
def test_score_says_how_many_images_it_samples(acrank: Command, folder: Path, more: list, said: str) -> None:
    done = acrank(*score(*more))
    assert done.code == 0, done.err
    assert f"data: scored on {said}" in done.err
    assert f"data: {said.partition(' labelled')[0]} labelled images decoded: height x width 20 x 20" in done.err


@pytest.mark.parametrize("workers", [None, 2])
def test_a_broken_image_is_left_out_for_all_candidates(acrank: Command, folder: Path, workers: int | None) -> None:
    cut(folder / "target" / "class1" / "003.png")
    done = acrank(*score(*(["--workers", workers] if workers else [])))
    assert done.code == 0, done.err
    assert "data: left out: 1 that cannot be read: class1/003.png" in done.err
    record = Ranking.load(Path("run.json"))
    assert [row.status for row in record.rows] == ["scored"] * 3
    assert record.target["size"] == 29
    assert list(record.target["understood"]["left_out"]) == ["class1/003.png"]
    assert "class1/003.png" not in record.target["draws"][0]["ids"]
    again = acrank(*score())  # from the cache
    assert "data: left out: 1 that cannot be read: class1/003.png" in again.err
    assert all(row.details.cached for row in Ranking.load(Path("run.json")).rows)


def test_many_broken_images_end_the_run_before_a_network_is_loaded(acrank: Command, folder: Path) -> None:
    for i in range(3):
        cut(folder / "target" / "class0" / f"{i:03d}.png")
    done = acrank(*score())
    assert done.code == 3
    assert "error: 3 of 30 images of target cannot be read: class0/000.png" in done.err
    assert "net0" not in done.err
    assert acrank(*score("--bad-images", "skip-all")).code == 0
    assert acrank(*score("--bad-images", "fail")).code == 3


def test_a_target_that_cannot_be_right_is_refused_and_overruled(acrank: Command, folder: Path) -> None:
    for path in (folder / "target").rglob("*.png"):
        Image.new("RGB", (8, 8), "gray").save(path)
    done = acrank(*score())
    assert done.code == 3
    assert "error: target cannot be right: each of 30 images holds one value only" in done.err
    assert "hint: correct the data or the options that read it, or overrule this: --doubts warn" in done.err
    assert "warning: each of 30 images" in acrank(*score("--doubts", "warn")).err


def test_values_that_hardly_vary_at_the_network_are_a_warning(acrank: Command, folder: Path) -> None:
    for path in (folder / "target").rglob("*.png"):
        with Image.open(path) as file:
            dark = np.asarray(file) // 16
        Image.fromarray(dark.astype(np.uint8)).save(path)
    done = acrank(*score())
    assert "warning: values reach net0, net1, net2 with a standard deviation of 0.0" in done.err
    assert any("standard deviation" in text for text in Ranking.load(Path("run.json")).warnings)


def test_a_gate_fails_data_that_changed(acrank: Command, folder: Path) -> None:
    Path("gates.yaml").write_text("classes: [class0, class1, class2]\nimages: 30\n")
    acrank(*score())
    assert acrank("check", "run.json", "--gates", "gates.yaml").code == 0
    (folder / "target" / "class2").rename(folder / "target" / "other")
    (folder / "target" / "class0" / "000.png").unlink()
    acrank(*score())
    done = acrank("check", "run.json", "--gates", "gates.yaml")
    assert done.code == 1
    assert "it lacks class2; not expected: other" in done.out
    assert "the target has 29 images" in done.out


def test_finetune_leaves_broken_images_out_and_says_so(acrank: Command, folder: Path) -> None:
    cut(folder / "target" / "class1" / "003.png")
    common = [
        "--zoo",
        "zoo/zoo.yaml",
        "--data",
        "target",
        "--allow-code",
        "--model",
        "net0",
        "--method",
        "linear-probe",
    ]
    done = acrank("finetune", *common, "--epochs", 1, "--lr", 0.1, "--splits", 1, "-o", "t.json")
    assert done.code == 0, done.err
    assert "data: target: layout folders, classification, 29 images, 3 classes" in done.err
    assert "data: left out: 1 that cannot be read: class1/003.png" in done.err
    assert "data: no splits, no groups known" in done.err
    understood = json.loads(Path("t.json").read_text())["target"]["understood"]["all"]
    assert list(understood["left_out"]) == ["class1/003.png"]
    assert understood["examined"] == 29
