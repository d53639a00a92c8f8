"""NIfTI in Decathlon's and nnU-Net's layout: orientation, intensities, equal content, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from acrank.errors import MissingExtraError, TargetError, UsageError
from acrank.targets import open_target
from acrank.targets.stores.nifti import Volume, VolumeSource
from acrank.targets.target import IGNORED

nibabel = pytest.importorskip("nibabel")
from acrank.demo.nodules import make_nodules, nodule_scan  # noqa: E402 - needs nibabel


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    make_nodules(tmp_path / "dec", n=4, size=24)
    make_nodules(tmp_path / "nnu", layout="nnunet", n=4, size=24)
    return tmp_path / "dec", tmp_path / "nnu"


def describe(folder: Path, **changes: object) -> Path:
    about = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**about, **changes}))
    return folder


def test_both_layouts_hold_the_same(both: tuple[Path, Path]) -> None:
    first, second = (open_target(path) for path in both)
    assert (first.layout, second.layout) == ("decathlon", "nnunet")
    assert first.ids == second.ids == tuple(f"nodule_{i:03d}" for i in range(4))
    assert first.classes == second.classes == ("background", "nodule")
    for i in range(4):
        assert np.array_equal(first.read(i), second.read(i))
        assert np.array_equal(first.mask_store.mask(i), second.mask_store.mask(i))


def test_ct_is_cut_to_a_window(both: tuple[Path, Path]) -> None:
    scan, mask = nodule_scan(0, 2, size=24)
    target = open_target(both[0])
    assert np.allclose(target.read(2)[0], np.clip((scan + 1000) / 2000, 0, 1), atol=1e-6)
    assert np.array_equal(target.mask_store.mask(2), mask)
    narrow = open_target(both[0], intensity="window:-900,100").read(2)[0]
    assert np.allclose(narrow, np.clip((scan + 900) / 1000, 0, 1), atol=1e-6)


def test_percentiles_and_deviations(both: tuple[Path, Path]) -> None:
    scan = nodule_scan(0, 1, size=24)[0].astype(float)
    low, high = np.percentile(scan, [0.5, 99.5])
    percentile = open_target(describe(both[1], channel_names={"0": "T1"})).read(1)[0]
    assert np.allclose(percentile, np.clip((scan - low) / (high - low), 0, 1), atol=1e-5)
    scaled = open_target(both[0], intensity="zscore").read(1)[0]
    assert np.allclose(scaled, np.clip((scan - scan.mean()) / scan.std() / 6 + 0.5, 0, 1), atol=1e-5)
    with pytest.raises(UsageError, match="unknown intensity rule"):
        open_target(both[0], intensity="window:9,1")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "AIL", "SRP"])
def test_parts_are_turned_as_nibabel_turns_the_whole(tmp_path: Path, codes: str, suffix: str) -> None:
    turn = nibabel.orientations.axcodes2ornt(codes)
    affine = nibabel.orientations.inv_ornt_aff(turn, (5, 6, 7)) @ np.diag([1.0, 2.0, 3.0, 1.0])
    image = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32), affine)
    nibabel.save(image, tmp_path / f"v{suffix}")
    whole = nibabel.as_closest_canonical(image)
    volume = Volume(VolumeSource(tmp_path / f"v{suffix}"))
    where = (slice(1, 4), slice(2, 5), slice(0, 3))
    assert volume.shape == whole.shape
    assert volume.spacing == pytest.approx(whole.header.get_zooms())
    assert np.array_equal(volume.crop(where)[0], whole.get_fdata()[where].astype(np.float32))


@pytest.mark.skipif(nibabel.__version__ < "5.4", reason="earlier versions take other axes of volumes far aslant")
def test_axes_are_those_that_nibabel_takes(tmp_path: Path) -> None:
    """Also of volumes that lie far aslant."""
    rng = np.random.default_rng(0)
    for number in range(60):
        affine = np.eye(4)
        affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.3, 5, 3)
        image = nibabel.Nifti1Image(rng.normal(size=(2, 3, 4)).astype(np.float32), affine)
        nibabel.save(image, tmp_path / f"{number}.nii")
        volume = Volume(VolumeSource(tmp_path / f"{number}.nii"))
        whole = nibabel.as_closest_canonical(image)
        assert volume.shape == whole.shape
        assert np.allclose(volume.grid.affine, whole.affine, atol=1e-4)
        assert np.array_equal(volume.crop(tuple(map(slice, (0, 0, 0), volume.shape)))[0], whole.get_fdata())


def test_channels_in_files_or_in_a_fourth_axis(tmp_path: Path) -> None:
    make_nodules(tmp_path / "dec", n=4, size=16)
    make_nodules(tmp_path / "nnu", layout="nnunet", n=4, size=16)
    for path in sorted((tmp_path / "dec" / "imagesTr").iterdir()):
        first = nibabel.load(path)
        values = np.asarray(first.dataobj)
        nibabel.save(nibabel.Nifti1Image(np.stack([values, values[::-1]], -1), first.affine), path)
        second = tmp_path / "nnu" / "imagesTr" / path.name.replace(".nii.gz", "_0001.nii.gz")
        nibabel.save(nibabel.Nifti1Image(values[::-1], first.affine), second)
    one = open_target(describe(tmp_path / "dec", modality={"0": "CT", "1": "T2"}))
    other = open_target(describe(tmp_path / "nnu", channel_names={"0": "CT", "1": "T2"}))
    assert one.read(0).shape == (2, 16, 16, 16)
    assert np.array_equal(one.read(3), other.read(3))
    assert not np.array_equal(one.read(3)[0], one.read(3)[1, ::-1])  # the rules differ


def test_unknown_labels_are_ignored(both: tuple[Path, Path]) -> None:
    target = open_target(describe(both[1], labels={"background": 0, "wall": 5, "ignore": 1}))
    assert target.classes == ("background", "wall")
    mask = target.mask_store.mask(0)
    assert np.array_equal(mask == IGNORED, nodule_scan(0, 0, size=24)[1] == 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"0": "background"}}, "labels"),
        ({"labels": {"a": "background", "1": "x"}}, "not names and numbers"),
        ({"training": [{"image": "./imagesTr/none.nii.gz", "label": "./labelsTr/none.nii.gz"}]}, "lacks 2 files"),
        ({"training": [{"image": "../x.nii.gz", "label": "./labelsTr/y.nii.gz"}]}, "outside its folder"),
        ({"training": ["x"]}, "is not a pair"),
        ({"training": []}, "no volumes"),
    ],
)
def test_unusable_descriptions(both: tuple[Path, Path], changes: dict[str, object], message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        open_target(describe(both[0], **changes))
    assert caught.value.hint


def test_a_damaged_volume_is_named(both: tuple[Path, Path]) -> None:
    path = both[0] / "imagesTr" / "nodule_001.nii.gz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(TargetError, match=r"nodule_001\.nii\.gz"):
        open_target(both[0]).read(1)


def test_mask_of_another_size(both: tuple[Path, Path]) -> None:
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)), both[0] / "labelsTr" / "nodule_000.nii.gz"
    )
    with pytest.raises(TargetError, match="sizes differ"):
        open_target(both[0]).mask_store.mask(0)


def test_without_nibabel_the_extra_is_named(both: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingExtraError) as caught:
        open_target(both[0])
    assert caught.value.hint == "pip install 'acrank[volumes]'"


def test_a_spacing_of_too_many_voxels_is_refused_before_the_run(both: tuple[Path, Path], tmp_path: Path) -> None:
    for folder in both:
        with pytest.raises(TargetError, match=r"--spacing 0\.001,0\.001,0\.001 makes [\d,]+ voxels of .*nii\.gz"):
            open_target(folder, spacing=(0.001, 0.001, 0.001))
    for name in "ab":
        (tmp_path / "c" / name).mkdir(parents=True)
        shutil.copy(both[0] / "imagesTr" / "nodule_000.nii.gz", tmp_path / "c" / name)
    with pytest.raises(TargetError, match="more than"):
        open_target(tmp_path / "c", spacing=(0.001, 1, 1e-9))


def nifti_bomb(path: Path, shape: tuple[int, int, int], *, held: int = 2**20) -> None:
    """A NIfTI file of zeros whose header declares a shape; it holds that many bytes of values."""
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    with gzip.open(path, "wb", 1) as file:
        file.write(header.binaryblock + bytes(4 + held))


@pytest.mark.parametrize("shape", [(1000, 1000, 1000), (32000, 32000, 32000)])
def test_a_volume_that_declares_gibibytes(both: tuple[Path, Path], shape: tuple[int, int, int]) -> None:
    for part in ("imagesTr", "labelsTr"):
        nifti_bomb(both[0] / part / "nodule_001.nii.gz", shape)
    target = open_target(both[0], intensity="percentile")
    for read in (target.read, target.mask_store.mask):
        with pytest.raises(TargetError, match=r"the volume .*nodule_001\.nii\.gz would take"):
            read(1)


def test_a_header_that_begins_its_values_far_into_the_file(tmp_path: Path) -> None:
    nifti_bomb(tmp_path / "a.nii.gz", (8, 8, 8))
    with gzip.open(tmp_path / "a.nii.gz") as file:
        raw = bytearray(file.read())
    raw[108:112] = np.float32(3e9).tobytes()
    with gzip.open(tmp_path / "a.nii.gz", "wb") as file:
        file.write(raw)
    with pytest.raises(TargetError, match="begins its values at byte 3e"):
        Volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("place", [40, 42, 70, 76, 80, 108, 112, 254, 280, 300])
@pytest.mark.parametrize("value", [b"\xff" * 4, b"\0" * 4, b"\0\0\x80\x7f", b"\0\0\xc0\x7f"])
def test_damaged_headers_end_with_an_error_line(tmp_path: Path, place: int, value: bytes) -> None:
    nifti_bomb(tmp_path / "a.nii.gz", (8, 8, 8))
    with gzip.open(tmp_path / "a.nii.gz") as file:
        raw = bytearray(file.read())
    raw[place : place + 4] = value
    with gzip.open(tmp_path / "a.nii.gz", "wb", 1) as file:
        file.write(raw)
    with contextlib.suppress(TargetError):
        volume = Volume(tmp_path / "a.nii.gz")
        volume.shape_at((1.0, 1.0, 1.0))
        parts = volume.crop(tuple(slice(0, size) for size in volume.shape))
        assert {part.shape for part in parts} == {volume.shape}
