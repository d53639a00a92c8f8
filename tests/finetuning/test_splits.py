"""Partitions: every image in one part, every class in every part, reproducible."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.volume_sets import write_decathlon
from helpers.workbench import make_images
from hypothesis import given
from hypothesis import strategies as st

from acrank.errors import TargetError
from acrank.finetuning.splits import open_splits, partition_indices
from acrank.targets import TargetOptions

SIZES = st.lists(st.integers(3, 40), min_size=2, max_size=6)
SHARES = st.tuples(st.floats(0.05, 0.45), st.floats(0.05, 0.45))


@given(SIZES, SHARES, st.integers(0, 20))
def test_parts_are_disjoint_whole_and_stratified(sizes: list[int], shares: tuple[float, float], split: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = partition_indices(labels, split=split, val_share=shares[0], test_share=shares[1])
    together = np.concatenate(list(parts.values()))
    assert sorted(together) == list(range(len(labels)))
    for name, share in (("val", shares[0]), ("test", shares[1])):
        counts = np.bincount(labels[parts[name]], minlength=len(sizes))
        assert (counts >= 1).all()
        assert (np.abs(counts - np.array(sizes) * share) <= 1.5).all()
    assert (np.bincount(labels[parts["train"]], minlength=len(sizes)) >= 1).all()
    again = partition_indices(labels, split=split, val_share=shares[0], test_share=shares[1])
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


def test_each_number_is_another_partition() -> None:
    labels = np.repeat([0, 1], 50)
    tests = [tuple(partition_indices(labels, split=i, val_share=0.2, test_share=0.3)["test"]) for i in range(5)]
    assert len(set(tests)) == 5


def test_the_shares_are_those_of_the_whole() -> None:
    parts = partition_indices(np.repeat([0, 1], [100, 200]), split=0, val_share=0.2, test_share=0.3)
    assert {name: len(part) for name, part in parts.items()} == {"train": 150, "val": 60, "test": 90}


def test_a_class_of_two_images_is_too_small() -> None:
    with pytest.raises(TargetError, match="too few images"):
        partition_indices(np.array([0, 0, 0, 1, 1]), split=0, val_share=0.2, test_share=0.2)


def test_a_target_that_cannot_be_read_is_named_and_not_its_splits(tmp_path: Path) -> None:
    write_decathlon(tmp_path / "d")
    path = min((tmp_path / "d" / "labelsTr").iterdir())
    image = nibabel.load(path)
    moved = image.affine.copy()
    moved[:3, 3] += 50
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), moved), path)
    with pytest.raises(TargetError, match="lies elsewhere than"):
        open_splits(tmp_path / "d", TargetOptions(slices=3))


def test_a_damaged_validation_split_is_no_missing_one(tmp_path: Path) -> None:
    for split in ("train", "test", "val"):
        make_images(tmp_path / "t" / split, classes=2, each=4, size=8)
    assert set(open_splits(tmp_path / "t", split_by="target")) == {"train", "test", "val"}
    shutil.rmtree(tmp_path / "t" / "val" / "class1")
    with pytest.raises(TargetError, match="one class only"):
        open_splits(tmp_path / "t", split_by="target")
    shutil.rmtree(tmp_path / "t" / "val")
    found = open_splits(tmp_path / "t", split_by="target")
    assert set(found) == {"train", "test"}
    assert any("no validation split" in note for note in found["train"].notes)
