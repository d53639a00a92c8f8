"""The interval of a quality against the normal approximation, and with groups."""

from __future__ import annotations

import numpy as np
import pytest

from acrank.finetuning.tasks.classification import Classification
from acrank.refining.intervals import quality_interval


def right_or_wrong(each: int = 200) -> np.ndarray:
    """Two classes, told rightly in 9 and in 6 of 10 images."""
    by_image = np.full((2 * each, 2), np.nan)
    for label, share in enumerate((0.9, 0.6)):
        by_image[label * each : (label + 1) * each, label] = np.arange(each) < share * each
    return by_image


def test_the_width_is_that_of_two_proportions() -> None:
    low, high = quality_interval(right_or_wrong(), binary=True) or (0.0, 0.0)
    error = np.sqrt((0.9 * 0.1 + 0.6 * 0.4) / 200) / 2  # of the mean of two independent proportions
    assert (low, high) == pytest.approx((0.75 - 1.96 * error, 0.75 + 1.96 * error), abs=0.012)


def test_images_of_a_group_are_one_observation() -> None:
    """Ten copies of each image, as one group each, know as much as the images alone."""
    few = right_or_wrong(20)
    alone = quality_interval(few, binary=False)
    copies = quality_interval(np.repeat(few, 10, axis=0), np.repeat(np.arange(len(few)), 10), binary=False)
    apart = quality_interval(np.repeat(few, 10, axis=0), binary=False)
    assert alone is not None
    assert apart is not None
    assert copies == pytest.approx(alone)
    assert apart[1] - apart[0] < 0.5 * (alone[1] - alone[0])


def test_all_right_in_a_few_images_is_not_certain() -> None:
    by_image = np.array([[1.0, np.nan]] * 4 + [[np.nan, 1.0]] * 4)
    low, high = quality_interval(by_image, binary=True) or (0.0, 0.0)
    assert low < 0.9
    assert high == 1.0


def test_one_image_has_no_interval() -> None:
    assert quality_interval(np.array([[0.5]]), binary=False) is None
    assert quality_interval(np.array([[0.5], [0.6]]), np.array([7, 7]), binary=False) is None


def test_what_images_add_is_the_metric() -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 3, generator=generator), torch.arange(50) ** 2 % 3
    found = Classification(3).evaluate(logits, labels)
    assert found.by_image is not None
    known = found.by_image[:, ~np.isnan(found.by_image).all(axis=0)]
    assert found.value == pytest.approx(np.nanmean(known, axis=0).mean())


def test_the_interval_is_about_the_quality() -> None:
    """Seven classes of four images, each with one told rightly: drawing to a half would move it by 0.08."""
    by_image = np.full((28, 7), np.nan)
    for label in range(7):
        by_image[4 * label : 4 * label + 4, label] = [1.0, 0.0, 0.0, 0.0]
    low, high = quality_interval(by_image, binary=True) or (0.0, 0.0)
    assert (low + high) / 2 == pytest.approx(0.25, abs=0.03)
