"""Images and masks under any common name, in splits, among class images, several for an image, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import open_target
from acrank.targets.layouts import mask_lookalikes

NAMES = [f"case_{place}" for place in range(6)]


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8)).astype(np.uint8)).save(path)


def mask(path: Path, columns: slice) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.zeros((8, 8), np.uint8)
    drawn[:, columns] = 255
    Image.fromarray(drawn).save(path)


def segmentation_set(root: Path, images: str, masks: str, *, names: tuple[str, str] = ("{}.png", "{}.png")) -> Path:
    for place in range(6):
        picture(root / images / names[0].format(place), place)
        mask(root / masks / names[1].format(place), slice(0, 3))
    return root


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("Original", "Ground Truth"),
        ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"),
        ("JPEGImages", "SegmentationClass"),
        ("imgs", "gts"),
        ("photos", "segmentations"),
        ("Input_Images", "Labels"),
        ("frames", "annotations"),
    ],
)
def test_folders_under_any_common_name(tmp_path: Path, images: str, masks: str) -> None:
    target = open_target(segmentation_set(tmp_path, images, masks))
    assert (target.task, len(target), target.classes) == ("segmentation", 6, ("background", "foreground"))
    assert target.mask_store.mask(0).mean() == 3 / 8


@pytest.mark.parametrize(
    "names",
    [
        ("ISIC_000{}.png", "ISIC_000{}_segmentation.png"),
        ("2{}_training.png", "2{}_manual1.png"),
        ("{}.png", "{}_lesion_outline_v2.png"),
        ("img_{}.png", "mask_{}.png"),
        ("scan{}.png", "truth{}.png"),
        ("image-{}.png", "image-{}-GT.png"),
        ("x {}.png", "x {} label.png"),
    ],
)
def test_names_that_pair(tmp_path: Path, names: tuple[str, str]) -> None:
    assert len(open_target(segmentation_set(tmp_path, "images", "masks", names=names))) == 6


def test_edges_beside_masks_are_left_out(tmp_path: Path) -> None:
    segmentation_set(tmp_path, "images", "masks")
    segmentation_set(tmp_path, "images", "edges")
    target = open_target(tmp_path)
    assert target.task == "segmentation"
    assert target.notes[0] == "images of images, masks of masks; folders beside them are left out: edges"


def test_drive_takes_what_a_person_drew(tmp_path: Path) -> None:
    for split in ("training", "test"):
        segmentation_set(tmp_path / split, "images", "1st_manual", names=(f"2{{}}_{split}.png", "2{}_manual1.png"))
        segmentation_set(tmp_path / split, "images", "mask", names=(f"2{{}}_{split}.png", f"2{{}}_{split}_mask.png"))
    target = open_target(tmp_path)
    assert target.ids[0] == "training/20_training"
    assert "images of images, masks of 1st_manual; folders beside them are left out: mask" in target.notes
    assert len(open_target(tmp_path, split="test")) == 6


def test_two_folders_of_masks_are_asked_about(tmp_path: Path) -> None:
    segmentation_set(tmp_path, "images", "masks")
    segmentation_set(tmp_path, "images", "gts")
    with pytest.raises(TargetError, match="the masks of images may be in gts, masks"):
        open_target(tmp_path)


@pytest.mark.parametrize("splits", [("Training", "Testing"), ("TRAIN", "dev")])
def test_splits_in_any_spelling_above_and_in_names(tmp_path: Path, splits: tuple[str, str]) -> None:
    for split in splits:
        segmentation_set(tmp_path / "above" / split, "Images", "Masks")
        segmentation_set(tmp_path / "names", f"{split}_images", f"{split}_masks")
        segmentation_set(tmp_path / "below", f"images/{split}", f"masks/{split}")
    for folder in ("above", "names", "below"):
        target = open_target(tmp_path / folder)
        assert (target.task, len(target)) == ("segmentation", 6), folder


@pytest.mark.parametrize("folders", [("A", "B"), ("left", "truths_of_left")])
def test_pairs_under_other_names_are_refused_as_classes(tmp_path: Path, folders: tuple[str, str]) -> None:
    segmentation_set(tmp_path, *folders)
    if folders[0] == "left":
        segmentation_set(tmp_path, "right", "other")
    with pytest.raises(TargetError, match="is a segmentation set, it seems"):
        open_target(tmp_path)
    assert open_target(tmp_path, class_folders="top").task == "classification"
    overruled = open_target(tmp_path, doubts="warn")
    assert overruled.task == "classification"
    assert any(note.startswith("warning: a segmentation set, it seems") for note in overruled.notes)


def test_classes_whose_images_have_the_same_names_stay_classes(tmp_path: Path) -> None:
    for name in ("scans", "lines"):
        for place in range(6):
            picture(tmp_path / "photos" / name / f"{place}.png", place)
            mask(tmp_path / "drawings" / name / f"{place}.png", slice(0, place + 1))
    assert open_target(tmp_path / "photos").classes == ("lines", "scans")
    assert open_target(tmp_path / "drawings").classes == ("lines", "scans"), "all images have two values"


@pytest.fixture
def busi(tmp_path: Path) -> Path:
    """Masks among the images of classes, as BUSI is published; one image has two."""
    for place, name in enumerate(("benign (1)", "benign (2)", "malignant (1)", "malignant (2)")):
        folder = tmp_path / name.split()[0]
        picture(folder / f"{name}.png", place)
        mask(folder / f"{name}_mask.png", slice(0, 2))
    mask(tmp_path / "benign" / "benign (1)_mask_1.png", slice(6, 8))
    return tmp_path


def test_masks_among_class_images_are_no_images(busi: Path) -> None:
    target = open_target(busi)
    assert (target.task, len(target), target.classes) == ("classification", 4, ("benign", "malignant"))
    assert target.notes[0] == "5 masks beside their images are left out (--task segmentation reads them)"


def test_masks_among_class_images_are_united_for_segmentation(busi: Path) -> None:
    target = open_target(busi, task="segmentation")
    assert target.ids[0] == "benign/benign (1)"
    united = target.mask_store.mask(0)
    assert united.sum(axis=0).tolist() == [8, 8, 0, 0, 0, 0, 8, 8]
    assert target.mask_store.mask(1).sum() == 16
    assert "1 images have several masks, which are united" in target.notes
    before = target.raw_digest([0])
    mask(busi / "benign" / "benign (1)_mask_1.png", slice(5, 8))
    assert target.raw_digest([0]) != before, "every mask of an image is part of the digest"


def test_a_flat_folder_of_images_and_masks(tmp_path: Path) -> None:
    for place in range(4):
        picture(tmp_path / f"slice_{place}.png", place)
        mask(tmp_path / f"slice_{place}_mask.png", slice(0, 2))
    assert (open_target(tmp_path).task, len(open_target(tmp_path))) == ("segmentation", 4)


def test_images_without_a_mask_beside_them_are_named(busi: Path) -> None:
    picture(busi / "normal" / "normal (1).png", 9)
    assert len(open_target(busi).classes) == 3
    with pytest.raises(TargetError, match=r"1 images have no mask beside them: normal/normal \(1\)"):
        open_target(busi, task="segmentation")


def test_masks_that_no_image_takes_are_counted(tmp_path: Path) -> None:
    segmentation_set(tmp_path, "images", "masks")
    mask(tmp_path / "masks" / "other.png", slice(0, 2))
    assert "1 masks without an image are left out: other" in open_target(tmp_path).notes


@pytest.mark.parametrize(
    ("drawn", "message"), [(np.full((8, 8), 7), "different classes"), (np.zeros((4, 4)), "is 4 x 4, ")]
)
def test_masks_that_cannot_be_united(tmp_path: Path, drawn: np.ndarray, message: str) -> None:
    segmentation_set(tmp_path, "images", "masks", names=("{}.png", "{}_mask.png"))
    Image.fromarray(drawn.astype(np.uint8)).save(tmp_path / "masks" / "0_mask_1.png")
    with pytest.raises(TargetError, match=message):
        open_target(tmp_path, ignore_value="none").mask_store.mask(0)


def test_several_masks_of_other_names_for_each_image_are_refused_as_classes(tmp_path: Path) -> None:
    for place in range(4):
        stem = f"aachen_{place:06}_000019"
        picture(tmp_path / "leftImg8bit" / "train" / "aachen" / f"{stem}_leftImg8bit.png", place)
        for kind in ("labelIds", "instanceIds", "color"):
            mask(tmp_path / "gtFine" / "train" / "aachen" / f"{stem}_gtFine_{kind}.png", slice(2, 4 + place % 2))
    with pytest.raises(TargetError, match="'gtFine' holds a mask for the images in 'leftImg8bit'"):
        open_target(tmp_path)


def test_classes_with_several_files_of_a_number_are_classes(tmp_path: Path) -> None:
    for place in range(4):
        picture(tmp_path / "cat" / f"{place}_photo.png", place)
        for seed, kind in enumerate(("left", "right"), 10):
            picture(tmp_path / "dog" / f"{place}_{kind}.png", seed + place)
    assert open_target(tmp_path).classes == ("cat", "dog")


@given(
    arrays(np.uint8, st.integers(1, 40), elements=st.integers(0, 8)),
    st.integers(1, 12),
)
def test_few_values_are_counted_exactly_and_many_as_many(values: np.ndarray, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_lookalikes, "_BLOCK", block)
        found = mask_lookalikes._count_of_values(values)
    exact = len(set(values.tolist()))
    assert min(found, mask_lookalikes._MOST_LEVELS + 1) == min(exact, mask_lookalikes._MOST_LEVELS + 1)
