"""Volumes as images of adjacent slices: which slices, which way up, their masks, and patches of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import input_of

from acrank.errors import CandidateError, UsageError
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.targets.patches import cut_patches

RNG = np.random.default_rng(0)
VOLUMES = RNG.integers(0, 256, (6, 9, 8, 7), dtype=np.uint8)
LABELS = np.arange(6) % 2


def write(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_middle_slices_are_the_channels(tmp_path: Path, count: int) -> None:
    target = open_target(write(tmp_path / "v.npz", images=VOLUMES, labels=LABELS), slices=count)
    assert (target.axes, target.slices, target.colour) == (2, count, False)
    middle = VOLUMES[4, 4 - count // 2 : 5 + count // 2] / 255
    np.testing.assert_allclose(target.read(4), middle, atol=1e-6)


def test_the_last_slice_is_repeated(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npz", images=VOLUMES[:, None, :2], labels=LABELS)
    target = open_target(path, slices=5, intensity="zscore")
    same = target.read(0)
    assert np.array_equal(same[0], same[1])
    assert np.array_equal(same[2], same[3])
    assert not np.array_equal(same[1], same[2])


def test_slices_of_nifti_are_upright(tmp_path: Path) -> None:
    """Anterior at the top, the patient's right on the left, whatever way the file stores them."""
    nibabel = pytest.importorskip("nibabel")
    marked = np.zeros((6, 8, 5), np.float32)
    marked[5, 7, 2] = 100  # RAS+: rightmost, most anterior, in the middle slice
    for label, codes in enumerate(("RAS", "LPI")):
        turn = nibabel.orientations.axcodes2ornt(codes)
        image = nibabel.Nifti1Image(marked, np.eye(4)).as_reoriented(turn)
        (tmp_path / "t" / str(label)).mkdir(parents=True)
        nibabel.save(image, tmp_path / "t" / str(label) / "v.nii.gz")
    target = open_target(tmp_path / "t", slices=1, intensity="window:0,100")
    for place in range(2):
        image = target.read(place)
        assert image.shape == (1, 8, 6)
        assert image[0, 0, 0] == 1
        assert image.sum() == 1


def test_patches_come_from_slices_with_the_middle_ones_mask(tmp_path: Path) -> None:
    volumes = RNG.integers(0, 256, (4, 6, 24, 20), dtype=np.uint8)
    masks = np.zeros_like(volumes)
    masks[:, 4, 5:9, 11:16] = 1
    target = open_target(write(tmp_path / "v.npz", images=volumes, masks=masks), slices=3)
    patches = cut_patches(target, np.repeat(np.arange(4), 2), (8, 10), seed=0, repeat=0)
    for place, (depth, top, left) in enumerate(patches.corners):
        index = place // 2
        around = np.clip([depth - 1, depth, depth + 1], 0, 5)
        expected = volumes[index, around, top : top + 8, left : left + 10] / 255
        np.testing.assert_allclose(patches.images[place], expected, atol=1e-6)
        inside = masks[index, depth, top : top + 8, left : left + 10].reshape(-1)
        assert np.array_equal(inside[patches.positions[place]], patches.labels[place])
        assert place % 2 == 0 or depth == 4  # around the foreground
    assert len({corner[0] for corner in patches.corners[::2]}) > 1


def test_patches_of_one_volume_share_a_half(tmp_path: Path) -> None:
    masks = np.zeros((6, 9, 8, 7), np.uint8)
    masks[:, 4, 4] = 1
    target = open_target(write(tmp_path / "v.npz", images=VOLUMES, masks=masks), slices=3)
    (draw,) = make_draws(target, samples=24, repeats=1, seed=0)
    assert len(draw.indices) == 24
    for volume in range(6):
        assert len(set(draw.half[draw.indices == volume].tolist())) == 1
    batch = draw.batch(input_of((8, 8), 3))
    assert tuple(batch.shape) == (24, 3, 8, 8)  # beyond the edge the border is repeated


@pytest.mark.parametrize("count", [0, 2, -1])
def test_counts_that_are_not_odd_and_positive(tmp_path: Path, count: int) -> None:
    with pytest.raises(UsageError, match="--slices must be odd"):
        open_target(write(tmp_path / "v.npz", images=VOLUMES, labels=LABELS), slices=count)


@pytest.mark.parametrize("option", [{"slices": 3}])
def test_images_take_no_options_of_volumes(tmp_path: Path, option: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"is for volumes, and .* holds images"):
        open_target(write(tmp_path / "v.npz", images=VOLUMES[..., 0], labels=LABELS), **option)  # type: ignore[arg-type]


def test_slices_are_neither_colours_nor_volumes(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npz", images=VOLUMES, labels=LABELS)
    (draw,) = make_draws(open_target(path, slices=3), samples=4, repeats=1, seed=0)
    with pytest.raises(CandidateError, match="takes 1 channels, the images have 3"):
        draw.batch(input_of((8, 8), 1))
    with pytest.raises(CandidateError, match=r"takes volumes \(3 dimensions\), the target holds images"):
        draw.batch(input_of((8, 8, 8), 1))
    (draw,) = make_draws(open_target(path), samples=4, repeats=1, seed=0)
    with pytest.raises(CandidateError, match=r"takes images \(2 dimensions\), the target holds volumes"):
        draw.batch(input_of((8, 8), 1))


def test_read_options_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npz", images=VOLUMES, labels=LABELS)
    options = ({}, {"slices": 1}, {"slices": 3}, {"intensity": "zscore"}, {"intensity": "window:0,9"})
    assert len({open_target(path, **one).fingerprint for one in options}) == 5  # type: ignore[arg-type]
