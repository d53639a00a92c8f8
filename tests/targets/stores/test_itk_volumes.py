"""NRRD and MetaImage give the arrays that NIfTI gives, whole and in part."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.volume_sets import AFFINE, save_volume, scan, write_nnunet

from acrank.errors import MissingExtraError, TargetError, is_damage
from acrank.targets import open_target
from acrank.targets.stores.nifti import open_volume

pytest.importorskip("nibabel")
pytest.importorskip("SimpleITK")
ENDINGS = [".nrrd", ".nhdr", ".mha", ".mhd"]
OBLIQUE = AFFINE.copy()
OBLIQUE[:3, :3] = np.array([[0, -0.96, 0.28], [1, 0, 0], [0, 0.28, 0.96]]) @ AFFINE[:3, :3]
OBLIQUE[:3, 3] = (5, -7, 11)


@pytest.mark.parametrize("ending", ENDINGS)
def test_sets_of_nnunet_hold_the_same(tmp_path: Path, ending: str) -> None:
    one = open_target(write_nnunet(tmp_path / "a"))
    other = open_target(write_nnunet(tmp_path / "b", ending=ending))
    assert one.ids == other.ids
    assert one.notes == other.notes
    for place in range(len(one)):
        assert np.array_equal(one.read(place), other.read(place))
        assert np.array_equal(one.mask_store.mask(place), other.mask_store.mask(place))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("channels", [1, 3])
def test_oblique_volumes_in_parts(tmp_path: Path, ending: str, channels: int) -> None:
    values = scan(0)[0] if channels == 1 else np.stack([scan(place)[0] for place in range(channels)], axis=-1)
    one = open_volume(save_volume(tmp_path / "v.nii", values, OBLIQUE))
    other = open_volume(save_volume(tmp_path / f"v{ending}", values, OBLIQUE))
    assert (one.shape, one.channels) == (other.shape, other.channels)
    assert np.allclose(one.grid.affine, other.grid.affine, atol=1e-4)
    where = (slice(1, 4), slice(2, 9), slice(0, 3))
    for mine, theirs in zip(one.crop(where), other.crop(where), strict=True):
        assert np.array_equal(mine, theirs)


def test_class_folders_of_any_volume(tmp_path: Path) -> None:
    for place, ending in enumerate([".nrrd", ".mha", ".nii.gz", ".mhd"]):
        save_volume(tmp_path / "ab"[place % 2] / f"{place}{ending}", scan(place)[0])
    target = open_target(tmp_path)
    assert target.axes == 3
    assert [target.read(place).shape for place in range(4)] == [(1, 10, 12, 8)] * 4


def test_other_values_are_another_volume(tmp_path: Path) -> None:
    """The values of a detached header lie in another file, which the digest covers and whose changes are seen."""
    for place in range(4):
        save_volume(tmp_path / "ab"[place % 2] / f"{place}.mhd", scan(place)[0])
    target = open_target(tmp_path, intensity="window:0,500")
    before, digest = target.read(0), target.raw_digest([0])
    save_volume(tmp_path / "a" / "0.mhd", scan(0)[0] + 50)
    assert target.raw_digest([0]) != digest
    assert not np.array_equal(target.read(0), before)


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "LIST", "slice%03d.raw", "..\\secret.raw"])
def test_values_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    path = save_volume(tmp_path / "a" / "v.mhd", scan(0)[0])
    path.write_text(path.read_text().replace("v.raw", name))
    with pytest.raises(TargetError, match="values' file"):
        open_volume(path)


def test_values_that_a_link_stands_for_are_refused(tmp_path: Path) -> None:
    path = save_volume(tmp_path / "a" / "v.mhd", scan(0)[0])
    path.with_suffix(".raw").rename(tmp_path / "secret.raw")
    path.with_suffix(".raw").symlink_to(tmp_path / "secret.raw")
    with pytest.raises(TargetError, match="is a link"):
        open_volume(path)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_damaged_files_are_named(tmp_path: Path, ending: str) -> None:
    path = save_volume(tmp_path / f"v{ending}", scan(0)[0])
    raw = path.read_bytes()
    path.write_bytes(raw[:400])
    with pytest.raises(TargetError, match="cannot read"):
        open_volume(path).crop((slice(0, 10), slice(0, 12), slice(0, 8)))
    path.write_bytes(b"nonsense")
    with pytest.raises(TargetError, match="cannot read"):
        open_volume(path)


def test_a_header_of_a_huge_volume_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = save_volume(tmp_path / "v.mhd", scan(0)[0])
    path.write_text(path.read_text().replace("DimSize = 10 12 8", "DimSize = 40000 40000 40000"))
    with pytest.raises(TargetError, match="would take"):
        open_volume(path).crop((slice(0, 1), slice(0, 1), slice(0, 1)))


def test_without_simpleitk_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_volume(tmp_path / "v.nrrd", scan(0)[0])
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingExtraError) as caught:
        open_volume(path)
    assert caught.value.hint == "pip install 'acrank[itk]'"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd"])
def test_complex_values_are_refused(tmp_path: Path, ending: str) -> None:
    for place in range(4):
        values = scan(place)[0].astype(np.complex64) * (1 + 2j)
        save_volume(tmp_path / "ab"[place % 2] / f"{place}{ending}", values)
    with pytest.raises(TargetError, match=r"holds values of complex") as caught:
        open_target(tmp_path)
    assert "magnitude" in str(caught.value.hint)
    assert not is_damage(caught.value)


def test_colours_of_nifti_are_refused(tmp_path: Path) -> None:
    for place in range(4):
        values = np.zeros((10, 12, 8), [(name, np.uint8) for name in "RGB"])
        save_volume(tmp_path / "ab"[place % 2] / f"{place}.nii", values)
    with pytest.raises(TargetError, match="holds records of R, G, B") as caught:
        open_target(tmp_path)
    assert "channels" in str(caught.value.hint)
