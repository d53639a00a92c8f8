"""Image, mask and channels of a volume are held against each other by where their headers put them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.volume_sets import AFFINE, save_volume, scan, write_nnunet
from helpers.workbench import Outcome, entry, network, write_zoo

from acrank.errors import TargetError, UsageError
from acrank.targets import open_target

pytest.importorskip("nibabel")


def turned(degrees: float) -> np.ndarray:
    """A rotation about z, in voxels of AFFINE."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(4)
    turn[:2, :2] = [[cos, -sin], [sin, cos]]
    return np.asarray(turn @ AFFINE)


def moved(*by: float) -> np.ndarray:
    out = AFFINE.copy()
    out[:3, 3] += by
    return out


def mask_at(folder: Path, affine: np.ndarray, mask: np.ndarray | None = None) -> Path:
    write_nnunet(folder)
    save_volume(folder / "labelsTr" / "case_001.nii.gz", scan(1)[1] if mask is None else mask, affine)
    return folder


ELSEWHERE = {
    "identity": (np.eye(4), "origin|direction|spacing"),
    "reversed": (np.diag([-1.0, 2.0, 3.0, 1.0]), "origin"),
    "origin": (moved(40, 0, 0), r"origin \(-9, -22, 0\) and \(31, -22, 0\) mm"),
    "spacing": (np.diag([-1.0, -2.0, 1.0, 1.0]), "spacing 1 × 2 × 3 and 1 × 2 × 1 mm"),
    "turned": (turned(30), r"direction \(x turned by 30 degrees, y turned by 30 degrees\)"),
    "one voxel": (moved(0, 2, 0), "origin"),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_mask_elsewhere_is_refused_with_both_ways_out(tmp_path: Path, name: str) -> None:
    affine, words = ELSEWHERE[name]
    with pytest.raises(TargetError, match=rf"case_001\.nii\.gz lies elsewhere than .*: .*({words})") as caught:
        open_target(mask_at(tmp_path, affine))
    assert "--geometry array" in caught.value.hint
    assert "--geometry header" in caught.value.hint


@pytest.mark.parametrize("name", ELSEWHERE)
def test_by_array_it_is_as_if_the_headers_agreed(tmp_path: Path, name: str) -> None:
    plain = open_target(write_nnunet(tmp_path / "plain"))
    other = open_target(mask_at(tmp_path / "other", ELSEWHERE[name][0]), geometry="array")
    assert np.array_equal(plain.mask_store.mask(1), other.mask_store.mask(1))
    assert "geometry: by array" in other.notes
    assert plain.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("by", "inside"), [(0.3, True), (0.04, True), (1e-5, False)], ids=["third", "hundredths", "rounding"]
)
def test_slight_differences_are_a_note(tmp_path: Path, by: float, inside: bool) -> None:
    target = open_target(mask_at(tmp_path, moved(by, 0, 0)))
    assert any("1 volumes lie slightly beside their mask" in note for note in target.notes) is inside
    assert np.array_equal(target.mask_store.mask(1), scan(1)[1][::-1, ::-1])


@pytest.mark.parametrize("geometry", [None, "header"])
def test_another_order_of_axes_at_the_same_place_is_no_difference(tmp_path: Path, geometry: str | None) -> None:
    """The mask is stored in RAS+, the image in LPS+: both headers say so."""
    upright = AFFINE @ np.array([[-1, 0, 0, 9], [0, -1, 0, 11], [0, 0, 1, 0], [0, 0, 0, 1]])
    target = open_target(mask_at(tmp_path, upright, scan(1)[1][::-1, ::-1]), geometry=geometry)
    assert np.array_equal(target.mask_store.mask(1), scan(1)[1][::-1, ::-1])
    assert not any("slightly" in note for note in target.notes)


