"""Volumes with one label each: class folders, tables and arrays of them, and how they are resized."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.workbench import input_of

from acrank.errors import TargetError, UsageError
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.targets.preparation import prepare_images

RNG = np.random.default_rng(0)


def save(values: np.ndarray, path: Path, spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Path:
    nibabel = pytest.importorskip("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([*spacing, 1.0])), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(4):
        scan = RNG.normal(size=(6, 7, 8)).astype(np.float32) * 100
        save(scan, tmp_path / "t" / ("sick" if i % 2 else "well") / f"{i}.nii{'.gz' if i > 1 else ''}", (1, 1, 2))
    return tmp_path / "t"


def test_class_folders_of_nifti(folder: Path) -> None:
    target = open_target(folder)
    assert (target.task, target.axes, target.classes) == ("classification", 3, ("sick", "well"))
    assert target.ids == ("sick/1.nii", "sick/3.nii.gz", "well/0.nii", "well/2.nii.gz")
    assert target.notes == ["intensities: volumes: percentile", "spacing 1 × 1 × 2 mm, not resampled"]
    volume = target.read(1)
    assert (volume.shape, volume.dtype, volume.min(), volume.max()) == ((1, 6, 7, 8), np.float32, 0, 1)


def test_a_table_gives_the_same_volumes(folder: Path) -> None:
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["path", "label"], *([name, name.split("/")[0]] for name in open_target(folder).ids)]
        )
    table, folders = open_target(folder / "list.csv"), open_target(folder)
    assert (table.axes, table.labels.tolist(), table.ids) == (3, folders.labels.tolist(), folders.ids)
    for place in range(4):
        assert np.array_equal(table.read(place), folders.read(place))


def test_images_beside_volumes_are_refused(folder: Path) -> None:
    (folder / "well" / "preview.png").write_bytes(b"never opened")
    with pytest.raises(TargetError, match=r"volumes and images: sick/1\.nii, well/preview\.png"):
        open_target(folder)


def test_a_fourth_axis_is_of_channels(tmp_path: Path) -> None:
    for name in "ab":
        save(RNG.normal(size=(4, 5, 6, 2)).astype(np.float32), tmp_path / name / "v.nii")
    target = open_target(tmp_path, intensity="zscore")
    assert target.read(0).shape == (2, 4, 5, 6)
    assert target.notes[0] == "intensities: channel 0: zscore, channel 1: zscore"


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_medmnist3d(tmp_path: Path, suffix: str) -> None:
    """Its keys and shapes, [N, D, H, W] of uint8 with labels [N, 1]; bytes keep their whole range."""
    arrays = {}
    for split, count in (("train", 6), ("val", 4), ("test", 2)):
        arrays[f"{split}_images"] = RNG.integers(0, 200, (count, 28, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count)[:, None] % 2
    path = tmp_path / f"organ.{suffix}"
    if suffix == "npz":
        np.savez_compressed(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    target = open_target(path, split="val")
    assert (len(target), target.axes, target.task) == (4, 3, "classification")
    np.testing.assert_allclose(target.read(3)[0], arrays["val_images"][3] / 255, rtol=1e-6)
    assert len(open_target(path, split="all")) == 12


@pytest.mark.parametrize(
    ("shape", "axes", "read"),
    [
        ((6, 9, 8, 7), 3, (1, 9, 8, 7)),
        ((6, 9, 8, 3), 2, (3, 9, 8)),
        ((6, 4, 9, 8), 2, (4, 9, 8)),
        ((6, 1, 3, 9, 8), 3, (1, 3, 9, 8)),
        ((6, 9, 8, 7, 2), 3, (2, 9, 8, 7)),
    ],
)
def test_images_and_volumes_are_distinguished(
    tmp_path: Path, shape: tuple[int, ...], axes: int, read: tuple[int, ...]
) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(shape, np.uint8), labels=np.arange(6) % 2)
    target = open_target(tmp_path / "a.npz")
    assert (target.axes, target.read(0).shape) == (axes, read)


def test_hounsfield_units_in_arrays(tmp_path: Path) -> None:
    scans = RNG.integers(-1000, 1000, (4, 9, 8, 7)).astype(np.int16)
    np.savez(tmp_path / "a.npz", images=scans, labels=[0, 1, 0, 1])
    read = open_target(tmp_path / "a.npz", intensity="window:-200,300").read(2)[0]
    np.testing.assert_allclose(read, np.clip((scans[2] + 200) / 500, 0, 1), atol=1e-6)
    low, high = np.percentile(scans[2], [0.5, 99.5])
    usual = open_target(tmp_path / "a.npz").read(2)[0]
    np.testing.assert_allclose(usual, np.clip((scans[2] - low) / (high - low), 0, 1), atol=1e-6)
    with pytest.raises(UsageError, match="unknown intensity rule"):
        open_target(tmp_path / "a.npz", intensity="bright")
    with pytest.raises(UsageError, match="--spacing does not apply"):
        open_target(tmp_path / "a.npz", spacing=(1, 1, 1))


def test_volumes_grow_as_pytorch_interpolates() -> None:
    volume = RNG.random((2, 5, 6, 7), dtype=np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(volume)[None], size=(9, 8, 14), mode="trilinear", align_corners=False
    )
    batch = prepare_images([volume], input_of((9, 8, 14), 2))
    np.testing.assert_allclose(batch, expected, atol=1e-6)


def test_volumes_shrink_without_aliasing() -> None:
    """Along each axis alone the result is that of images, whose filter is Pillow's; stripes vanish into their mean."""
    profile = RNG.random(24, dtype=np.float32)
    for axis in range(3):
        shape = [1, 1, 1]
        shape[axis] = 24
        volume = np.broadcast_to(profile.reshape(shape), (24, 24, 24))[None]
        resized = prepare_images([volume], input_of((7, 7, 7), 1))[0, 0].movedim(axis, 0)[:, 3, 3]
        flat = prepare_images([np.tile(profile, (24, 1))[None]], input_of((7, 7), 1))[0, 0, 3]
        np.testing.assert_allclose(resized, flat, atol=1e-6)
    stripes = np.indices((32, 32, 32)).sum(0)[None] % 2
    assert (prepare_images([stripes.astype(np.float32)], input_of((4, 4, 4), 1)) - 0.5).abs().max() < 0.02


