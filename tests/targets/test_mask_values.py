"""What the values of masks mean: classes, ignored positions, or grey levels of masks that were stored with loss."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import write_masks
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import open_target
from acrank.targets.mask_values import MaskValues, mask_values_of

SIZE = 64


def discs(*levels: int, seed: int = 0, smaller: int = 6) -> np.ndarray:
    """A mask of discs within each other, one for each level after the first."""
    y, x = np.mgrid[:SIZE, :SIZE]
    centre = np.random.default_rng(seed).integers(26, 38, 2)
    far = np.hypot(y - centre[0], x - centre[1])
    mask = np.full((SIZE, SIZE), levels[0], np.uint8)
    for place, level in enumerate(levels[1:]):
        mask[far < 24 - smaller * place] = level
    return mask


def as_jpeg(mask: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def antialiased(mask: np.ndarray, size: int = 48) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.LANCZOS))


def meant(masks: list[np.ndarray], **options: str) -> MaskValues:
    return mask_values_of(masks.__getitem__, len(masks), "masks", **options)


LOSS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg 98": lambda mask: as_jpeg(mask, 98),
    "jpeg 90": lambda mask: as_jpeg(mask, 90),
    "jpeg 75": lambda mask: as_jpeg(mask, 75),
    "antialiased": antialiased,
    "bilinear": lambda mask: np.asarray(Image.fromarray(mask).resize((100, 100), Image.Resampling.BILINEAR)),
}


@pytest.mark.parametrize("levels", [(0, 255), (0, 128, 255), (255, 128, 0), (0, 200)])
@pytest.mark.parametrize("loss", LOSS)
def test_plain_levels_survive_loss(levels: tuple[int, ...], loss: str) -> None:
    clean = [discs(*levels, seed=seed, smaller=12) for seed in range(6)]
    found = meant([LOSS[loss](mask) for mask in clean])
    assert len(found.values) == len(levels)
    assert max(abs(one - other) for one, other in zip(found.values, sorted(levels), strict=True)) <= 2
    coded = found.to_classes(LOSS[loss](clean[0]), "x")
    truth = np.searchsorted(sorted(levels), clean[0])
    if coded.shape == truth.shape:
        assert (coded == truth).mean() > 0.98
    assert set(np.unique(coded)) == set(range(len(levels)))


def test_what_is_repaired_is_said() -> None:
    found = meant([as_jpeg(discs(0, 255), 98)])
    assert "stored with loss, or antialiased) are taken as the nearest" in found.note


@pytest.mark.parametrize(
    "levels",
    [(0, 1, 2), (0, 1, 2, 3), (0, 128, 255), (0, 32, 64, 96, 128), (0, 100, 101), (0, 50, 100, 150, 200, 250), (7, 9)],
)
def test_classes_that_fill_areas_stay_classes(levels: tuple[int, ...]) -> None:
    found = meant([discs(*levels, seed=seed, smaller=3) for seed in range(3)])
    assert found == MaskValues(tuple(sorted(levels)))


def test_thin_classes_stay_classes() -> None:
    """Vessels of one pixel have no inside."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[10], mask[:, 20], mask[40] = 1, 2, 3
    assert meant([mask]).values == (0, 1, 2, 3)
    grey = np.zeros((SIZE, SIZE), np.uint8)
    grey[10], grey[:, 20] = 100, 200
    assert meant([grey]).values == (0, 100, 200)


def test_many_grey_levels_are_refused() -> None:
    ramp = np.tile(np.arange(SIZE, dtype=np.uint8) * 4, (SIZE, 1))
    with pytest.raises(TargetError, match="stored with loss, or antialiased"):
        meant([ramp])
    with pytest.raises(TargetError, match="stored with loss, or antialiased"):
        meant([antialiased(discs(0, 60, 120, 180, 240, smaller=4))])


def test_255_is_a_class_beside_grey_levels_and_asked_about_beside_numbers() -> None:
    assert meant([discs(255, 128, 0)]).values == (0, 128, 255)
    for levels in ((0, 1, 255), (0, 1, 2, 255), (0, 7, 33, 255)):
        with pytest.raises(TargetError, match="may be a class or mark ignored positions"):
            meant([discs(*levels)])
        assert meant([discs(*levels)], ignore_value="255").ignored == 255
        assert meant([discs(*levels)], ignore_value="none").values == tuple(levels)
    assert meant([discs(0, 1, 9)], ignore_value="9") == MaskValues((0, 1), ignored=9)
    assert meant([discs(0, 255)], ignore_value="254") == MaskValues((0, 255))


def test_a_folder_of_jpeg_masks_is_read_as_its_png_twin(tmp_path: Path) -> None:
    masks = {f"{place}": discs(0, 255, seed=place) for place in range(4)}
    twin = open_target(write_masks(tmp_path / "png", masks))
    folder = write_masks(tmp_path / "jpeg", masks)
    for path in sorted((folder / "masks").iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"), quality=90)
        path.unlink()
    target = open_target(folder)
    assert target.classes == twin.classes == ("background", "foreground")
    for place in range(4):
        assert (target.mask_store.mask(place) == twin.mask_store.mask(place)).mean() > 0.99


def test_the_text_that_fingerprints_hold_stays() -> None:
    """Records of earlier versions name targets by it."""
    text = "MaskValues(values=(0, 1), ignored=None, is_lossy=False)"
    assert str(MaskValues((0, 1))) == str(MaskValues((0, 1), has_negative=True)) == text
