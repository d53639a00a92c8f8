"""Sets of DICOM files: images by class, tables, series and frames as volumes, patients as groups."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.dicom_files import SECRETS, write_dicom, write_series
from helpers.volume_sets import save_volume, scan
from helpers.workbench import Outcome, entry, network, write_zoo
from PIL import Image

from acrank.errors import TargetError, UsageError
from acrank.finetuning.splits import make_partition, open_splits
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.targets.examination import Examination

pydicom = pytest.importorskip("pydicom")
from pydicom.data import get_testdata_file  # noqa: E402 - needs pydicom

RNG = np.random.default_rng(0)


def grey(size: int = 12) -> np.ndarray:
    return RNG.integers(0, 4096, (size, size), dtype=np.uint16)


@pytest.fixture
def by_class(tmp_path: Path) -> Path:
    """Two classes, three patients of two images each in either; some names have no suffix."""
    for place in range(12):
        name = f"{'sick' if place % 2 else 'well'}/IM{place:02d}{'' if place % 3 else '.dcm'}"
        write_dicom(tmp_path / "set" / name, grey(), patient=f"P{place // 2 % 6}", series=str(place))
    return tmp_path / "set"


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return path


def test_images_by_class(by_class: Path) -> None:
    target = open_target(by_class)
    assert (target.task, target.axes, target.classes, len(target)) == ("classification", 2, ("sick", "well"), 12)
    assert target.notes == [
        "6 patients are the groups of 12 images or volumes",
        "intensities of DICOM images: the file's window (0 files), else percentile (12)",
    ]
    image = target.read(0)
    assert (image.shape, image.dtype, image.min(), image.max()) == ((1, 12, 12), np.float32, 0, 1)


def test_patients_are_groups_without_their_ids(by_class: Path) -> None:
    target = open_target(by_class)
    assert target.groups is not None
    found = dict(zip(target.ids, target.groups, strict=True))
    assert set(found.values()) == {f"patient {number}" for number in range(1, 7)}
    assert found["well/IM00.dcm"] == found["sick/IM01"]
    assert found["well/IM00.dcm"] != found["well/IM02"]
    assert open_target(by_class).groups == target.groups


@pytest.mark.parametrize("patient", ["", "ANON"])
def test_one_patient_id_for_all_tells_no_groups(tmp_path: Path, patient: str) -> None:
    for place in range(4):
        write_dicom(tmp_path / "ab"[place % 2] / f"{place}.dcm", grey(), patient=patient)
    target = open_target(tmp_path)
    assert target.groups is None
    assert ("all DICOM files have one patient id: it tells no groups" in target.notes) is bool(patient)


@pytest.mark.parametrize("options", [{"group_pattern": "IM(0?.)"}, {"group_column": "site"}])
def test_groups_of_the_user_replace_patients(by_class: Path, options: dict[str, str]) -> None:
    names = open_target(by_class).ids
    rows = [f"{name},{name.split('/')[0]},s{place % 3}" for place, name in enumerate(names)]
    (by_class / "list.csv").write_text("\n".join(["path,label,site", *rows]))
    target = open_target(by_class / "list.csv", **options)  # type: ignore[arg-type]
    assert target.groups is not None
    assert not any("patient" in text for text in (*target.groups, *target.notes))
    assert any("images are kept on one side of every split" in note for note in target.notes)


@pytest.mark.parametrize(("dicom", "count"), [("images", 16), ("series", 8)])
def test_folders_of_groups_replace_patients(tmp_path: Path, dicom: str, count: int) -> None:
    for place in range(8):
        series = write_series(
            tmp_path / "new", RNG.integers(0, 99, (5, 6, 2)), patient=f"P{place // 4}", series=f"{place}"
        )
        folder = tmp_path / f"site{'ab'[place % 2]}" / ("sick" if place % 4 < 2 else "well")
        folder.mkdir(parents=True, exist_ok=True)
        for file in series.iterdir():
            file.rename(folder / f"{place}{file.name}.dcm")
        series.rmdir()
    target = open_target(tmp_path, dicom=dicom, class_folders="bottom")
    assert (target.classes, len(target)) == (("sick", "well"), count)
    assert target.groups == tuple(name.split("/")[0] for name in target.ids)
    assert not any("patients are the groups" in note for note in target.notes)


def test_patients_are_on_one_side_of_draws_and_splits(by_class: Path) -> None:
    target = open_target(by_class)
    assert target.groups is not None
    groups = np.array(target.groups)
    for draw in make_draws(target, samples=None, repeats=3, seed=0):
        drawn = groups[draw.indices]
        assert not set(drawn[draw.half]) & set(drawn[~draw.half])
    found = make_partition(open_splits(by_class), split=0, val_share=0.2, test_share=0.3, train_size=None)
    sides = [set(groups[part.indices]) for part in (found.train, found.val, found.test)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 6


@pytest.mark.parametrize("shared", [0, 2])
def test_patients_in_several_splits_are_counted_by_who_they_are(tmp_path: Path, shared: int) -> None:
    for split, first in (("train", 0), ("test", 4 - shared)):
        for place in range(8):
            name = f"{split}/{'ab'[place % 2]}/{place}.dcm"
            write_dicom(tmp_path / name, grey(), patient=f"P{first + place // 2}", series=f"{split}{place}")
    notes = open_splits(tmp_path, split_by="target")["train"].notes
    assert [note for note in notes if "own splits" in note] == (
        ["warning: 2 groups are in several of the target's own splits: patient 1, patient 2"] if shared else []
    )


def test_a_table_gives_the_same_images(by_class: Path) -> None:
    folders = open_target(by_class)
    rows = [(name, name.split("/")[0]) for name in folders.ids]
    listed = open_target(table(by_class / "list.csv", rows[::-1]))
    assert (listed.ids, listed.classes, listed.groups) == (folders.ids, folders.classes, folders.groups)
    for place in range(len(folders)):
        assert np.array_equal(listed.read(place), folders.read(place))
    numbers = open_target(table(by_class / "n.csv", [(name, str(place / 3)) for place, (name, _) in enumerate(rows)]))
    assert numbers.task == "regression"
    assert numbers.labels.tolist() == [place / 3 for place in range(12)]


def test_objects_without_an_image_are_counted(by_class: Path) -> None:
    for name in ("rtplan.dcm", "test-SR.dcm", "DICOMDIR"):
        shutil.copy(get_testdata_file(name), by_class / "sick" / name)
    target = open_target(by_class)
    assert len(target) == 12
    assert target.notes[0] == "3 DICOM files that are no image (segmentations, reports, plans, DICOMDIR) are left out"


def test_a_few_damaged_files_are_counted_and_many_refused(tmp_path: Path) -> None:
    for place in range(24):
        write_dicom(tmp_path / "ab"[place % 2] / f"{place:02d}.dcm", grey())
    bad = tmp_path / "a" / "00.dcm"
    raw = bad.read_bytes()
    bad.write_bytes(raw[:132] + bytes(range(256)) * 4)
    target = open_target(tmp_path)
    assert len(target) == 23
    assert target.notes[0] == "1 DICOM files that cannot be read are left out: a/00.dcm"
    (tmp_path / "b" / "01.dcm").write_bytes(bad.read_bytes())
    with pytest.raises(TargetError, match=r"cannot read .*00\.dcm as DICOM"):
        open_target(tmp_path)


def pair_of_classes(folder: Path, count: int, **fields: object) -> Path:
    """So many images in two class folders, of which the second has `fields`."""
    for place in range(count):
        write_dicom(folder / "ab"[place % 2] / f"{place:02d}.dcm", grey(), **(fields if place == 1 else {}))
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def without_syntax(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))


def unknown_field(name: bytes, text: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        raw = path.read_bytes()
        assert raw.count(text) == 1, name
        path.write_bytes(raw.replace(text, b"Zwackelmann "[: len(text)]))

    return change


DAMAGE: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "transfer syntax": without_syntax,
    "slope": unknown_field(b"RescaleSlope", b"7.125000"),
    "number": unknown_field(b"InstanceNumber", b"87654321"),
    "header": lambda path: path.write_bytes(path.read_bytes()[:132] + bytes(range(256)) * 4),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("rule", [None, "skip-all", "fail"])
def test_one_damaged_file_is_left_out_and_named(tmp_path: Path, kind: str, rule: str | None) -> None:
    path = pair_of_classes(
        tmp_path / "set", 8, RescaleSlope="7.125000", RescaleIntercept="0", InstanceNumber="87654321"
    )
    DAMAGE[kind](path / "b" / "01.dcm")
    options = {} if rule is None else {"bad_images": rule}
    if rule == "fail":
        with pytest.raises(TargetError, match=r"01\.dcm") as caught:
            Examination().look(open_target(path, **options), range(8))
        assert "--bad-images skip" in str(caught.value.hint)
        return
    target = open_target(path, **options)
    target = Examination().look(target, range(len(target)))
    assert len(target) == 7
    assert "b/01.dcm" not in target.ids
    said = f"{target.left_out} {target.notes}"
    assert "b/01.dcm" in said
    assert "Zwackel" not in said


@pytest.mark.parametrize("kind", ["cut", "header"])
def test_many_damaged_files_are_refused_unless_any_number_may_be(tmp_path: Path, kind: str) -> None:
    path = pair_of_classes(tmp_path / "set", 8)
    for name in ("a/02", "b/01"):
        DAMAGE[kind](path / f"{name}.dcm")
    with pytest.raises(TargetError, match=r"2 of 8 .* cannot be read") as caught:
        Examination().look(open_target(path), range(8))
    assert "--bad-images skip-all" in str(caught.value.hint)
    target = open_target(path, bad_images="skip-all")
    assert len(Examination().look(target, range(len(target)))) == 6


def test_a_set_of_damaged_files_only_stays_an_error(tmp_path: Path) -> None:
    path = pair_of_classes(tmp_path / "set", 4)
    for file in path.rglob("*.dcm"):
        DAMAGE["header"](file)
    with pytest.raises(TargetError, match=r"cannot read .*\.dcm as DICOM"):
        open_target(path, bad_images="skip-all")


def test_windows_and_polarity_are_said(tmp_path: Path) -> None:
    for place in range(6):
        fields = {"WindowCenter": "100", "WindowWidth": "50"} if place < 4 else {}
        polarity = "MONOCHROME1" if place == 5 else "MONOCHROME2"
        write_dicom(
            tmp_path / "ab"[place % 2] / f"{place}",
            grey(),
            series=str(place),
            patient=str(place),
            PhotometricInterpretation=polarity,
            **fields,
        )
    assert open_target(tmp_path).notes[:2] == [
        "intensities of DICOM images: the file's window (4 files), else percentile (2)",
        "1 images of MONOCHROME1 are inverted: low values are white",
    ]
    ruled = open_target(tmp_path, intensity="window:0,4095")
    assert ruled.notes[0] == "intensities of DICOM images: window 0 to 4095"
    assert ruled.fingerprint != open_target(tmp_path).fingerprint


def test_dicom_beside_other_images_is_refused(by_class: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(by_class / "sick" / "preview.png")
    with pytest.raises(TargetError, match=r"DICOM files and others: .*, sick/preview\.png"):
        open_target(by_class)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_series_by_class_are_the_volumes_that_other_formats_hold(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("nibabel" if ending == ".nii.gz" else "SimpleITK")
    for place in range(4):
        name = f"{'ab'[place % 2]}/case{place}"
        write_series(tmp_path / "dicom" / name, scan(place)[0], series=str(place), patient=str(place))
        save_volume(tmp_path / "other" / f"{name}{ending}", scan(place)[0])
    one, other = open_target(tmp_path / "dicom"), open_target(tmp_path / "other")
    assert one.ids == tuple(name.removesuffix(ending) for name in other.ids)
    assert (one.axes, one.notes[1:], one.left_right) == (3, other.notes, other.left_right)
    assert one.notes[0] == "DICOM: 32 slices are 4 volumes (--dicom images reads them one by one)"
    for place in range(4):
        assert np.array_equal(one.read(place), other.read(place))
    flat, plain = (open_target(tmp_path / name, slices=3, spacing=(1, 1, 1)) for name in ("dicom", "other"))
    assert np.array_equal(flat.read(0), plain.read(0))


def test_rescale_of_each_slice_is_its_own(tmp_path: Path) -> None:
    """As in PET, where every slice has its own slope."""
    volume = scan(0)[0]
    for name in ("a/1", "b/2"):
        folder = write_series(tmp_path / name, volume)
        for file in folder.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.RescaleSlope, dataset.RescaleIntercept = dataset.InstanceNumber, 10
            dataset.save_as(file)
    expected = volume * np.arange(1, 9) + 10
    found = open_target(tmp_path, intensity="window:0,5000").read(0)[0]
    assert np.allclose(found[::-1, ::-1], np.clip(expected / 5000, 0, 1), atol=1e-6)


def test_ct_series_get_the_window_of_ct(tmp_path: Path) -> None:
    for name in ("a/1", "b/2"):
        write_series(tmp_path / name, scan(0)[0], Modality="CT")
    assert "intensities: volumes: window -1000 to 1000" in open_target(tmp_path).notes


def test_two_series_in_a_folder_are_read_apart_and_said(tmp_path: Path) -> None:
    for place, name in enumerate(("a/1", "b/2")):
        write_series(tmp_path / name, scan(place)[0], series="1")
        for file in sorted((tmp_path / name).iterdir()):
            file.rename(file.with_name(f"x{file.name}"))
        write_series(tmp_path / name, scan(place + 2)[0], series="2")
    target = open_target(tmp_path)
    assert target.ids == ("a/1#1", "a/1#2", "b/2#1", "b/2#2")
    assert "2 folders hold several series, each read as its own volume: a/1, b/2" in target.notes
    same = open_target(tmp_path, intensity="window:0,500")
    assert np.allclose(same.read(1)[0, ::-1, ::-1], np.clip(scan(0)[0] / 500, 0, 1), atol=1e-6)  # #2: names with x


def test_localizers_and_single_images_are_counted(tmp_path: Path) -> None:
    for name in ("a/1", "b/2"):
        write_series(tmp_path / name, scan(0)[0])
        write_dicom(tmp_path / name / "scout", grey(), series="7", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    target = open_target(tmp_path)
    assert target.ids == ("a/1", "b/2")
    assert "2 localizer images are left out" in target.notes
    write_dicom(tmp_path / "a" / "1" / "single", grey(), series="8")
    mixed = open_target(tmp_path)
    assert mixed.axes == 2
    assert "DICOM: images one by one, though 2 series have several (--dicom series: volumes)" in mixed.notes
    series = open_target(tmp_path, dicom="series")
    assert series.ids == ("a/1", "b/2")
    assert "1 series of a single image are left out: a/1/single" in series.notes


def test_slices_right_in_class_folders_are_images_until_the_user_says_else(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for number in (1, 2):
            folder = write_series(tmp_path / "in" / label, scan(number)[0], series=f"{label}{number}".encode().hex())
            (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                file.rename(tmp_path / "set" / label / f"{number}-{file.name}")
    assert open_target(tmp_path / "set").axes == 2
    target = open_target(tmp_path / "set", dicom="series")
    assert (target.axes, target.ids) == (3, ("a#1", "a#2", "b#1", "b#2"))
    assert open_target(tmp_path / "set", dicom="images").ids[0] == "a/1-IM0000"


def test_a_table_names_folders_of_series(tmp_path: Path) -> None:
    for place in range(4):
        write_series(tmp_path / "scans" / f"case{place}", scan(place)[0], series=str(place))
    rows = [(f"scans/case{place}", "ab"[place % 2]) for place in range(4)]
    target = open_target(table(tmp_path / "list.csv", rows))
    assert (target.axes, target.ids, target.labels.tolist()) == (3, tuple(name for name, _ in rows), [0, 1, 0, 1])
    with pytest.raises(UsageError, match="needs files"):
        open_target(tmp_path / "list.csv", dicom="images")


def test_links_in_a_folder_of_slices_stay_inside(tmp_path: Path) -> None:
    for place in range(4):
        write_series(tmp_path / "set" / "scans" / f"case{place}", scan(place)[0], series=str(place))
    outside = write_dicom(tmp_path / "outside.dcm", grey())
    (tmp_path / "set" / "scans" / "case1" / "IM9999").symlink_to(outside)
    rows = [(f"scans/case{place}", "ab"[place % 2]) for place in range(4)]
    with pytest.raises(TargetError, match="leads outside"):
        open_target(table(tmp_path / "set" / "list.csv", rows))


def test_slices_in_a_table_are_images(tmp_path: Path) -> None:
    for place in range(2):
        write_series(tmp_path / f"case{place}", scan(place)[0], series=str(place))
    rows = [(f"case{place}/IM{number:04d}", "ab"[number % 2]) for place in range(2) for number in range(8)]
    assert open_target(table(tmp_path / "list.csv", rows)).axes == 2
    with pytest.raises(TargetError, match="several labels"):
        open_target(tmp_path / "list.csv", dicom="series")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ImagePositionPatient": [0, 0, 0]}, "two slices lie at the place of"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "in several directions"),
        ({"PixelSpacing": [7, 7]}, "another direction or spacing"),
        ({"InstanceNumber": 1, "ImagePositionPatient": None}, "neither positions nor numbers"),
    ],
)
def test_slices_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    for name in ("a/1", "b/2"):
        folder = write_series(tmp_path / name, scan(0)[0])
        for number, file in enumerate(sorted(folder.iterdir())):
            if number == 0 or change.get("ImagePositionPatient", 0) is None:
                dataset = pydicom.dcmread(file)
                for field, value in change.items():
                    if value is None:
                        delattr(dataset, field)
                    else:
                        setattr(dataset, field, value)
                dataset.save_as(file)
    with pytest.raises(TargetError, match=words) as caught:
        open_target(tmp_path, dicom="series")
    assert "--dicom images" in caught.value.hint


def test_a_slice_that_lacks_is_said(tmp_path: Path) -> None:
    for name in ("a/1", "b/2"):
        folder = write_series(tmp_path / name, scan(0)[0])
        next(file for file in folder.iterdir() if pydicom.dcmread(file).InstanceNumber == 4).unlink()
    assert "2 series have gaps of unequal width, as if slices lacked: a/1, b/2" in open_target(tmp_path).notes


def test_slices_without_positions_are_ordered_by_number(tmp_path: Path) -> None:
    for place, name in enumerate(("a/1", "b/2")):
        write_series(tmp_path / name, scan(place)[0], ImagePositionPatient=None, ImageOrientationPatient=None)
    assert open_target(tmp_path).axes == 2
    found = open_target(tmp_path, dicom="series", intensity="window:0,500").read(0)[0]
    assert np.allclose(found[::-1, ::-1], np.clip(scan(0)[0] / 500, 0, 1), atol=1e-6)


def test_oblique_series_lie_where_itk_says(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    along, down = np.array([0.8, 0.6, 0.0]), np.array([0.0, 0.0, -1.0])
    normal = np.cross(along, down)
    for name in ("a/1", "b/2"):
        folder = write_series(tmp_path / name, scan(0)[0], ImageOrientationPatient=[*along, *down])
        for file in folder.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.ImagePositionPatient = [*(np.array([5, 6, 7]) + 2.5 * (dataset.InstanceNumber - 1) * normal)]
            dataset.save_as(file)
    target = open_target(tmp_path, intensity="window:0,500")
    names = [str(tmp_path / "a" / "1" / f"IM{place:04d}") for place in range(8)]
    ordered = sorted(names, key=lambda name: pydicom.dcmread(name).InstanceNumber)
    sitk.WriteImage(sitk.ReadImage(ordered), str(tmp_path / "c.nrrd"))
    (tmp_path / "itk" / "a").mkdir(parents=True)
    (tmp_path / "itk" / "b").mkdir()
    for label in "ab":
        shutil.copy(tmp_path / "c.nrrd", tmp_path / "itk" / label / "c.nrrd")
    other = open_target(tmp_path / "itk", intensity="window:0,500")
    assert np.array_equal(target.read(0), other.read(0))
    assert target.notes[-1] == other.notes[-1]


def test_frames_are_slices_where_every_file_has_several(tmp_path: Path) -> None:
    frames = RNG.integers(0, 4096, (5, 6, 7), dtype=np.uint16)
    for name in ("a/1.dcm", "b/2.dcm"):
        write_dicom(tmp_path / name, frames)
    target = open_target(tmp_path, intensity="window:0,4095")
    assert (target.axes, target.ids) == (3, ("a/1.dcm", "b/2.dcm"))
    assert target.notes[0] == "2 DICOM files of several frames are volumes, their frames the slices"
    assert np.allclose(target.read(0)[0, ::-1, ::-1].transpose(2, 1, 0), frames / 4095, atol=1e-6)
    assert target.read(0).shape == (1, 7, 6, 5)
    images = open_target(tmp_path, dicom="images", intensity="window:0,4095")
    assert images.ids[:2] == ("a/1.dcm#0", "a/1.dcm#1")
    assert np.allclose(images.read(3)[0], frames[3] / 4095, atol=1e-6)


def test_frames_are_images_beside_single_ones(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a" / "1.dcm", np.stack([grey(), grey()]))
    write_dicom(tmp_path / "b" / "2.dcm", grey())
    target = open_target(tmp_path)
    assert target.ids == ("a/1.dcm#0", "a/1.dcm#1", "b/2.dcm")
    assert "1 DICOM files of several frames give 2 images, one a frame" in target.notes


def test_shipped_frames_in_colour_are_images(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        shutil.copy(get_testdata_file("SC_rgb_rle_2frame.dcm"), tmp_path / label / "x.dcm")
    target = open_target(tmp_path)
    assert target.ids == ("a/x.dcm#0", "a/x.dcm#1", "b/x.dcm#0", "b/x.dcm#1")
    assert np.allclose(target.read(0), 1 - target.read(1), atol=1e-6)
    with pytest.raises(TargetError, match="frames in colour"):
        open_target(tmp_path, dicom="series")


def test_enhanced_files_say_where_their_frames_lie(tmp_path: Path) -> None:
    """Positions, spacing and rescale stand in functional groups, as in enhanced CT and MR."""
    volume = scan(0)[0]
    for name in ("a/1.dcm", "b/2.dcm"):
        shared, frames = pydicom.Dataset(), []
        measures, plane = pydicom.Dataset(), pydicom.Dataset()
        measures.PixelSpacing, measures.SliceThickness = [2, 1], 3
        plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
        for place in range(8):
            position, units, frame = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
            position.ImagePositionPatient = [0, 0, 3 * place]
            units.RescaleSlope, units.RescaleIntercept = place + 1, 0
            frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [position], [units]
            frames.append(frame)
        stored = np.ascontiguousarray(volume.transpose(2, 1, 0))
        fields = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": frames}
        write_dicom(tmp_path / name, stored, **fields)
    target = open_target(tmp_path, intensity="window:0,5000")
    expected = np.clip(volume * np.arange(1, 9) / 5000, 0, 1)
    assert np.allclose(target.read(0)[0, ::-1, ::-1], expected, atol=1e-6)
    assert target.notes[-1] == "spacing 1 × 2 × 3 mm, not resampled"


def test_a_shipped_series(tmp_path: Path) -> None:
    """Two CT series, one without most of its slices, a scout, and MR scouts in three planes, as pydicom ships them."""
    folder = Path(get_testdata_file("DICOMDIR")).parent
    for source, name in {"98892001/CT5N": "a/1", "98892001/CT2N": "a/1", "77654033/CT2": "b/2"}.items():
        shutil.copytree(folder / source, tmp_path / name, dirs_exist_ok=True)
    target = open_target(tmp_path)
    assert (target.ids, target.axes) == (("a/1", "b/2"), 3)
    assert [target.read(place).shape for place in range(2)] == [(1, 16, 16, 5), (1, 16, 16, 4)]
    assert "2 localizer images are left out" in target.notes
    assert "1 series have gaps of unequal width, as if slices lacked: b/2" in target.notes
    shutil.copytree(folder / "98892003" / "MR2", tmp_path / "b" / "3")
    target = open_target(tmp_path, dicom="series")
    assert target.ids == ("a/1", "b/2")
    assert "2 series of images in several directions (scouts) are left out: b/3" in target.notes


def test_the_option_is_for_dicom(tmp_path: Path, by_class: Path) -> None:
    with pytest.raises(UsageError, match="--pages is for image files"):
        open_target(by_class, pages="first")
    for label in "ab":
        (tmp_path / "png" / label).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "png" / label / "1.png")
    with pytest.raises(UsageError, match="--dicom is for DICOM files"):
        open_target(tmp_path / "png", dicom="series")


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    torch.save(network(0).state_dict(), tmp_path / "f0.pth")
    return write_zoo(tmp_path, entry("f0"))


def test_the_same_images_in_png_have_the_same_scores(tmp_path: Path, zoo: Path, acrank: Callable[..., Outcome]) -> None:
    for place in range(24):
        values = RNG.integers(0, 120 + 130 * (place % 2), (16, 16), dtype=np.uint8)
        name = f"{'ab'[place % 2]}/{place:02d}"
        write_dicom(tmp_path / "dicom" / name, values, WindowCenter="128", WindowWidth="256")
        (tmp_path / "png" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(tmp_path / "png" / f"{name}.png")
    found = []
    for kind in ("dicom", "png"):
        done = acrank(
            "score",
            "--zoo",
            zoo,
            "--allow-code",
            "--data",
            tmp_path / kind,
            "--repeats",
            1,
            "-f",
            "json",
            "--overwrite",
        )
        assert done.code == 0, done.err

        (row,) = json.loads(done.out)["rows"]
        found.append({name: value["value"] for name, value in row["scores"].items()})
    assert found[0] == found[1]


def planted(folder: Path) -> Path:
    """Images by class and, below, a file whose damaged fields hold the patient's name."""
    for place in range(24):
        write_dicom(folder / "ab"[place % 2] / f"IM{place:02d}", grey(16), patient=f"PAT-7351-QX{place // 2}")
    bad = write_dicom(folder / "a" / "IM98", grey(16), WindowCenter="1", WindowWidth="9")
    bad.write_bytes(
        bad.read_bytes().replace(b"DS\x02\x001 ", b"DS\x02\x00Zw").replace(b"DS\x02\x009 ", b"DS\x02\x00ac")
    )
    shutil.copy(get_testdata_file("test-SR.dcm"), folder / "a" / "IM99")
    return folder