def test_few_volumes_are_held_and_large_ones_are_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network_input = input_of((4, 4, 4), 1)
    (draw,) = make_draws(open_target(folder), samples=4, repeats=1, seed=0)
    first = draw.batch(network_input)
    assert draw._images is not None
    monkeypatch.setattr("acrank.targets.draws.KEEP_BYTES", 2 * 6 * 7 * 8 * 4)
    (other,) = make_draws(open_target(folder), samples=4, repeats=1, seed=0)
    assert torch.equal(other.batch(network_input), first)
    assert other._images is None


def test_resampling_to_a_spacing(tmp_path: Path) -> None:
    """A linear ramp stays one at any spacing, and lies where it lay in millimetres."""
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32), (6, 6, 12)).copy()
    for name in "ab":
        save(ramp, tmp_path / "t" / name / "v.nii.gz", (1.0, 1.0, 2.0))
    target = open_target(tmp_path / "t", intensity="window:0,11", spacing=(2, 1, 1))
    assert target.notes[-1] == "spacing 1 × 1 × 2 mm, resampled to 2 × 1 × 1 mm"
    volume = target.read(0)
    assert volume.shape == (1, 3, 6, 24)
    centres = np.clip((np.arange(24) + 0.5) / 2 - 0.5, 0, 11)
    np.testing.assert_allclose(volume[0, 1, 1] * 11, centres, atol=1e-5)
    part = target.images.crop(0, (slice(1, 3), slice(2, 5), slice(7, 20)))[0]  # type: ignore[attr-defined]
    np.testing.assert_allclose(part, volume[:, 1:3, 2:5, 7:20], atol=1e-6)
    with pytest.raises(UsageError, match="--spacing needs three positive numbers, got 0,1,1"):
        open_target(tmp_path / "t", spacing=(0, 1, 1))


def test_masks_are_resampled_with_their_volumes(tmp_path: Path) -> None:
    pytest.importorskip("nibabel")
    from acrank.demo.nodules import make_nodules

    make_nodules(tmp_path / "dec", n=4, size=24)  # at 1.5 × 1.5 × 2 mm
    plain, fine = open_target(tmp_path / "dec"), open_target(tmp_path / "dec", spacing=(0.75, 0.75, 1.0))
    assert fine.mask_store.shape(0) == (48, 48, 48)
    assert fine.read(1).shape == (1, 48, 48, 48)
    assert np.array_equal(fine.mask_store.mask(1), plain.mask_store.mask(1).repeat(2, 0).repeat(2, 1).repeat(2, 2))
    assert fine.fingerprint != plain.fingerprint
