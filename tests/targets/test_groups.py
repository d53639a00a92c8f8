"""Groups of images: given, suspected, and kept on one side of draws, halves and splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.image_sets import masked_set, tree
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from acrank.errors import AcrankError, TargetError, UsageError
from acrank.finetuning.splits import make_partition, open_splits, partition_indices
from acrank.targets import TargetOptions, grouping, open_target
from acrank.targets.draws import make_draws
from acrank.targets.sampling import draw_sample, halves

SEEDS = st.integers(0, 2**32)


@st.composite
def grouped(pull: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels of two or three classes, each of at least four groups, in any order; and a seed."""
    sizes = pull(st.lists(st.lists(st.integers(1, 9), min_size=4, max_size=12), min_size=2, max_size=3))
    labels = np.concatenate([np.full(sum(each), place) for place, each in enumerate(sizes)])
    groups = np.repeat(np.arange(sum(map(len, sizes))), [size for each in sizes for size in each])
    seed = pull(SEEDS)
    order = np.random.default_rng(seed).permutation(len(labels))
    return labels[order], groups[order], seed


@given(grouped())
def test_halves_keep_groups_and_hold_every_class(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    labels, groups, seed = case
    first = halves(labels, seed=seed, repeat=0, task="classification", groups=groups)
    assert not set(groups[first]) & set(groups[~first])
    assert set(labels[first]) == set(labels[~first]) == set(labels)
    for label in set(labels):
        largest = np.bincount(groups[labels == label]).max()
        assert abs(int((labels[first] == label).sum()) - int((labels[~first] == label).sum())) <= 2 * largest


@given(grouped(), st.integers(0, 9))
def test_splits_keep_groups_and_hold_every_class(case: tuple[np.ndarray, np.ndarray, int], split: int) -> None:
    labels, groups, _ = case
    parts = partition_indices(labels, split=split, val_share=0.2, test_share=0.3, groups=groups)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not set(groups[parts[one]]) & set(groups[parts[other]])
    assert all(set(labels[indices]) == set(labels) for indices in parts.values())


@given(grouped(), st.data())
def test_draws_keep_their_shares_and_take_whole_groups(
    case: tuple[np.ndarray, np.ndarray, int], data: st.DataObject
) -> None:
    labels, groups, seed = case
    size = data.draw(st.integers(2 * len(set(labels)), len(labels)))
    plain = draw_sample(labels, size, seed=seed, repeat=0, task="classification")
    picks = draw_sample(labels, size, seed=seed, repeat=0, task="classification", groups=groups)
    assert np.bincount(labels[picks]).tolist() == np.bincount(labels[plain]).tolist()
    for label in set(labels):
        share = int((labels[picks] == label).sum())
        if share >= 2:
            assert len(set(groups[picks][labels[picks] == label])) >= 2, "both halves can hold the class"


def test_a_draw_cuts_few_groups() -> None:
    labels, groups = np.repeat([0, 1], 200), np.repeat(np.arange(100), 4)
    picks = draw_sample(labels, 80, seed=0, repeat=0, task="classification", groups=groups)
    assert len(set(groups[picks])) == 20, "80 images of groups of four"


def test_groups_of_several_classes_stay_together() -> None:
    """Patients with healthy and ill images, as most sets of lesions have them."""
    groups = np.repeat(np.arange(40), 5)
    labels = np.random.default_rng(1).integers(0, 3, 200)
    for repeat in range(5):
        first = halves(labels, seed=0, repeat=repeat, task="classification", groups=groups)
        assert not set(groups[first]) & set(groups[~first])
        assert abs(int(first.sum()) - 100) <= 10
    parts = partition_indices(labels, split=0, val_share=0.2, test_share=0.3, groups=groups)
    assert not set(groups[parts["train"]]) & set(groups[parts["test"]])
    assert 45 <= len(parts["test"]) <= 75


@pytest.mark.parametrize("task", ["regression", "multilabel", "segmentation"])
def test_halves_of_other_tasks_keep_groups(task: Any) -> None:
    rng = np.random.default_rng(2)
    labels: np.ndarray = rng.random((60, 3)) < 0.3 if task == "multilabel" else rng.normal(size=60)
    labels = np.zeros(60, np.int64) if task == "segmentation" else labels.astype(int if task == "multilabel" else float)
    groups = np.repeat(np.arange(12), 5)
    first = halves(labels, seed=0, repeat=0, task=task, groups=groups)
    assert not set(groups[first]) & set(groups[~first])
    assert abs(int(first.sum()) - 30) <= 10


def test_what_groups_make_impossible() -> None:
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 2, 3])
    with pytest.raises(TargetError, match="class number 0 comes from one group only"):
        halves(labels, seed=0, repeat=0, task="classification", groups=groups)
    with pytest.raises(TargetError, match="all sampled images are of one group"):
        halves(labels.astype(float), seed=0, repeat=0, task="regression", groups=np.zeros(6, np.int64))
    with pytest.raises(TargetError, match=r"class number 0 has too few groups \(1\)"):
        partition_indices(labels, split=0, val_share=0.2, test_share=0.3, groups=groups)


