"""Segmentation as a task: Dice, IoU and losses against sums over sets, positions left out, heads in 2D and 3D."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from acrank.errors import TargetError
from acrank.finetuning.tasks.segmentation import Segmentation, at_size, one_hot_masks


def logits_of(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Logits whose largest is at the label."""
    return one_hot_masks(labels[None], classes)[0] * 9


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 4), st.sampled_from([(5, 4), (3, 4, 2)]))
def test_overlap_is_that_of_the_sets(seed: int, classes: int, size: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(-1, classes, size, generator=generator)
    guess = torch.randint(0, classes, size, generator=generator)
    found = Segmentation(classes).overlap(logits_of(guess, classes), truth)
    places = [place for place in range(truth.numel()) if truth.flatten()[place] >= 0]
    for one in range(classes):
        a = {place for place in places if int(truth.flatten()[place]) == one}
        b = {place for place in places if int(guess.flatten()[place]) == one}
        if not a | b:
            assert math.isnan(found["dice"][one])
            assert math.isnan(found["iou"][one])
            continue
        assert float(found["dice"][one]) == pytest.approx(2 * len(a & b) / (len(a) + len(b)), abs=1e-6)
        assert float(found["iou"][one]) == pytest.approx(len(a & b) / len(a | b), abs=1e-6)


def test_the_summary_is_a_mean_over_images_then_over_the_foreground() -> None:
    nan = math.nan
    images = [
        {"dice": torch.tensor([0.9, 0.4, nan]), "iou": torch.tensor([0.8, 0.2, nan])},
        {"dice": torch.tensor([0.7, 0.8, 0.2]), "iou": torch.tensor([0.6, 0.6, 0.1])},
    ]
    found = Segmentation(3).summary(images, 0.5)
    assert (found.value, found.loss) == (pytest.approx(0.4), 0.5)  # (0.6 + 0.2) / 2
    assert found.measures["dice_by_class"] == pytest.approx([0.8, 0.6, 0.2])
    assert found.measures["iou"] == pytest.approx((0.4 + 0.1) / 2)
    assert Segmentation(3, metric="iou").summary(images, 0.5).value == pytest.approx(0.25)


def test_a_part_without_foreground_has_no_quality() -> None:
    empty = torch.zeros(4, 4, dtype=torch.int64)
    task = Segmentation(2)
    with pytest.raises(TargetError, match="no foreground"):
        task.summary([task.overlap(logits_of(empty, 2), empty)], 0.0)
    found = task.summary([task.overlap(logits_of(1 - empty, 2), empty)], 0.0)
    assert found.value == 0.0  # predicted where there is none


def test_the_losses_are_cross_entropy_and_one_minus_the_soft_dice_of_the_batch() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 4, 5, 6), torch.randint(-1, 4, (3, 5, 6))
    counted = labels >= 0
    rows = logits.movedim(1, -1)[counted]
    entropy = nn.functional.cross_entropy(rows, labels[counted])
    assert float(Segmentation(4, loss="ce").loss(logits, labels)) == pytest.approx(float(entropy), rel=1e-5)
    shares = rows.softmax(1)
    truth = nn.functional.one_hot(labels[counted], 4).float()
    dice = 2 * (shares * truth).sum(0) / (shares.sum(0) + truth.sum(0))
    expected = entropy + (1 - dice[1:]).mean()
    assert float(Segmentation(4).loss(logits, labels)) == pytest.approx(float(expected), rel=1e-4)
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    weighted = nn.functional.cross_entropy(rows, labels[counted], weight=weights)
    found = Segmentation(4, loss="ce", weights=weights).loss(logits, labels)
    assert float(found) == pytest.approx(float(weighted), rel=1e-5)


def test_what_is_left_out_moves_nothing() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 2, (2, 6, 6))
    labels[:, :3] = -1
    logits = torch.randn(2, 2, 6, 6, requires_grad=True)
    Segmentation(2).loss(logits, labels).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, :, :3].abs().max()) == 0.0
    assert float(logits.grad[:, :, 3:].abs().min()) > 0.0
    nothing = Segmentation(2, loss="ce").loss(logits, torch.full_like(labels, -1))
    assert nothing.item() == 0.0


@pytest.mark.parametrize("size", [(8, 10), (4, 6, 8)])
def test_the_head_reads_every_position_of_a_coarser_map(size: tuple[int, ...]) -> None:
    dims = len(size)
    conv = nn.Conv2d if dims == 2 else nn.Conv3d
    body = nn.Sequential(conv(1, 6, 3, stride=2, padding=1), nn.ReLU(), conv(6, 2, 1))
    task = Segmentation(3)
    inputs = torch.randn(2, 1, *size)
    features = task.read(body, inputs)
    assert features.shape == (2, 6, *[side // 2 for side in size])
    assert task.outputs(task.head(6), features, inputs).shape == (2, 3, *size)


def test_interpolation_keeps_a_constant_and_leaves_equal_sizes_alone() -> None:
    maps = torch.full((1, 2, 3, 3), 0.25)
    assert at_size(maps, (3, 3)) is maps
    torch.testing.assert_close(at_size(maps, (7, 9)), torch.full((1, 2, 7, 9), 0.25))
