"""Which level of a tree of folders holds the classes: splits of any spelling, groups, parts, and what may be either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError
from acrank.finetuning.splits import open_splits
from acrank.targets import open_target


def tree(root: Path, *folders: str, each: int = 2) -> Path:
    """Folders of noise; names of files differ from folder to folder."""
    for place, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for number in range(each):
            pixels = np.random.default_rng([place, number]).integers(0, 255, (5, 5)).astype(np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{place}-{number}.png")
    return root


def in_splits(root: Path, *splits: str) -> Path:
    return tree(root, *(f"{split}/{label}" for split in splits for label in ("benign", "malignant")))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("train", "dev"),
        ("Training", "Testing"),
        ("TRAIN", "TEST"),
        ("Train_Images", "Validation Images"),
        ("train2017", "val2017"),
        ("trainset", "evaluation"),
        ("data-train", "data-holdout"),
        ("training", "devel"),
    ],
)
def test_splits_in_any_spelling_are_no_classes(tmp_path: Path, train: str, test: str) -> None:
    target = open_target(in_splits(tmp_path, train, test))
    assert target.classes == ("benign", "malignant")
    assert {name.split("/")[0] for name in target.ids} == {train}
    assert f'split "{train}" of' in target.notes[0]
    assert len(open_target(tmp_path, split=test.upper())) == 4
    assert len(open_target(tmp_path, split="all")) == 8


def test_a_split_is_asked_for_by_its_meaning(tmp_path: Path) -> None:
    folder = in_splits(tmp_path, "Training", "dev", "Testing")
    for split, name in (("test", "Testing"), ("val", "dev"), ("validation", "dev"), ("train", "Training")):
        assert {one.split("/")[0] for one in open_target(folder, split=split).ids} == {name}
    found = open_splits(folder, split_by="target")
    assert {name: target.ids[0].split("/")[0] for name, target in found.items()} == {
        "train": "Training",
        "test": "Testing",
        "val": "dev",
    }


def test_two_splits_of_one_meaning_are_asked_about(tmp_path: Path) -> None:
    in_splits(tmp_path, "train1", "train2")
    with pytest.raises(TargetError, match="several splits 'train': train1, train2"):
        open_target(tmp_path)
    assert len(open_target(tmp_path, split="train2")) == 4


def test_folds_are_read_together(tmp_path: Path) -> None:
    target = open_target(in_splits(tmp_path, "fold_0", "fold_1", "fold_2"))
    assert (target.classes, len(target)) == (("benign", "malignant"), 12)
    assert target.notes[0].startswith("splits fold_0, fold_1, fold_2 are read together")
    assert len(open_target(tmp_path, split="fold_1")) == 4


def test_splits_below_classes(tmp_path: Path) -> None:
    tree(tmp_path, "cat/train", "cat/test", "dog/train", "dog/test")
    target = open_target(tmp_path)
    assert target.classes == ("cat", "dog")
    assert {name.split("/")[1] for name in target.ids} == {"train"}


@pytest.mark.parametrize(
    "tops", [("patient_001", "patient_002", "patient_003"), ("10253", "10254", "8863"), ("HospitalA", "HospitalB")]
)
def test_groups_over_classes(tmp_path: Path, tops: tuple[str, ...]) -> None:
    target = open_target(tree(tmp_path, *(f"{top}/{label}" for top in tops for label in "01")))
    assert target.classes == ("0", "1")
    assert target.groups == tuple(name.split("/")[0] for name in target.ids)
    assert any("groups" in note for note in target.notes)


def test_groups_over_classes_in_splits(tmp_path: Path) -> None:
    tree(tmp_path, *(f"train/p{top}/{label}" for top in "123" for label in ("healthy", "ill")), "test/p4/ill")
    target = open_target(tmp_path)
    assert target.classes == ("healthy", "ill")
    assert target.groups is not None
    assert set(target.groups) == {"p1", "p2", "p3"}


def test_what_may_be_classes_or_groups_is_asked_about(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{top}/{part}" for top in ("benign", "malignant") for part in ("40X", "100X", "200X")))
    with pytest.raises(TargetError, match="may be benign, malignant, or 100X, 200X, 40X") as caught:
        open_target(tmp_path)
    assert caught.value.hint is not None
    assert "--class-folders top or bottom" in caught.value.hint
    assert open_target(tmp_path, class_folders="top").classes == ("benign", "malignant")
    target = open_target(tmp_path, class_folders="bottom")
    assert target.classes == ("100X", "200X", "40X")
    assert target.groups is not None
    assert set(target.groups) == {"benign", "malignant"}


def test_merged_folders_are_counted(tmp_path: Path) -> None:
    tree(tmp_path, "colon/colon_aca", "colon/colon_n", "lung/lung_aca", "lung/lung_n", "lung/lung_scc")
    target = open_target(tmp_path)
    assert target.classes == ("colon", "lung")
    assert target.notes[0].startswith("5 folders within the 2 class folders are merged into them")
    assert len(open_target(tmp_path, class_folders="bottom").classes) == 5
    assert open_target(tmp_path, class_folders="bottom").groups is None


@pytest.mark.parametrize("names", [("HAM10000_images_part_1", "HAM10000_images_part_2"), ("images_001", "images_002")])
def test_parts_of_a_set_of_images_are_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    tree(tmp_path, *names)
    (tmp_path / "meta.csv").write_text("image,label\n0-0,x\n0-1,y\n1-0,x\n1-1,y\n")
    with pytest.raises(TargetError, match="parts of one set of images") as caught:
        open_target(tmp_path)
    assert "meta.csv" in str(caught.value.hint)
    assert open_target(tmp_path, class_folders="top").classes == names
    table = open_target(tmp_path / "meta.csv")
    assert table.ids == tuple(f"{name}/{place}-{number}.png" for place, name in enumerate(names) for number in (0, 1))
    assert any("found by their name in the folders below" in note for note in table.notes)


@pytest.mark.parametrize("name", ["class_0", "grade-1", "stage 2", "trainer", "contest", "evaluated", "devil"])
def test_classes_that_only_look_like_splits_or_parts_stay_classes(tmp_path: Path, name: str) -> None:
    assert open_target(tree(tmp_path, name, f"{name}0")).classes == tuple(sorted((name, f"{name}0")))


def test_a_split_column_in_any_case(tmp_path: Path) -> None:
    tree(tmp_path, "img", each=4)
    rows = [f"img/0-{place}.png,{'ab'[place % 2]},{'TRAIN' if place < 2 else 'Test'}" for place in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,Split", *rows]))
    assert open_target(tmp_path / "t.csv").ids == ("img/0-0.png", "img/0-1.png")
    assert len(open_target(tmp_path / "t.csv", split="test")) == 2


def test_spelling_variants_and_unknown_classes_are_warned_of(tmp_path: Path) -> None:
    target = open_target(tree(tmp_path, "Normal", "normal", "tumor_a", "Tumor a.", "unknown"))
    warnings = [note for note in target.notes if note.startswith("warning: classes")]
    assert len(warnings) == 3
    assert "'Normal', 'normal'" in warnings[0]
    assert "'Tumor a.', 'tumor_a'" in warnings[1]
    assert "'unknown'" in warnings[2]


def test_bottom_takes_the_folders_that_hold_images_however_deep(tmp_path: Path) -> None:
    studies = [
        f"{split}/XR_{part}/patient{number:05}/study1_{'positive' if number % 2 else 'negative'}"
        for split in ("train", "valid")
        for part in ("ELBOW", "HAND")
        for number in range(4)
    ]
    folder = tree(tmp_path, *studies)
    with pytest.raises(TargetError) as caught:
        open_target(folder)
    assert "such as study1_negative" in str(caught.value.hint)
    assert str(folder / "train" / "XR_ELBOW") in str(caught.value.hint)
    target = open_target(folder, class_folders="bottom")
    assert target.classes == ("study1_negative", "study1_positive")
    groups = {f"XR_{part}/patient{number:05}" for part in ("ELBOW", "HAND") for number in range(4)}
    assert target.groups is not None
    assert {str(name) for name in target.groups} == groups
    assert all(name.split("/", 1)[1].startswith(group) for name, group in zip(target.ids, target.groups, strict=True))


def test_bottom_ends_at_links_that_lead_in_circles(tmp_path: Path) -> None:
    folder = tree(tmp_path, "a/x/benign", "a/x/malignant", "b/y/benign", "b/y/malignant")
    (folder / "a" / "again").symlink_to(folder / "a", target_is_directory=True)
    target = open_target(folder, class_folders="bottom")
    assert target.classes == ("benign", "malignant")
    assert len(target) == 8


def test_parts_of_a_class_in_a_group_are_its_images(tmp_path: Path) -> None:
    folder = tree(tmp_path, *(f"site_{n}/{label}/part_{m}" for n in "12" for label in ("cat", "dog") for m in "12"))
    target = open_target(folder)
    assert target.classes == ("cat", "dog")
    assert {str(name) for name in target.groups or ()} == {"site_1", "site_2"}


def test_images_of_a_first_folder_are_no_group(tmp_path: Path) -> None:
    folder = tree(tmp_path, *(f"{split}/{label}" for split in ("train", "test") for label in ("cat", "dog")))
    assert open_target(folder, class_folders="bottom", split="all").groups is None
    tree(tmp_path, *(f"train/site_{number}/{label}" for number in "12" for label in ("cat", "dog")))
    groups = open_target(folder, class_folders="bottom").groups
    assert groups is not None
    named = [str(name) for name in groups]
    assert (named.count("site_1"), named.count("site_2")) == (4, 4)
    assert len({*named}) == 6  # the other four images are one each
