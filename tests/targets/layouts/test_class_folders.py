"""Class folders: what counts as an image, splits, and everything that makes a folder unusable."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import open_target


def image(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for name, value in (("dog/2.png", 51), ("cat/b.png", 102), ("cat/a.png", 255), ("dog/1.png", 0)):
        image(tmp_path / "pets" / name, value)
    return tmp_path / "pets"


def test_ids_are_sorted_and_labels_follow_them(pets: Path) -> None:
    target = open_target(pets)
    assert (target.name, target.layout, target.task) == ("pets", "folders", "classification")
    assert target.ids == ("cat/a.png", "cat/b.png", "dog/1.png", "dog/2.png")
    assert target.classes == ("cat", "dog")
    assert target.labels.dtype == np.int64
    assert target.labels.tolist() == [0, 0, 1, 1]
    assert target.notes == []
    means = [float(target.read(index).mean()) for index in range(len(target))]
    np.testing.assert_allclose(means, [1.0, 0.4, 0.0, 0.2], rtol=1e-6)


def test_a_class_name_that_sorts_after_its_neighbours_files(tmp_path: Path) -> None:
    image(tmp_path / "a" / "x.png")
    image(tmp_path / "a b" / "x.png")  # "a b/x" sorts before "a/x", the class "a" before "a b"
    target = open_target(tmp_path)
    assert target.ids == ("a b/x.png", "a/x.png")
    assert target.classes == ("a", "a b")
    assert target.labels.tolist() == [1, 0]


def test_folders_within_a_class_belong_to_it(pets: Path) -> None:
    image(pets / "cat" / "patient7" / "scan.png")
    assert "cat/patient7/scan.png" in open_target(pets).ids


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_that_circles_ends(pets: Path) -> None:
    (pets / "cat" / "again").symlink_to(pets / "cat", target_is_directory=True)
    assert len(open_target(pets)) == 4


def test_hidden_and_other_files_are_left_out_and_unknown_ones_counted(pets: Path) -> None:
    for name in ("cat/.hidden.png", "cat/notes.txt", ".git/x.png", "__MACOSX/cat/._a.png"):
        (pets / name).parent.mkdir(parents=True, exist_ok=True)
        (pets / name).write_bytes(b"")
    for name in ("cat/scan.svs", "dog/scan.svs", "dog/README"):
        (pets / name).write_bytes(b"")
    image(pets / "loose.png")
    (pets / "licence.txt").write_bytes(b"")
    target = open_target(pets)
    assert len(target) == 4
    assert target.notes == [
        "1 images beside the class folders are left out",
        "3 files of unknown kinds are left out: .svs (2), no suffix (1)",
    ]


def test_suffixes_in_capitals_are_images(pets: Path) -> None:
    image(pets / "cat" / "C.PNG")
    assert "cat/C.PNG" in open_target(pets).ids


def test_files_named_like_masks_are_pointed_out(pets: Path) -> None:
    for name in ("cat/a_mask.png", "cat/a_mask_1.png", "dog/masked-man.png"):
        image(pets / name)
    (pets / "dog" / "other_mask.png").write_bytes((pets / "dog" / "1.png").read_bytes())
    target = open_target(pets)
    assert not [name for name in target.ids if "a_mask" in name]
    assert target.notes == [
        "2 masks beside their images are left out (--task segmentation reads them)",
        "1 files are named like segmentation masks but read as images: move them out if they are",
    ]


@pytest.fixture
def split(tmp_path: Path) -> Path:
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for name in ("cat", "dog"):
            for place in range(count):
                image(tmp_path / "s" / part / name / f"{place}.png")
    return tmp_path / "s"


@pytest.mark.parametrize(("name", "count"), [(None, 6), ("train", 6), ("val", 4), ("test", 2), ("all", 12)])
def test_splits(split: Path, name: str | None, count: int) -> None:
    target = open_target(split, split=name)
    assert len(target) == count
    assert target.classes == ("cat", "dog")
    assert list(target.ids) == sorted(set(target.ids))
    assert {id_.split("/")[0] for id_ in target.ids} == (
        {"train", "val", "test"} if name == "all" else {name or "train"}
    )
    assert [target.classes[label] for label in target.labels] == [id_.split("/")[1] for id_ in target.ids]


def test_the_default_split_is_noted(split: Path) -> None:
    assert open_target(split).notes == ['split "train" of test, train, val ("all" joins them)']
    assert open_target(split, split="train").notes == []


def test_folders_beside_the_splits_are_noted(split: Path) -> None:
    image(split / "extra" / "x.png")
    assert "folders beside the splits are left out: extra" in open_target(split, split="val").notes


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train/ice/1.png", "bus/1.png"):
        image(tmp_path / name)
    assert open_target(tmp_path).classes == ("bus", "train")


def test_the_scale_assumed_for_float_files_is_noted_once(pets: Path) -> None:
    for name, value in (("x.tif", 0.5), ("y.tif", 0.7), ("z.tif", 90.0)):
        Image.fromarray(np.full((3, 3), value, np.float32)).save(pets / "cat" / name)
    target = open_target(pets)
    for index in range(len(target)):
        target.read(index)
    assert target.notes == ["float images: assumed range [0, 255]"], "one range for all: 90 is of 0 to 255"


def test_only_sampled_images_are_decoded(pets: Path) -> None:
    (pets / "cat" / "a.png").write_bytes(b"garbage")
    target = open_target(pets)
    assert target.read(1).shape == (1, 4, 5)
    with pytest.raises(TargetError, match=r"cat/a\.png"):
        target.read(0)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no images in"),
        (["a.png"], "holds 1 images but no class folders"),
        (["cat/a.png"], "one class only: cat"),
        (["cat/a.png", "dog/notes.txt"], "the class folder dog holds no images"),
        (["cat/a.svs", "dog/a.svs"], r"no images in .* \(files of unknown kinds: \.svs \(2\)\)"),
        (["train/a.png", "test/a.png"], "holds test, train but no class folders in them"),
        (["val/cat/a.png", "test/cat/a.png"], "no split 'train', only test, val"),
        (["train/cat/a.png", "train/dog/x.txt", "val/cat/a.png"], "the class folder train/dog holds no images"),
        (["images/a.png", "masks/b.png"], "1 images have no mask: a"),
    ],
)
def test_unusable_folders(tmp_path: Path, files: list[str], message: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(TargetError, match=message) as caught:
        open_target(tmp_path)
    assert caught.value.hint


def test_an_empty_class_in_another_split_does_not_matter(split: Path) -> None:
    (split / "test" / "bird").mkdir()
    assert len(open_target(split)) == 6
    with pytest.raises(TargetError, match="test/bird"):
        open_target(split, split="all")


def test_no_split_where_there_are_none(pets: Path) -> None:
    with pytest.raises(TargetError, match="has no splits"):
        open_target(pets, split="val")
    assert len(open_target(pets, split="all")) == 4


def test_class_folders_refuse_regression(pets: Path) -> None:
    with pytest.raises(TargetError, match="for classification, not regression"):
        open_target(pets, task="regression")


def test_breast_ultrasound_opens(shared: Path) -> None:
    target = open_target(shared / "data" / "busi")
    assert target.classes == ("benign", "malignant", "normal")
    assert np.bincount(target.labels).tolist() == [437, 210, 133]
    assert target.read(0).shape == (1, 128, 128)


def test_vessel_masks_are_not_classes(shared: Path) -> None:
    assert open_target(shared / "data" / "drive").task == "segmentation"
    with pytest.raises(TargetError, match="holds images and masks"):
        open_target(shared / "data" / "drive", task="classification")