GOLDEN_DRAW = [6, 10, 15, 19, 23, 24, 25, 41, 50]
GOLDEN_HALF = [0, 2, 4, 5, 7, 9]
GOLDEN_PARTS = {"train": [0, 1, 3, 7, 8, 10, 11, 12, 14], "val": [2, 4, 6], "test": [5, 9, 13]}


def test_without_groups_nothing_changes() -> None:
    """Recorded before there were groups; NumPy promises the stream of PCG64 for every version."""
    labels = np.arange(60) % 3
    first = halves(labels[:12], seed=5, repeat=2, task="classification")
    assert draw_sample(labels, 9, seed=5, repeat=2, task="classification").tolist() == GOLDEN_DRAW
    assert np.flatnonzero(first).tolist() == GOLDEN_HALF
    parts = partition_indices(labels[:15], split=4, val_share=0.2, test_share=0.2)
    assert {name: part.tolist() for name, part in parts.items()} == GOLDEN_PARTS


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Class folders of six patients each, with three images each, and a table of them."""
    rows = []
    for label in ("ill", "well"):
        (tmp_path / label).mkdir()
        for patient in range(6):
            for number in range(3):
                name = f"{label}/patient{patient}{label[0]}_img{number}.png"
                pixels = np.random.default_rng([patient, number, len(label)]).integers(0, 255, (6, 6))
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
                rows.append(f"{name},{label},{patient}{label}")
    (tmp_path / "t.csv").write_text("\n".join(["path,label,patient", *rows]))
    return tmp_path


def test_groups_by_pattern_and_by_column_are_the_same(clinic: Path) -> None:
    by_pattern = open_target(clinic, group_pattern=r"(patient\d+[iw])_")
    by_column = open_target(clinic / "t.csv", group_column="patient")
    assert by_pattern.groups is not None
    assert by_column.groups is not None
    assert by_pattern.groups[:4] == ("patient0i",) * 3 + ("patient1i",)
    assert len(set(by_pattern.groups)) == len(set(by_column.groups)) == 12
    assert "12 groups of 3 images are kept on one side of every split" in by_column.notes
    assert by_pattern.fingerprint != open_target(clinic).fingerprint
    for draws in (make_draws(target, samples=20, repeats=3, seed=0) for target in (by_pattern, by_column)):
        for draw in draws:
            groups = np.array(draw.target.groups)[draw.indices]
            assert not set(groups[draw.half]) & set(groups[~draw.half])


def test_finetuned_truth_keeps_patients_on_one_side(clinic: Path) -> None:
    (whole,) = open_splits(clinic, TargetOptions(group_pattern=r"patient\d+\w")).values()
    for split in range(4):
        found = make_partition({"all": whole}, split=split, val_share=0.2, test_share=0.3, train_size=None)
        sides = [{whole.groups[index] for index in part.indices} for part in (found.train, found.val, found.test)]  # type: ignore[index]
        assert sum(map(len, sides)) == 12
        assert len(set.union(*sides)) == 12, "no patient is on two sides"


def test_patients_in_several_of_the_targets_own_splits_are_warned_of(tmp_path: Path) -> None:
    for split, patients in (("train", (1, 2, 3, 4)), ("test", (4, 5, 6, 7))):
        for patient in patients:
            path = tmp_path / split / "ab"[patient % 2] / f"p{patient}_{split}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (3, 3)).save(path)
    notes = open_splits(tmp_path, TargetOptions(group_pattern=r"p\d"), split_by="target")["train"].notes
    assert "warning: 1 groups are in several of the target's own splits: p4" in notes


@pytest.mark.parametrize(
    "names",
    [
        ["a/patient{p}_img{i}.png"],
        ["a/{p:08d}_{i:03d}.png"],  # NIH
        ["patient{p:05d}/study1/view{i}.jpg"],  # CheXpert
        ["a/sub-{p}/slice-{i}.nii.gz"],
        ["TCGA_{p}_19960101_{i}.tif"],
        ["x/case {p}/im{i}.png"],
    ],
)
def test_names_that_suggest_groups(names: list[str]) -> None:
    ids = [name.format(p=patient, i=number) for name in names for patient in range(5, 12) for number in range(3)]
    pattern = grouping.suspected_pattern(ids)
    assert pattern is not None
    assert len(set(grouping.group_names(ids, pattern))) == 7, "what is proposed works"


@pytest.mark.parametrize(
    "name",
    ["ISIC_{p:04d}{i}.png", "benign ({p}{i}).png", "{p}{i}.png", "a/img{p}_{i}x{p}{i}.png", "IM-00{p}{i}-0001.dcm"],
)
def test_names_that_suggest_none(name: str) -> None:
    ids = [name.format(p=patient, i=number) for patient in range(5, 12) for number in range(3)]
    pattern = grouping.suspected_pattern(ids)
    assert pattern is None or name.startswith("a/img")


def test_suspected_groups_are_warned_of(clinic: Path) -> None:
    note, table = open_target(clinic).notes
    assert table.startswith("tables in the folder are not read: t.csv")
    assert note.startswith("warning: file names suggest several images of one patient")
    assert "--group-pattern" in note
    assert open_target(clinic, group_pattern="patient[0-9]+").notes[0].startswith("6 groups of 6 images")


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("(", UsageError, "is no regular expression"),
        ("doctor", TargetError, "finds no group in 36 of 36 names"),
        ("patient0", TargetError, "finds no group in 30 of 36 names"),
        ("patient", TargetError, "puts all images into one group"),
        ("(x?)patient", TargetError, "finds no group in 36"),
    ],
)
def test_patterns_that_cannot_be_used(clinic: Path, pattern: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_target(clinic, group_pattern=pattern)


def test_a_pattern_that_never_ends_is_stopped(clinic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_SECONDS", 1)
    with pytest.raises(UsageError, match="takes more than 1 seconds") as caught:
        grouping.group_names(["a" * 200 + "!", "b"], "^(a+)+$")
    assert caught.value.hint


def test_columns_that_cannot_be_used(clinic: Path) -> None:
    with pytest.raises(TargetError, match="no column 'doctor'"):
        open_target(clinic / "t.csv", group_column="doctor")
    text = (clinic / "t.csv").read_text().replace(",0ill", ",")
    (clinic / "t.csv").write_text(text)
    with pytest.raises(TargetError, match="3 of 36 cells of the column 'patient' are empty"):
        open_target(clinic / "t.csv", group_column="patient")
    with pytest.raises(UsageError, match="--group-column needs a table"):
        open_target(clinic, group_column="patient")


def masked_patients(folder: Path, *, patients: int = 6, each: int = 2) -> Path:
    """Images with masks whose names tell no patient, and beside the folder patients.csv, which does."""
    count = patients * each
    masks = [np.zeros((20, 20), np.uint8) for _ in range(count)]
    for place, mask in enumerate(masks):
        mask[4 : 12 + place % 3, 5:12] = 1
    masked_set(folder, masks, names=("scan{:02d}", "scan{:02d}"))
    rows = [f"images/scan{place:02d}.png,{place},person {place // each}" for place in range(count)]
    (folder.parent / "patients.csv").write_text("\n".join(["file,age,patient", *rows]))
    return folder


@pytest.mark.parametrize("cell", ["images/scan{:02d}.png", "scan{:02d}.png", "scan{:02d}", "masks\\scan{:02d}.tif"])
def test_groups_of_a_table_beside_images_with_masks(tmp_path: Path, cell: str) -> None:
    path = masked_patients(tmp_path / "data")
    rows = [f"{cell.format(place)};p{place // 2}" for place in range(14)]
    (tmp_path / "groups.csv").write_text("\n".join(["image;who", *rows]))
    target = open_target(path, group_table=str(tmp_path / "groups.csv"))
    assert target.groups == tuple(f"p{place // 2}" for place in range(12))
    assert target.notes[-1] == "6 groups of 2 images are kept on one side of every split"


def test_groups_of_a_table_beside_class_folders(tmp_path: Path) -> None:
    path = tree(tmp_path / "data", "a", "b", each=4)
    rows = [f"{label}/{place}.png,p{place // 2}" for label in "ab" for place in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["path,patient", *rows]))
    assert open_target(path, group_table=str(tmp_path / "t.csv")).groups == ("p0", "p0", "p1", "p1") * 2


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"group_column": "patient"}, "--group-column needs a table", "--group-table FILE"),
        ({"group_table": "t.csv"}, "has the columns file, age, patient", "--group-column patient"),
        ({"group_table": "t.csv", "group_column": "patients"}, "no column 'patients'", "patient"),
        ({"group_table": "t.csv", "group_column": "file"}, "names 0 of 12 images", "one row an image"),
        ({"group_table": "t.csv", "group_column": "patient", "group_pattern": "s"}, "exclude each other", "leave one"),
    ],
)
def test_tables_of_groups_that_are_refused(tmp_path: Path, options: dict[str, str], message: str, hint: str) -> None:
    path = masked_patients(tmp_path / "data")
    where = {key: str(tmp_path / "patients.csv") if value == "t.csv" else value for key, value in options.items()}
    with pytest.raises(AcrankError) as caught:
        open_target(path, **where)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_an_image_in_two_groups_is_refused(tmp_path: Path) -> None:
    path = masked_patients(tmp_path / "data")
    table = tmp_path / "patients.csv"
    table.write_text(table.read_text() + "\nimages/scan00.png,3,person 5")
    with pytest.raises(TargetError, match=r"images/scan00\.png is in person 0 and in person 5"):
        open_target(path, group_table=str(table), group_column="patient")