def test_by_header_a_mask_of_a_part_lands_where_it_belongs(tmp_path: Path) -> None:
    """A mask cropped to its box: its origin is that of the box."""
    cropped = scan(1)[1][2:7, 3:9, 1:6]
    origin = AFFINE.copy()
    origin[:3, 3] = (AFFINE @ [2, 3, 1, 1])[:3]
    folder = mask_at(tmp_path / "a", origin, cropped)
    with pytest.raises(TargetError, match="sizes differ"):
        open_target(folder)
    plain = open_target(write_nnunet(tmp_path / "b"))
    target = open_target(folder, geometry="header")
    assert np.array_equal(target.mask_store.mask(1), plain.mask_store.mask(1))


def test_by_header_a_finer_mask_is_taken_at_the_nearest_voxel(tmp_path: Path) -> None:
    fine = np.repeat(scan(1)[1], 2, axis=0)
    affine = AFFINE @ np.diag([0.5, 1.0, 1.0, 1.0])
    affine[:3, 3] = (AFFINE @ [-0.25, 0, 0, 1])[:3]
    target = open_target(mask_at(tmp_path / "a", affine, fine), geometry="header")
    assert np.array_equal(target.mask_store.mask(1), scan(1)[1][::-1, ::-1])


@pytest.mark.parametrize("geometry", ["array", "header", None])
def test_channels_are_held_against_the_first(tmp_path: Path, geometry: str | None) -> None:
    folder = write_nnunet(tmp_path, channel_names={"0": "T1", "1": "T2"})
    for index in range(4):
        affine = AFFINE if index else moved(3, 0, 0)
        save_volume(folder / "imagesTr" / f"case_{index:03d}_0001.nii.gz", scan(index)[0], affine)
    if geometry is None:
        with pytest.raises(TargetError, match=r"case_000_0001\.nii\.gz lies elsewhere"):
            open_target(folder)
        return
    first, second = open_target(folder, geometry=geometry, intensity="window:0,500").read(0)
    if geometry == "array":
        assert np.array_equal(first, second)
    else:  # three millimetres to the right; beyond the edge there is nothing
        assert np.allclose(first[:-3], second[3:], atol=1e-6)
        assert (second[:3] == 0).all()


def test_a_damaged_file_is_named_when_it_is_read_and_not_before(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path)
    (folder / "labelsTr" / "case_002.nii.gz").write_bytes(b"damaged")
    target = open_target(folder)
    with pytest.raises(TargetError, match=r"case_002\.nii\.gz"):
        target.mask_store.mask(2)


def test_by_array_the_scores_are_those_of_headers_that_agree(
    tmp_path: Path, acrank: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    torch.save(network(0).state_dict(), tmp_path / "f0.pth")
    common = ("score", "--zoo", write_zoo(tmp_path, entry("f0")), "--allow-code", "--slices", 3, "--repeats", 1)
    write_nnunet(tmp_path / "plain", count=8)
    write_nnunet(tmp_path / "odd", count=8)
    for index in range(8):
        save_volume(tmp_path / "odd" / "labelsTr" / f"case_{index:03d}.nii.gz", scan(index)[1], np.eye(4))
    refused = acrank(*common, "--data", tmp_path / "odd", "-o", tmp_path / "no.json")
    assert refused.code == 3
    assert "lies elsewhere than" in refused.err
    found = []
    for words in (("plain",), ("odd", "--geometry", "array")):
        done = acrank(*common, "--overwrite", "-f", "json", "--data", tmp_path / words[0], *words[1:])
        assert done.code == 0, done.err
        (row,) = json.loads(done.out)["rows"]
        found.append({name: value["value"] for name, value in row["scores"].items()})
    assert found[0] == found[1]


def test_the_option_is_checked(tmp_path: Path, acrank: Callable[..., Outcome]) -> None:
    with pytest.raises(UsageError):
        open_target(write_nnunet(tmp_path / "set"), geometry="guess")
    done = acrank("score", "--data", tmp_path / "set", "--geometry", "guess")
    assert done.code == 2
    assert "geometry" in done.err