def test_no_personal_field_comes_out(
    tmp_path: Path, zoo: Path, acrank: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACRANK_CACHE", str(tmp_path / "out" / "cache"))
    data, out = planted(tmp_path / "data"), tmp_path / "out"
    out.mkdir()
    common = ("--zoo", zoo, "--allow-code", "--data", data)
    texts = []
    for words in (
        ("score", *common, "--repeats", 1, "-o", out / "run.json", "-o", out / "s.csv"),
        ("score", *common, "--dicom", "series", "-o", out / "series.json"),
        ("finetune", *common, "--epochs", 1, "--splits", 1, "-o", out / "t.csv", "-o", out / "t.json"),
    ):
        monkeypatch.delitem(sys.modules, "small_networks", raising=False)
        done = acrank(*words)
        texts += [done.out, done.err]
        assert done.code == (3 if "series" in words else 0), done.err
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {"run.json", "s.csv", "t.csv"} <= {path.name for path in files}
    assert any("cache" in path.parts for path in files)
    found = {f"text {place}": text.encode() for place, text in enumerate(texts)}
    found |= {str(path): path.read_bytes() + str(path.relative_to(out)).encode() for path in files}
    for secret in (*SECRETS, "Zwac"):
        for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
            assert [place for place, one in found.items() if secret.encode(encoding) in one] == [], secret


def test_no_warning_of_pydicom_repeats_a_field(tmp_path: Path) -> None:
    """In a process of its own: pytest keeps warnings from stderr."""
    for place in range(4):
        path = write_dicom(tmp_path / "ab"[place % 2] / f"{place}", grey(16))
        raw = path.read_bytes().replace(b"19540317", b"Zwackelm").replace(b"PAT-7351-QX", b"PAT-7\x00\x1b\xff-QX")
        path.write_bytes(raw + b"\0" * 64)
    code = f"import pydicom; print([pydicom.dcmread({str(path)!r}).PatientBirthDate])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Zwackelm" in told.stderr + told.stdout
    code = f"from acrank.targets import open_target; t = open_target({str(tmp_path)!r}); [t.read(i) for i in range(4)]"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_opening_loads_no_torch(tmp_path: Path) -> None:
    """As for every target: a run that finds all in the cache needs none."""
    for place in range(4):
        write_series(tmp_path / "ab"[place % 2] / str(place), scan(place)[0], series=str(place))
    code = f"import sys; from acrank.targets import open_target; open_target({str(tmp_path)!r}).raw_digest([0])"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_search_for_personal_fields_can_find_them(tmp_path: Path) -> None:
    raw = write_dicom(tmp_path / "f", grey()).read_bytes()
    assert all(secret.encode() in raw for secret in SECRETS)
