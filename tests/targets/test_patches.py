"""Patches: seeded, half of them around the foreground, with positions evenly from the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import input_of
from helpers.workbench import write_masks as write

from acrank.errors import CandidateError
from acrank.targets import open_target
from acrank.targets.draws import PatchDraw, make_draws
from acrank.targets.patches import POSITIONS, cut_patches


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    masks = {}
    for i in range(6):
        masks[str(i)] = np.zeros((64, 64), np.uint8)
        masks[str(i)][8 * i : 8 * i + 6, 50:56] = 1
    return write(tmp_path / "t", masks, size=(64, 64))


def test_every_second_patch_holds_foreground(folder: Path) -> None:
    target = open_target(folder)
    patches = cut_patches(target, np.arange(6).repeat(4), (16, 16), seed=0, repeat=0)
    held = [bool((labels == 1).any()) for labels in patches.labels]
    assert all(held[1::2])
    assert not all(held[::2])


def test_labels_are_those_of_the_mask_at_the_positions(folder: Path) -> None:
    target = open_target(folder)
    patches = cut_patches(target, np.arange(6), (16, 24), seed=1, repeat=0)
    for i in range(6):
        (top, left), mask = patches.corners[i], target.mask_store.mask(i)
        y, x = np.unravel_index(patches.positions[i], (16, 24))
        assert np.array_equal(mask[top + y, left + x], patches.labels[i])
        assert patches.images[i].shape == (1, 16, 24)


def test_positions_come_evenly_from_the_classes(folder: Path) -> None:
    """A patch of 32 × 32 around a foreground of 36 positions takes them all, and the rest from the background."""
    patches = cut_patches(open_target(folder), np.array([2, 2]), (32, 32), seed=0, repeat=0)
    assert np.bincount(patches.labels[1]).tolist() == [POSITIONS - 36, 36]
    assert len(set(patches.positions[1])) == POSITIONS


def test_patches_depend_on_seed_and_repeat(folder: Path) -> None:
    def corners(seed: int, repeat: int) -> list[tuple[int, ...]]:
        return cut_patches(open_target(folder), np.arange(6), (16, 16), seed=seed, repeat=repeat).corners

    assert corners(0, 0) == corners(0, 0)
    assert corners(0, 0) != corners(0, 1)
    assert corners(0, 0) != corners(1, 0)


def test_beyond_the_edge_the_border_repeats_and_nothing_is_labelled(folder: Path) -> None:
    patches = cut_patches(open_target(folder), np.array([0, 1]), (80, 64), seed=0, repeat=0)
    assert patches.images[0].shape == (1, 80, 64)
    assert patches.positions.max() < 64 * 64


def test_patches_of_one_image_share_a_half(folder: Path) -> None:
    for draw in make_draws(open_target(folder), samples=16, repeats=3, seed=0):
        assert isinstance(draw, PatchDraw)
        assert len(draw.indices) == 16
        assert set(draw.indices.tolist()) == set(range(6))
        halves = {index: set(draw.half[draw.indices == index].tolist()) for index in range(6)}
        assert all(len(half) == 1 for half in halves.values())
        assert {next(iter(half)) for half in halves.values()} == {False, True}


def test_a_batch_has_the_candidates_channels_and_scale(folder: Path) -> None:
    (draw,) = make_draws(open_target(folder), samples=4, repeats=1, seed=0)
    batch = draw.batch(input_of((16, 16), 3, mean=0.5, std=0.25))
    assert tuple(batch.shape) == (4, 3, 16, 16)
    assert batch.unique().tolist() == pytest.approx([(100 / 255 - 0.5) / 0.25])
    with pytest.raises(CandidateError, match="takes 5 channels"):
        draw.batch(input_of((16, 16), 5, mean=0.5, std=0.25))
