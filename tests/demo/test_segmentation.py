"""The procedural targets with masks: repeatable, and their masks are where the structures are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acrank.demo.nodules import make_nodules, nodule_scan
from acrank.demo.vessels import make_vessels, vessel_retina
from acrank.errors import OutputError, UsageError
from acrank.targets import open_target


@pytest.mark.parametrize("draw", [vessel_retina, nodule_scan])
def test_images_depend_on_seed_and_number_alone(draw) -> None:
    image, mask = draw(3, 5, size=32)
    again, same = draw(3, 5, size=32)
    assert np.array_equal(image, again)
    assert np.array_equal(mask, same)
    for other in (draw(4, 5, size=32), draw(3, 6, size=32)):
        assert not np.array_equal(image, other[0])
        assert not np.array_equal(mask, other[1])


def test_vessels_are_darker_than_what_surrounds_them() -> None:
    from scipy.ndimage import binary_dilation

    for index in range(5):
        image, mask = vessel_retina(0, index)
        around = binary_dilation(mask, iterations=3) & (mask == 0)
        assert image[mask == 1].mean() < image[around].mean() - 5
        assert 0.03 < mask.mean() < 0.3


def test_nodules_are_tissue_in_air_but_so_are_vessels() -> None:
    from scipy.ndimage import binary_erosion

    for index in range(5):
        scan, mask = nodule_scan(0, index)
        inner = binary_erosion(mask)
        assert abs(float(scan[inner].mean())) < 150
        assert 0.001 < mask.mean() < 0.05
        assert ((scan > -200) & (mask == 0)).sum() > mask.sum() / 2  # a threshold alone does not find them


def test_vessels_open_as_a_target(tmp_path: Path) -> None:
    make_vessels(tmp_path / "t", n=4, size=48)
    target = open_target(tmp_path / "t")
    assert (target.layout, len(target), target.read(0).shape) == ("masks", 4, (3, 48, 48))
    assert np.array_equal(target.mask_store.mask(2), vessel_retina(0, 2, size=48)[1])


@pytest.mark.parametrize("make", [make_vessels, make_nodules])
def test_too_few_or_an_occupied_folder(make, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        make(tmp_path / "few", n=3)
    (tmp_path / "x").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        make(tmp_path)
