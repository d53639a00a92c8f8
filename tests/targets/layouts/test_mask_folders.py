"""images/ and masks/: pairing by name, what mask values mean, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import write_masks as write
from PIL import Image

from acrank.errors import TargetError, UsageError
from acrank.targets import open_target
from acrank.targets.target import IGNORED


def half(value: int, size: tuple[int, int] = (6, 8)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[:, : size[1] // 2] = value
    return mask


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("suffix", ["", "_mask", "-seg"])
def test_two_values_are_background_and_foreground(tmp_path: Path, value: int, suffix: str) -> None:
    target = open_target(
        write(tmp_path / "t", {"b": half(value), "a": half(value).T.copy().reshape(6, 8)}, suffix=suffix)
    )
    assert (target.task, target.layout, target.ids) == ("segmentation", "masks", ("a", "b"))
    assert target.classes == ("background", "foreground")
    assert np.array_equal(target.mask_store.mask(1), half(1))
    assert target.read(0).shape == (1, 6, 8)


def test_more_values_are_classes_and_255_is_ignored(tmp_path: Path) -> None:
    mask = half(7)
    mask[0], mask[1] = 3, 255
    folder = write(tmp_path / "t", {"a": mask, "b": half(7)})
    target = open_target(folder, ignore_value="255")
    assert target.classes == ("0", "3", "7")
    coded = target.mask_store.mask(0)
    assert (coded[0] == 1).all()
    assert (coded[1] == IGNORED).all()
    assert coded[2].tolist() == [2] * 4 + [0] * 4
    with pytest.raises(TargetError, match=r"0, 3, 7 and 255, which may be a class or mark ignored positions"):
        open_target(folder)
    assert open_target(folder, ignore_value="none").classes == ("0", "3", "7", "255")
    with pytest.raises(UsageError, match="--ignore-value must be a whole number or none, got 'x'"):
        open_target(folder, ignore_value="x")


def test_a_palette_gives_its_indices(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", {"a": half(1), "b": half(1)})
    painted = Image.fromarray(half(1)).convert("P")
    painted.putpalette([9, 9, 9, 200, 0, 0])
    painted.save(folder / "masks" / "a.png")
    assert np.array_equal(open_target(folder).mask_store.mask(0), half(1))


def test_a_value_beyond_the_sampled_masks_is_refused_when_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", {f"{i:03d}": half(1) for i in range(200)})
    target = open_target(folder)
    Image.fromarray(half(9)).save(folder / "masks" / "001.png")
    with pytest.raises(TargetError, match=r"001\.png holds the value 9; the classes are 0, 1"):
        target.mask_store.mask(1)


def test_unusable_masks(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (6, 8)) * np.ones((6, 8), int)
    many = np.arange(96).reshape(8, 12)
    with pytest.raises(TargetError, match="hold one value only"):
        open_target(write(tmp_path / "one", {"a": half(0), "b": half(0)}))
    with pytest.raises(TargetError, match="hold 96 values"):
        open_target(write(tmp_path / "many", {"a": many, "b": many}))
    folder = write(tmp_path / "colour", {"a": half(1), "b": half(1)})
    Image.fromarray(np.stack([noise, noise.T.reshape(6, 8), noise], -1).astype(np.uint8)).save(
        folder / "masks" / "a.png"
    )
    with pytest.raises(TargetError, match="is not a mask of class values"):
        open_target(folder)


def test_image_and_mask_of_different_sizes(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", {"a": half(1), "b": half(1)})
    Image.fromarray(half(1, (4, 4))).save(folder / "masks" / "a.png")
    with pytest.raises(TargetError, match=r"is 6 x 8, its mask is 4 x 4 \(height x width\)"):
        open_target(folder).mask_store.crop(0, (slice(0, 4), slice(0, 4)))


def test_masks_are_part_of_the_digest(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", {"a": half(1), "b": half(1)})
    target = open_target(folder)
    before = target.raw_digest([0, 1])
    Image.fromarray(1 - half(1)).save(folder / "masks" / "b.png")
    assert target.raw_digest([0, 1]) != before


def test_class_folders_called_masks_among_others_may_be_classes(tmp_path: Path) -> None:
    for place, name in enumerate(("images", "masks", "scans")):
        (tmp_path / name).mkdir()
        Image.fromarray(half(1)).save(tmp_path / name / f"{place}.png")
    assert open_target(tmp_path).task == "classification", "no image has a mask of its name"
    for name in ("images", "masks", "scans"):
        next((tmp_path / name).iterdir()).rename(tmp_path / name / "a.png")
    assert open_target(tmp_path).task == "segmentation"
    assert open_target(tmp_path, class_folders="top").classes == ("images", "masks", "scans")


def test_masks_are_not_made_of_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.array([0, 0, 1, 1]))
    with pytest.raises(TargetError, match="one label per image, not masks"):
        open_target(tmp_path / "t.npz", task="segmentation")


def split_above(folder: Path) -> Path:
    for split in ("train", "val"):
        write(folder / split, {f"{split[0]}{i}": half(1) for i in range(2)})
    (folder / "test" / "images").mkdir(parents=True)  # as challenges publish it
    return folder


def split_below(folder: Path) -> Path:
    above = split_above(folder.with_name("above"))
    for split in ("train", "val", "test"):
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
            if (above / split / part).is_dir():
                (above / split / part).rename(folder / part / split)
    return folder


@pytest.mark.parametrize("build", [split_above, split_below])
def test_splits_of_images_and_masks(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    folder = build(tmp_path / "t")
    assert open_target(folder).ids == ("train/t0", "train/t1")
    assert open_target(folder).notes[:2] == [
        "splits without masks are left out: test",
        'split "train" of train, val ("all" joins them)',
    ]
    assert open_target(folder, split="val").ids == ("val/v0", "val/v1")
    joined = open_target(folder, split="all")
    assert joined.ids == ("train/t0", "train/t1", "val/v0", "val/v1")
    assert np.array_equal(joined.mask_store.mask(3), half(1))
    with pytest.raises(TargetError, match="no split 'test', only train, val"):
        open_target(folder, split="test")


@pytest.mark.parametrize("ending", [".nii.gz", ".mha"])
def test_volumes_in_folders_of_masks_need_a_description(tmp_path: Path, ending: str) -> None:
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        (tmp_path / part / f"a{ending}").write_bytes(b"")
    with pytest.raises(TargetError, match="no images in") as caught:
        open_target(tmp_path)
    assert "dataset.json" in (caught.value.hint or "")
