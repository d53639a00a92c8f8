"""Segmentation from arrays: images or volumes with masks, in .npz and HDF5, with splits or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from acrank.errors import TargetError
from acrank.targets import open_target
from acrank.targets.target import IGNORED

RNG = np.random.default_rng(0)
Writer = Callable[..., Path]


@pytest.fixture(params=["npz", "hdf5"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Writer:
    def save(**arrays: np.ndarray) -> Path:
        path = tmp_path / f"t.{'npz' if request.param == 'npz' else 'h5'}"
        if request.param == "npz":
            np.savez(path, **arrays)  # type: ignore[arg-type]
        else:
            with h5py.File(path, "w") as file:
                for name, values in arrays.items():
                    file[name] = values
        return path

    return save


def halves(*shape: int, value: int = 1) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[..., shape[-1] // 2 :] = value
    return mask


@pytest.mark.parametrize("key", ["masks", "labels"])
@pytest.mark.parametrize(
    ("images", "masks", "axes", "spatial", "channels"),
    [
        ((5, 8, 9), (5, 8, 9), 2, (8, 9), 1),
        ((5, 8, 9, 3), (5, 8, 9), 2, (8, 9), 3),
        ((5, 3, 8, 9), (5, 8, 9), 2, (8, 9), 3),
        ((5, 1, 8, 9), (5, 1, 8, 9), 2, (8, 9), 1),
        ((5, 8, 9, 1), (5, 8, 9, 1), 2, (8, 9), 1),
        ((5, 8, 9, 3), (5, 8, 9, 3), 3, (8, 9, 3), 1),  # from the masks: volumes, not colours
        ((5, 7, 8, 9), (5, 7, 8, 9), 3, (7, 8, 9), 1),
        ((5, 2, 7, 8, 9), (5, 7, 8, 9), 3, (7, 8, 9), 2),
        ((5, 2, 7, 8, 9), (5, 1, 7, 8, 9), 3, (7, 8, 9), 2),
    ],
)
def test_item_axes(
    write: Writer,
    key: str,
    images: tuple[int, ...],
    masks: tuple[int, ...],
    axes: int,
    spatial: tuple[int, ...],
    channels: int,
) -> None:
    pixels = RNG.integers(0, 256, images, dtype=np.uint8)
    target = open_target(write(images=pixels, **{key: halves(*spatial).reshape(masks[1:])[None].repeat(5, 0)}))
    assert (target.task, target.axes, target.classes) == ("segmentation", axes, ("background", "foreground"))
    assert target.read(2).shape == (channels, *spatial)
    assert np.array_equal(target.mask_store.mask(4), halves(*spatial))
    assert target.mask_store.shape(0) == spatial
    where = tuple(slice(1, 3) for _ in spatial)
    assert np.array_equal(target.mask_store.crop(3, where)[0], target.read(3)[(slice(None), *where)])


def test_splits_and_groups(write: Writer, tmp_path: Path) -> None:
    arrays = {}
    for split, count in (("train", 4), ("test", 2)):
        arrays[f"{split}_images"] = RNG.integers(0, 256, (count, 8, 9), dtype=np.uint8)
        arrays[f"{split}_masks"] = halves(count, 8, 9)
    path = write(**arrays)
    assert open_target(path).ids == tuple(f"train/{i}" for i in range(4))
    joined = open_target(path, split="all")
    assert joined.ids[:2] == ("test/0", "test/1")
    np.testing.assert_allclose(joined.read(5)[0], arrays["train_images"][3] / 255, rtol=1e-6)
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        for name, values in arrays.items():
            file[name.replace("_", "/")] = values
    assert open_target(tmp_path / "groups.h5", split="all").raw_digest(range(6)) == joined.raw_digest(range(6))


def test_labels_are_preferred_to_masks_unless_the_task_is_segmentation(write: Writer) -> None:
    path = write(images=np.zeros((4, 8, 9), np.uint8), masks=halves(4, 8, 9), labels=np.array([0, 1, 0, 1]))
    assert open_target(path).task == "classification"
    assert "masks are left out" in open_target(path).notes[0]
    assert open_target(path, task="segmentation").task == "segmentation"
    assert open_target(path, labels_key="masks").task == "segmentation"


def test_ignored_values(write: Writer) -> None:
    masks = halves(4, 8, 9, value=3).astype(np.int16)
    masks[:, 0], masks[:, 1] = 255, -1
    target = open_target(write(images=np.zeros((4, 8, 9), np.uint8), masks=masks), ignore_value="255")
    assert target.notes == [
        "masks: values 0, 3 are the classes background, foreground; 255 is ignored; negative values are ignored"
    ]
    coded = target.mask_store.mask(0)
    assert (coded[:2] == IGNORED).all()
    assert coded[2].tolist() == [0] * 4 + [1] * 5


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (halves(4, 8, 7), r"masks 'masks' of shape \[4, 8, 7\], images 'images' of \[4, 8, 9\]"),
        (halves(3, 8, 9), "4 images in 'images', 3 labels in 'masks'"),
        (halves(4, 8, 9) * 0, "one value only"),
        (halves(4, 8, 9) * 0.5, "holds fractions"),
    ],
)
def test_unusable_masks(write: Writer, masks: np.ndarray, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        open_target(write(images=np.zeros((4, 8, 9), np.uint8), masks=masks))
    assert caught.value.hint


def test_masks_belong_to_the_digest(write: Writer) -> None:
    images, masks = np.zeros((4, 8, 9), np.uint8), halves(4, 8, 9)
    before = open_target(write(images=images, masks=masks)).raw_digest([0, 2])
    masks[2, 0, 0] = 1
    assert open_target(write(images=images, masks=masks)).raw_digest([0, 2]) != before
