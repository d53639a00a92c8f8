"""The images that trainings train and validate on: none in a draw validates, groups stay on one side."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import make_images, make_masks

from acrank.records import Refined
from acrank.refining.refine_notes import summary_of
from acrank.refining.sides import Sides, choose_sides, fewer_images
from acrank.targets import Target, open_target
from acrank.targets.draws import make_draws


def sides_of(target: Target, samples: int, repeats: int = 1) -> tuple[Sides, set[str]]:
    """The sides, and the images of the draws."""
    draws = make_draws(target, samples=samples, repeats=repeats, seed=0)
    return choose_sides(target, draws, seed=0), {name for draw in draws for name in draw.ids}


def ids(sides: Sides) -> tuple[set[str], set[str]]:
    names = np.array(sides.train.target.ids)
    return set(names[sides.train.indices]), set(names[sides.val.indices])


def test_no_image_of_a_draw_validates(tmp_path: Path) -> None:
    target = open_target(make_images(tmp_path / "target", each=60, size=8))
    sides, drawn = sides_of(target, samples=12, repeats=2)
    train, val = ids(sides)
    assert drawn <= train
    assert train.isdisjoint(val)
    assert train | val == set(target.ids)
    assert len(val) == pytest.approx(100, abs=2)  # five times the least, which is more than 0.4 of 180
    assert set(sides.val.labels) == {0, 1, 2}
    assert "no draw used" in sides.note


def test_halves_where_the_draws_leave_too_little(tmp_path: Path) -> None:
    target = open_target(make_images(tmp_path / "target", each=8, size=8))
    sides, _ = sides_of(target, samples=24)
    train, val = ids(sides)
    assert (len(train), len(val)) == (12, 12)
    assert train.isdisjoint(val)
    assert sides.note == "all 24 images are in the draws, so one half trains and the other validates"


@pytest.mark.parametrize("grouped", [False, True])
def test_a_note_on_halves_says_how_many_images_the_draws_leave(tmp_path: Path, grouped: bool) -> None:
    target = open_target(make_images(tmp_path / "target", each=8, size=8))
    groups = tuple(str(place // 2) for place in range(24)) if grouped else None
    sides, drawn = sides_of(dataclasses.replace(target, groups=groups), samples=18)
    pairs = {name for place, name in enumerate(target.ids) if target.ids[place ^ 1] in drawn}
    left = 24 - len(drawn | pairs if grouped else drawn)
    where = "neither in a draw nor of a group in one" if grouped else "in no draw"
    assert left > 1
    assert sides.note.startswith(f"{left} of 24 images are {where}, too few")


def test_the_summary_says_how_many_train_and_how_many_validate(tmp_path: Path) -> None:
    """It said "the draws leave 0 of 24 images: validated on the half that no training saw (12)"."""
    sides, _ = sides_of(open_target(make_images(tmp_path / "target", each=8, size=8)), samples=24)
    known = {name: Refined(metric="auc", quality=0.5, rounds=2) for name in "ab"}
    assert summary_of(known, sides, None) == (
        "refined: 2 candidates trained on 12 images and validated on 12 others, in 2 rounds "
        "(all 24 images are in the draws, so one half trains and the other validates)"
    )


def test_fewer_images_are_of_every_class_and_of_their_side(tmp_path: Path) -> None:
    sides, _ = sides_of(open_target(make_images(tmp_path / "target", each=40, size=8)), samples=12)
    fewer = fewer_images(sides, train=6, val=2, seed=0)
    assert [len(part) for part in (fewer.train, fewer.val)] == [6, 3]  # one of each class at least
    assert {*fewer.train.labels} == {*fewer.val.labels} == {0, 1, 2}
    assert all(some <= whole for some, whole in zip(ids(fewer), ids(sides), strict=True))
    assert fewer.train.target.ids == tuple(sorted(set.union(*ids(fewer))))  # no other image is read
    assert fewer_images(sides, train=500, val=500, seed=0) is sides
    again = fewer_images(sides, train=6, val=2, seed=0)
    assert again.digest == fewer.digest != fewer_images(sides, train=6, val=2, seed=1).digest


@pytest.mark.parametrize("samples", [9, 120])  # 9 cut through a group
def test_groups_stay_on_one_side(tmp_path: Path, samples: int) -> None:
    plain = open_target(make_images(tmp_path / "target", each=40, size=8))
    target = dataclasses.replace(plain, groups=tuple(f"p{place % 20}" for place in range(len(plain))))
    sides, _ = sides_of(target, samples=samples)
    groups = dict(zip(target.ids, target.groups or (), strict=True))
    train, val = ids(sides)
    assert {groups[name] for name in train}.isdisjoint({groups[name] for name in val})
    assert len(train) >= 20
    assert len(val) >= 20
    assert sides.train.target.groups == tuple(groups[name] for name in sides.train.target.ids)


def test_masks(tmp_path: Path) -> None:
    target = open_target(make_masks(tmp_path / "target", n=14, size=16))
    sides, drawn = sides_of(target, samples=6)
    train, val = ids(sides)
    assert drawn <= train
    assert len(val) == 8
    assert sides.train.target.mask_store.mask(int(sides.val.indices[0])).shape == (16, 16)


def test_an_image_that_cannot_be_decoded_is_on_no_side(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "target", each=40, size=8)
    plain = open_target(folder)
    _, drawn = sides_of(plain, samples=12)
    broken = next(name for name in plain.ids if name not in drawn)
    next(path for path in folder.rglob("*.png") if str(path).endswith(broken)).write_bytes(b"\x89PNG")
    sides, _ = sides_of(open_target(folder), samples=12)
    assert broken not in set.union(*ids(sides))
