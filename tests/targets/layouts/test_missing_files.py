"""Files that a table names and that are not there: named and counted as those that cannot be decoded are."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.image_sets import table

from acrank.cache import ObservationCache
from acrank.errors import TargetError
from acrank.ranking.examined_target import examine_target
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.layouts.missing_files import IS_MISSING


def test_missing_and_damaged_files_are_named_together_and_once(tmp_path: Path) -> None:
    path = table(tmp_path / "t", ["a", "b"])
    (tmp_path / "t" / "img" / "003.png").unlink()
    (tmp_path / "t" / "img" / "004.png").write_bytes(b"\x89PNG")
    cache = ObservationCache(tmp_path / "cache").open()
    target = open_target(path, bad_images="skip")
    assert target.left_out == (("img/003.png", IS_MISSING),)
    settings = Settings(samples=24, repeats=1).for_task("classification")
    for _ in range(2):  # the second is remembered
        found, _, understanding = examine_target(open_target(path, bad_images="skip"), settings, cache)
        assert list(understanding.left_out) == ["img/003.png", "img/004.png"]
        assert [name for name, _ in found.left_out] == ["img/003.png", "img/004.png"]
        assert len(found) == 22


def test_an_empty_path_is_left_out_by_its_row(tmp_path: Path) -> None:
    path = table(tmp_path / "t", ["a", "b"])
    path.write_text(path.read_text().replace("img/004.png", ""))
    with pytest.raises(TargetError, match=r"1 of 24 images are missing: \(an empty path\)"):
        open_target(path)
    assert open_target(path, bad_images="skip").left_out == (("row 6", IS_MISSING),)
