"""What was understood of a target, what is unlikely about it, and what cannot be right."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.volume_sets import write_nnunet
from helpers.workbench import make_images, make_masks
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import Target, open_target
from acrank.targets.doubts import split_leaks
from acrank.targets.examination import Examination
from acrank.targets.understanding import Understanding, understand


def understood(target: Target) -> Understanding:
    examination = Examination()
    return understand(examination.look(target, range(len(target))), examination)


def renamed(folder: Path, **names: str) -> Path:
    for old, new in names.items():
        (folder / old).rename(folder / new)
    return folder


def test_class_folders(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 30), np.uint8)).save(folder / "class0" / "grey.png")
    found = understood(open_target(folder))
    assert (found.layout, found.task, found.images, found.labels) == ("folders", "classification", 31, 3)
    assert found.classes == {"class0": 11, "class1": 10, "class2": 10}
    assert found.sizes == {"20 x 20": 30, "9 x 30": 1}
    assert found.modes == {"colour": 30, "grey": 1}
    assert found.values is not None
    assert 0 <= found.values.low < found.values.mean < found.values.high <= 1
    first, second, third, fourth = found.lines()
    assert first == "t: layout folders, classification, 31 images, 3 classes"
    assert second == "classes: class0 11, class1 10, class2 10"
    assert third == "no splits, no groups known"
    assert fourth.startswith(
        "all 31 labelled images decoded: height x width 20 x 20 (30), 9 x 30 (1); colour (30), grey (1); values 0 to "
    )


def test_the_order_of_the_sides_is_said_of_images_and_volumes(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 200, (4, 9, 30), np.uint8)
    np.savez(tmp_path / "t.npz", images=images, labels=[0, 1] * 2)
    assert "height x width 9 x 30 (4)" in understood(open_target(tmp_path / "t.npz")).lines()[-1]
    write_nnunet(tmp_path / "v")
    volumes = open_target(tmp_path / "v")
    found = [understood(volumes), understood(open_target(tmp_path / "v", slices=1))]
    assert [one.size_axes for one in found] == ["x by y by z", "slices x height x width"]


def test_a_part_of_the_images_is_said_with_all_of_them(tmp_path: Path) -> None:
    target, examination = open_target(make_images(tmp_path / "t")), Examination()
    line = understand(examination.look(target, range(4)), examination).lines()[-1]
    assert line.startswith("4 of 30 labelled images decoded: height x width 20 x 20 (4)")


def test_of_many_classes_the_first_and_the_last_are_shown(tmp_path: Path) -> None:
    line = understood(open_target(make_images(tmp_path / "t", classes=14, each=2, size=8))).lines()[1]
    assert "class0 2" in line
    assert "… 2 more …" in line
    assert line.endswith("class9 2")


def test_a_table_of_very_many_classes_stays_readable(tmp_path: Path) -> None:
    names = [f"c{place:04d}" for place in range(1000)]
    images = np.random.default_rng(0).integers(0, 99, (2000, 4, 4), np.uint8)
    np.savez(tmp_path / "t.npz", images=images, labels=np.repeat(names, 2))
    found = understood(open_target(tmp_path / "t.npz"))
    rows = [row for row in found.view().rows if str(row[0]).startswith("class")]
    assert len(rows) == 201
    assert [str(cell) for cell in rows[100]] == ["classes between", "800"]
    assert len(found.record()["classes"]) == 1000


def test_the_values_are_those_of_all_pixels(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 200, (8, 6, 6), np.uint8)
    np.savez(tmp_path / "t.npz", images=images, labels=[0, 1] * 4)
    values = understood(open_target(tmp_path / "t.npz")).values
    assert values is not None
    scaled = images / 255
    assert [values.low, values.high] == pytest.approx([scaled.min(), scaled.max()])
    assert [values.mean, values.deviation] == pytest.approx([scaled.mean(), scaled.std()], rel=1e-6)
    reached = values.normalised([0.5] * 3, [0.1] * 3)
    assert reached.deviation == pytest.approx(scaled.std() / 0.1, rel=1e-6)
    assert reached.low == pytest.approx((scaled.min() - 0.5) / 0.1)


def test_other_tasks(tmp_path: Path) -> None:
    masks = understood(open_target(make_masks(tmp_path / "m")))
    assert list(masks.classes) == ["background", "foreground"]
    assert sum(masks.classes.values()) == pytest.approx(1, abs=1e-3)
    images = np.random.default_rng(1).integers(0, 200, (6, 6, 6), np.uint8)
    np.savez(tmp_path / "r.npz", images=images, labels=[0.5, 1.5, 2.5, 3.5, 4, 5])
    regression = understood(open_target(tmp_path / "r.npz"))
    assert (regression.labels, regression.label_range) == (None, (0.5, 5.0))
    np.savez(tmp_path / "s.npz", train_images=images, train_labels=[0, 1] * 3, val_images=images, val_labels=[0, 1] * 3)
    assert understood(open_target(tmp_path / "s.npz")).split == "train"
    assert understood(open_target(tmp_path / "s.npz", split="val")).split == "val"


@pytest.mark.parametrize(
    ("name", "said"),
    [("Testing", "named like a split: Testing"), ("train_set", "a split"), ("Ground Truth", "named like masks")],
)
def test_a_class_named_like_a_split_or_masks_is_a_warning(tmp_path: Path, name: str, said: str) -> None:
    folder = renamed(make_images(tmp_path / "t"), class1=name)
    options = {"class_folders": "top"} if "Truth" in name else {}  # without, it is refused as a set of masks
    (warning,) = understood(open_target(folder, **options)).warnings  # type: ignore[arg-type]
    assert said in warning


def test_ordinary_names_are_no_warning(tmp_path: Path) -> None:
    folder = renamed(make_images(tmp_path / "t"), class0="trained", class1="test positive", class2="masked face")
    assert understood(open_target(folder)).warnings == []


def test_one_class_that_holds_nearly_all_is_a_warning(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 200, (40, 6, 6), np.uint8)
    np.savez(tmp_path / "t.npz", images=images, labels=[0] * 38 + [1] * 2)
    assert understood(open_target(tmp_path / "t.npz")).warnings == ["0 has 95.0% of the images"]


def test_one_picture_under_two_labels_is_a_warning(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t", size=48)
    shutil.copy(folder / "class0" / "000.png", folder / "class1" / "again.png")
    shutil.copy(folder / "class0" / "001.png", folder / "class0" / "again.png")  # the same label: no contradiction
    (warning,) = understood(open_target(folder)).warnings
    assert warning == "two images of different labels show the same: class0/000.png and class1/again.png"


def constant(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        Image.new("RGB", (8, 8), "gray").save(path)


def doubled(folder: Path) -> None:
    for path in (folder / "class0").iterdir():
        shutil.copy(path, folder / "class1" / path.name)


def splits_only(folder: Path) -> None:
    shutil.rmtree(folder / "class2")
    renamed(folder, class0="fold_0", class1="fold_1")


@pytest.mark.parametrize(
    ("change", "said"),
    [(constant, "holds one value only"), (doubled, "under several labels"), (splits_only, "names of splits")],
)
def test_what_cannot_be_right_is_refused_and_overruled(tmp_path: Path, change, said: str) -> None:
    folder = make_images(tmp_path / "t")
    change(folder)
    if change is splits_only:
        target = open_target(make_images(tmp_path / "names", classes=2))
        object.__setattr__(target, "classes", ("fold_0", "fold_1"))
    else:
        target = open_target(folder)
    with pytest.raises(TargetError, match=said) as caught:
        understood(target)
    assert "--doubts warn" in str(caught.value.hint)
    object.__setattr__(target, "doubts", "warn")
    assert said in understood(target).warnings[0]


def test_an_image_in_two_splits_is_named(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t", size=48)
    shutil.copy(folder / "class0" / "000.png", folder / "class0" / "again.png")
    target, examination = open_target(folder), Examination()
    examination.look(target, range(len(target)))
    parts = {name: "val" if "again" in name else "train" for name in target.ids}
    (warning,) = split_leaks(examination.facts, parts)
    assert warning == "two images of different splits show the same: class0/000.png and class0/again.png"


def test_of_many_sizes_the_most_frequent_are_shown_and_all_recorded(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t")
    for place, path in enumerate(sorted(folder.rglob("*.png"))[:17]):
        Image.open(path).resize((30 + place, 30)).save(path)
    found = understood(open_target(folder))
    rows = [row for row in found.view().rows if "size" in row[0]]
    assert rows[:2] == [["sizes are", "height x width"], ["size 20 x 20", "13"]]
    assert len(rows) == 14
    assert rows[-1] == ["6 other sizes", "6"]
    assert len(found.record()["sizes"]) == 18
