"""What stored values mean: told from what a data set holds, or by the user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError, UsageError
from acrank.targets import open_target
from acrank.targets.stores.value_range import sampled_range

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (12, 9, 7)).astype(np.uint8)
GREY[0, 0, 0] = 255


def folder_of(folder: Path, images: list[np.ndarray], suffix: str = "png") -> Path:
    """Two classes, every other image in the first."""
    for place, image in enumerate(images):
        path = folder / "ab"[place % 2] / f"{place:02d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def read(folder: Path, **options: str) -> np.ndarray:
    target = open_target(folder, **options)  # type: ignore[arg-type]
    return np.stack([target.read(place) for place in range(len(target))])


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(("suffix", "dtype"), [("png", np.uint16), ("tif", np.uint16), ("tif", np.int32)])
def test_equal_pictures_of_any_depth_are_equal(tmp_path: Path, bits: int, suffix: str, dtype: type) -> None:
    plain = read(folder_of(tmp_path / "plain", list(GREY)))
    deep = np.round(GREY / 255 * (2**bits - 1)).astype(dtype)
    found = read(folder_of(tmp_path / "deep", list(deep), suffix))
    np.testing.assert_allclose(found, plain, atol=0.6 / (2**bits - 1))


def test_the_depth_is_that_of_the_whole_data_set(tmp_path: Path) -> None:
    """A dark image beside bright ones stays dark."""
    images = [np.full((4, 4), 4000, np.uint16), np.full((4, 4), 200, np.uint16)]
    target = open_target(folder_of(tmp_path / "f", images))
    assert target.read(1).max() == pytest.approx(200 / 4095)
    assert target.notes == ["images of whole numbers up to 4000: read as 12 bits, 4095 is white"]


def test_files_of_8_bits_beside_deeper_ones_keep_their_range(tmp_path: Path) -> None:
    images = [np.full((4, 4), 4000, np.uint16), np.full((4, 4), 255, np.uint8)]
    assert open_target(folder_of(tmp_path / "f", images)).read(1).max() == 1.0


def test_signed_values_need_the_users_word(tmp_path: Path) -> None:
    scans = [np.full((4, 4), value, np.int32) for value in (-1000, 0, 1000, 3000)]
    folder = folder_of(tmp_path / "hu", scans, "tif")
    with pytest.raises(TargetError, match="holds values from -1000 to -1000") as caught:
        open_target(folder)
    assert caught.value.hint == "say what they mean: --intensity window:LOW,HIGH, or percentile"
    window = read(folder, intensity="window:-1000,1000")
    assert window[:, 0, 0, 0].tolist() == [0.0, 1.0, 0.5, 1.0]  # ids: a/00, a/02, b/01, b/03
    with pytest.raises(UsageError, match="unknown intensity rule 'bright'"):
        open_target(folder, intensity="bright")


def test_an_image_beyond_what_was_sampled_is_refused_with_the_option(tmp_path: Path) -> None:
    images = [np.full((2, 2), 900, np.uint16) for _ in range(200)]
    images[2] = np.full((2, 2), 5000, np.uint16)
    target = open_target(folder_of(tmp_path / "f", images))
    place = target.ids.index("a/02.png")
    assert "10 bits" in target.notes[0]
    with pytest.raises(TargetError, match=r"values from 5000 to 5000 instead of \[0, 1023\]") as caught:
        target.read(place)
    assert "--intensity" in str(caught.value.hint)


def test_percentiles_of_each_image(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(1000, 2000, dtype=np.uint16), (4, 1))
    (one, other) = read(folder_of(tmp_path / "f", [ramp, ramp * 2]), intensity="percentile")
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert (one.min(), one.max()) == (0.0, 1.0)


def test_a_rule_is_part_of_the_fingerprint_and_usual_images_have_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", list(GREY))
    assert open_target(folder).read_options == ""
    assert open_target(folder, intensity="percentile").fingerprint != open_target(folder).fingerprint


def test_arrays_of_12_bits(tmp_path: Path) -> None:
    deep = np.round(GREY / 255 * 4095).astype(np.uint16)
    np.savez(tmp_path / "deep.npz", images=deep, labels=np.arange(12) % 2)
    np.savez(tmp_path / "plain.npz", images=GREY, labels=np.arange(12) % 2)
    found, plain = (open_target(tmp_path / f"{name}.npz").read(0) for name in ("deep", "plain"))
    np.testing.assert_allclose(found, plain, atol=2e-4)


def test_no_images_have_the_full_range() -> None:
    values, notes = sampled_range(lambda _: None, 0, "x")
    assert (values.whole, values.fraction, notes) == (65535, None, [])
