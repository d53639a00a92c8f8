"""The families of images that the embedded checkpoints were trained on."""

from __future__ import annotations

import numpy as np
import pytest

from acrank.demo.canvas import Stencil, smooth_noise
from acrank.demo.sources import SOURCES, fundus_disc, fundus_rotation, fundus_vessels, ultrasound


@pytest.mark.parametrize("name", SOURCES)
def test_every_class_draws_an_image_that_its_seed_decides(name: str) -> None:
    source = SOURCES[name]
    for label in range(source.classes):
        first, again, other = (source.draw(np.random.default_rng(seed), label, 32) for seed in (5, 5, 6))
        assert first.shape == (32, 32, 3)
        assert first.dtype == np.uint8
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", SOURCES)
def test_every_class_draws_something_else_from_the_same_seed(name: str) -> None:
    drawn = [SOURCES[name].draw(np.random.default_rng(5), label, 32) for label in range(SOURCES[name].classes)]
    assert len({image.tobytes() for image in drawn}) == len(drawn)


def test_the_disc_lies_on_the_side_that_the_label_says() -> None:
    for label in (0, 1):
        stack = np.stack([fundus_disc(np.random.default_rng(i), label, 48) for i in range(30)]).astype(float)
        left, right = stack[:, 18:30, 6:20].mean(), stack[:, 18:30, 28:42].mean()
        assert (right > left) == bool(label)


def test_rotations_of_one_seed_are_quarter_turns_of_one_retina() -> None:
    upright, *turned = (fundus_rotation(np.random.default_rng(3), label, 32) for label in range(4))
    assert all(np.array_equal(np.rot90(upright, i + 1), image) for i, image in enumerate(turned))


def test_more_vessels_cover_more_of_the_retina() -> None:
    means = [
        np.mean([fundus_vessels(np.random.default_rng(i), label, 48)[10:38, 10:38].mean() for i in range(40)])
        for label in range(3)
    ]
    assert means[0] > means[1] > means[2]


def test_a_mass_is_dark_and_ultrasound_is_grey() -> None:
    without, smooth = (
        np.stack([ultrasound(np.random.default_rng(i), label, 48) for i in range(30)]) for label in (0, 1)
    )
    assert smooth[:, 14:34, 14:34].mean() < without[:, 14:34, 14:34].mean() - 10
    assert np.abs(np.diff(smooth.astype(int), axis=3)).mean() < 5  # the channels differ by sensor noise alone


def test_a_dot_covers_its_own_area() -> None:
    stencil = Stencil(96)
    stencil.dots(np.array([[0.1, -0.2]]), np.array([0.5]))
    assert stencil.mask().mean() * 4 == pytest.approx(np.pi * 0.25, rel=0.03)


def test_smooth_noise_is_standardised() -> None:
    noise = smooth_noise(np.random.default_rng(0), 64, 0.1)
    assert (noise.mean(), noise.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
