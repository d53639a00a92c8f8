"""Images made ready for a candidate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.workbench import input_of
from PIL import Image

from acrank.errors import CandidateError
from acrank.system.network_input import NetworkInput
from acrank.targets.preparation import prepare_images

RNG = np.random.default_rng(3)


def test_shapes_dtype_and_order() -> None:
    images = [np.full((1, size, size + 3), size / 100, np.float32) for size in (5, 40, 17)]
    batch = prepare_images(images, input_of((16, 24), 3))
    assert batch.shape == (3, 3, 16, 24)
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(batch.mean(dim=(1, 2, 3)), [0.05, 0.40, 0.17], rtol=1e-5)


@pytest.mark.parametrize("size", [(7, 9), (64, 48), (50, 12)])
def test_resizing_agrees_with_pillow(size: tuple[int, int]) -> None:
    """Pillow's bilinear filter widens when it shrinks, which is what antialiased means."""
    image = RNG.random((1, 37, 31), dtype=np.float32)
    expected = Image.fromarray(image[0]).resize(size[::-1], Image.Resampling.BILINEAR)
    batch = prepare_images([image], input_of(size, 1))
    np.testing.assert_allclose(batch[0, 0], np.asarray(expected), atol=1e-5)


def test_an_image_of_the_right_size_is_untouched() -> None:
    image = RNG.random((3, 8, 9), dtype=np.float32)
    np.testing.assert_array_equal(prepare_images([image], input_of((8, 9), 3))[0], image)


def test_nothing_is_cropped_away() -> None:
    image = np.zeros((1, 40, 80), np.float32)
    image[0, :4, :4] = image[0, -4:, -4:] = 1  # opposite corners of an oblong image
    batch = prepare_images([image], input_of((20, 20), 1))[0, 0]
    assert batch[0, 0] > 0.8
    assert batch[-1, -1] > 0.8


def test_grey_is_repeated() -> None:
    image = RNG.random((1, 8, 8), dtype=np.float32)
    batch = prepare_images([image], input_of((8, 8), 3))[0]
    for channel in range(3):
        np.testing.assert_array_equal(batch[channel], image[0])


def test_colour_becomes_luminance_as_in_pillow() -> None:
    colour = RNG.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(colour).convert("L")) / 255
    image = colour.transpose(2, 0, 1).astype(np.float32) / 255
    batch = prepare_images([image], input_of((8, 9), 1))
    np.testing.assert_allclose(batch[0, 0], expected, atol=0.51 / 255)  # Pillow rounds to 8 bits


def test_normalisation_is_per_channel() -> None:
    image = np.stack([np.full((4, 4), value, np.float32) for value in (0.1, 0.5, 0.9)])
    network_input = NetworkInput(size=(2, 2), channels=3, mean=(0.1, 0.3, 0.5), std=(0.5, 0.1, 0.2))
    batch = prepare_images([image], network_input)
    np.testing.assert_allclose(batch[0, :, 0, 0], [0.0, 2.0, 2.0], rtol=1e-5)


def test_more_channels_pass_where_they_match() -> None:
    image = RNG.random((4, 6, 6), dtype=np.float32)
    batch = prepare_images([image], input_of((6, 6), 4))
    np.testing.assert_array_equal(batch[0], image)


@pytest.mark.parametrize(("have", "take"), [(4, 3), (3, 4), (2, 1), (1, 2), (3, 2)])
def test_other_channels_are_refused(have: int, take: int) -> None:
    image = np.zeros((have, 4, 4), np.float32)
    with pytest.raises(CandidateError, match=f"takes {take} channels, the images have {have}") as caught:
        prepare_images([image], input_of((4, 4), take))
    assert caught.value.hint


def test_a_bgr_network_is_shown_blue_first_under_its_own_statistics() -> None:
    image = np.stack([np.full((4, 4), value, np.float32) for value in (0.1, 0.5, 0.9)])
    statistics = {"size": (4, 4), "channels": 3, "mean": (0.9, 0.5, 0.0), "std": (1.0, 1.0, 0.1)}
    batch = prepare_images([image], NetworkInput(**statistics, order="bgr"))  # type: ignore[arg-type]
    assert batch[0, :, 0, 0].tolist() == pytest.approx([0.0, 0.0, 1.0])
