"""Draws hold the images that they were made of: what is read later, elsewhere, is that or refused."""

from __future__ import annotations

import dataclasses
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


def test_draws_that_share_images_are_worth_less_than_their_number(tmp_path: Path) -> None:
    target = open_target(make_images(tmp_path / "target"))  # 30 images
    whole = make_draws(target, samples=None, repeats=3, seed=0)
    assert [draw.worth for draw in whole] == [1.0, 1.0, 1.0]
    some = make_draws(target, samples=12, repeats=3, seed=0)
    seen = [len({*np.concatenate([draw.indices for draw in some[: count + 1]])}) for count in range(3)]
    assert [draw.worth for draw in some] == [count / 12 for count in seen]
    assert 1 < some[1].worth < 2


def test_what_is_left_out_together_is_a_group_or_an_image(tmp_path: Path) -> None:
    target = open_target(make_images(tmp_path / "target"))
    (draw,) = make_draws(target, samples=12, repeats=1, seed=0)
    assert (draw.units() == draw.indices).all()
    target = dataclasses.replace(target, groups=[f"patient {place // 3}" for place in range(len(target))])
    (draw,) = make_draws(target, samples=12, repeats=1, seed=0)
    same_group = draw.indices[:, None] // 3 == draw.indices // 3
    assert ((draw.units()[:, None] == draw.units()) == same_group).all()
    rows = np.repeat(draw.indices, 5)  # positions of patches, by the image that each was cut from
    assert (draw.units(rows) == np.repeat(draw.units(), 5)).all()
