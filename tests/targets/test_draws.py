"""Draws hold the images that they were made of: what is read later, elsewhere, is that or refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import make_images, write_masks
from PIL import Image

from acrank.errors import TargetError
from acrank.system.network_input import NetworkInput
from acrank.targets import open_target
from acrank.targets.draws import Draw, PatchDraw, make_draws

RGB = NetworkInput(size=(16, 16), channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
SMALL = NetworkInput(size=(8, 8), channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)


def elsewhere(draw: Draw) -> Draw:
    """The draw as another process gets it, after the run took its digest."""
    assert draw.digest
    copy: Draw = pickle.loads(pickle.dumps(draw))
    return copy


def test_images_replaced_since_the_digest_was_taken_are_refused(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "target", each=4)
    (draw,) = make_draws(open_target(folder), samples=9, repeats=1, seed=0)
    here = draw.batch(RGB)
    other = elsewhere(draw)
    assert np.array_equal(other.batch(RGB), here)
    unread = elsewhere(draw)
    path = folder / draw.ids[3]
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(path)
    with pytest.raises(TargetError, match="images of the target changed since the run began"):
        unread.batch(RGB)
    with pytest.raises(TargetError, match="changed since"):
        unread.batch(SMALL)  # nor are they kept
    assert np.array_equal(other.batch(SMALL), draw.batch(SMALL))  # both hold what they decoded before
    path.unlink()
    with pytest.raises(TargetError, match="cannot read"):
        elsewhere(draw).batch(RGB)


def test_images_and_masks_of_patches_are_held_likewise(tmp_path: Path) -> None:
    masks = {f"{i}": np.eye(16, dtype=np.uint8)[:, : 12 + i] for i in range(3)}
    folder = tmp_path / "target"
    for name, mask in masks.items():
        write_masks(tmp_path / name, {name: mask}, size=mask.shape)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
        for name in masks:
            (tmp_path / name / part / f"{name}.png").rename(folder / part / f"{name}.png")
    (draw,) = make_draws(open_target(folder), samples=2, repeats=1, seed=0)
    assert isinstance(draw, PatchDraw)
    assert len(draw.patches((8, 8)).images) == 2
    unread = elsewhere(draw)
    path = folder / "masks" / f"{Path(unread.ids[0]).stem}.png"
    mask = np.asarray(Image.open(path))
    Image.fromarray(1 - mask).save(path)
    assert isinstance(unread, PatchDraw)
    with pytest.raises(TargetError, match="changed since"):
        unread.patches((8, 8))
