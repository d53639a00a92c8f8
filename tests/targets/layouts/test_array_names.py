"""Arrays under other names than images and labels: what usual names mean, and what is not guessed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from acrank.errors import TargetError
from acrank.targets import open_target
from acrank.targets.layouts.array_names import usual_names

IMAGES = np.random.default_rng(0).integers(0, 255, (8, 6, 6, 3)).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 1, 0, 0, 1])
NAMES = [
    ("x_{}", "y_{}"),
    ("X_{}", "Y_{}"),
    ("{}_x", "{}_y"),
    ("{}_data", "{}_labels"),
    ("images_{}", "labels_{}"),
    ("img-{}", "target-{}"),
    ("x{}", "y{}"),
]


def stored(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for key, values in arrays.items():
                file[key] = values
    return path


@pytest.mark.parametrize("file", ["t.npz", "t.h5"])
@pytest.mark.parametrize(("images", "labels"), NAMES)
def test_splits_in_names(tmp_path: Path, images: str, labels: str, file: str) -> None:
    train, test = {"train": slice(0, 6), "test": slice(6, 8)}.values()
    arrays = {images.format("train"): IMAGES[train], labels.format("train"): LABELS[train]}
    arrays |= {images.format("test"): IMAGES[test], labels.format("test"): LABELS[test]}
    usual = {"train_images": IMAGES[train], "train_labels": LABELS[train]}
    usual |= {"test_images": IMAGES[test], "test_labels": LABELS[test]}
    path, plain = stored(tmp_path / file, arrays), stored(tmp_path / f"plain-{file}", usual)
    for split in (None, "test", "all"):
        target, twin = open_target(path, split=split), open_target(plain, split=split)
        assert target.fingerprint == twin.fingerprint
        assert np.array_equal(target.read(1), twin.read(1))
    said = f"images are those of {images.format('train')!r}, labels those of {labels.format('train')!r}"
    assert said in open_target(path).notes
    assert not [note for note in open_target(plain).notes if "those of" in note]


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("data", "target"), ("image", "label"), ("imgs", "class")])
def test_files_without_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    target = open_target(stored(tmp_path / "t.npz", dict(zip(names, (IMAGES, LABELS), strict=True))))
    assert target.labels.tolist() == LABELS.tolist()
    assert np.array_equal(target.read(3), IMAGES[3].transpose(2, 0, 1).astype(np.float32) / 255)


def test_masks_under_usual_names(tmp_path: Path) -> None:
    masks = (IMAGES[..., 0] > 99).astype(np.uint8)
    for place, name in enumerate(("y_train", "mask_train", "train_masks")):
        target = open_target(stored(tmp_path / f"{place}.npz", {"x_train": IMAGES, name: masks}))
        assert target.task == "segmentation"
        assert np.array_equal(target.mask_store.mask(2), masks[2])


def test_the_plain_name_goes_first_and_two_others_are_not_guessed(tmp_path: Path) -> None:
    plain = {"images": IMAGES, "labels": LABELS, "x": IMAGES[:2], "y": LABELS[:2]}
    assert len(open_target(stored(tmp_path / "plain.npz", plain))) == 8
    two = stored(tmp_path / "two.npz", {"x_train": IMAGES, "train_data": IMAGES, "y_train": LABELS})
    with pytest.raises(TargetError, match="it has: train_data, x_train, y_train") as caught:
        open_target(two)
    assert "--images-key" in str(caught.value.hint)
    assert len(open_target(two, images_key="x_train", labels_key="y_train")) == 8


@pytest.mark.parametrize(
    "key", ["box", "x_ray", "xy", "train", "train_x_test", "trainer_x", "metadata", "arr_0", "xfold_0"]
)
def test_names_that_mean_nothing_usual(key: str) -> None:
    assert usual_names([key]) == {}


def test_two_files_of_several_arrays(tmp_path: Path) -> None:
    images = stored(tmp_path / "x.npz", {"x": IMAGES, "meta": LABELS})
    labels = stored(tmp_path / "y.h5", {"y": LABELS, "meta": LABELS[:3]})
    assert open_target(images, labels_file=str(labels)).labels.tolist() == LABELS.tolist()
