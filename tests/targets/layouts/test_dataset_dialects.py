"""dataset.json as people write it: every dialect gives the arrays of the plain one, or says what it cannot read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.volume_sets import COUNT, LABELS, describe, pairs, save_volume, scan, write_decathlon, write_nnunet
from helpers.workbench import Outcome
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import Target, open_target
from acrank.targets.opening import MOST_MASK_CLASSES
from acrank.targets.target import IGNORED

pytest.importorskip("nibabel")
V1 = {"0": "background", "1": "tumour"}
NNUNET: list[dict[str, Any]] = [
    {},
    {"labels": V1},
    {"labels": {"background": "0", "tumour": "1"}},
    {"labels": {"background": 0.0, "tumour": 1.0}},
    {"labels": V1, "training": pairs(), "modality": {"0": "MRI"}},
    {"training": pairs()},
    {"training": pairs(), "channel_names": None, "modality": {"0": "MRI"}, "labels": V1},  # v1 beside _0000 files
    {"training": pairs(), "channel_names": None, "modality": "MRI", "labels": V1},
    {"channel_names": {"MRI": 0}},
    {"channel_names": ["MRI"]},
    {"channel_names": None, "modality": {"0": "MRI"}, "file_ending": None},
    {"regions_class_order": [1], "labels": {"background": 0, "tumour": [1]}},
    {
        "dataset": {
            f"case_{i:03d}": {
                "images": [f"imagesTr/case_{i:03d}_0000.nii.gz"],
                "label": f"labelsTr/case_{i:03d}.nii.gz",
            }
            for i in range(COUNT)
        }
    },
    {
        "training": [
            {
                "image": f"/data/nnUNet_raw/Task1/imagesTr/case_{i:03d}_0000.nii.gz",
                "label": f"/data/labelsTr/case_{i:03d}.nii.gz",
            }
            for i in range(COUNT)
        ],
        "channel_names": None,
    },
]


def assert_same(one: Target, other: Target) -> None:
    assert (one.ids, one.classes) == (other.ids, other.classes)
    for place in range(len(one)):
        assert np.array_equal(one.read(place), other.read(place))
        assert np.array_equal(one.mask_store.mask(place), other.mask_store.mask(place))


@pytest.mark.parametrize("changes", NNUNET, ids=[",".join(one) or "plain" for one in NNUNET])
def test_dialects_of_nnunet_hold_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert_same(open_target(write_nnunet(tmp_path / "a", **changes)), open_target(write_decathlon(tmp_path / "b")))


MONAI: list[dict[str, Any]] = [
    {"training": [{**one, "fold": 0} for one in pairs()]},
    {"training": [{"image": [one["image"]], "label": one["label"]} for one in pairs()]},
    {"training": [{"image": one["image"], "label": [one["label"]]} for one in pairs()]},
    {"labels": LABELS},
    {"modality": ["MRI"]},
    {"modality": None},
]


@pytest.mark.parametrize("changes", MONAI, ids=range(len(MONAI)))
def test_dialects_of_lists_hold_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert_same(open_target(write_decathlon(tmp_path / "a", **changes)), open_target(write_nnunet(tmp_path / "b")))


def test_a_list_without_labels_takes_them_from_the_masks_and_says_so(tmp_path: Path) -> None:
    target = open_target(write_decathlon(tmp_path, labels=None, modality=None))
    assert target.classes == ("background", "foreground")
    assert target.notes[0].startswith("dataset.json has no labels; masks: values 0, 1")
    assert np.array_equal(
        target.mask_store.mask(0) > 0, open_target(write_nnunet(tmp_path / "b")).mask_store.mask(0) > 0
    )


def test_the_window_of_ct_is_applied_however_channels_are_named(tmp_path: Path) -> None:
    for name, channels in enumerate(({"0": "CT"}, {"CT": 0}, ["CT"])):
        target = open_target(write_nnunet(tmp_path / str(name), channel_names=channels))
        assert target.notes[0] == "intensities: CT: window -1000 to 1000"


def test_a_list_of_files_is_one_channel_each(tmp_path: Path) -> None:
    write_nnunet(tmp_path / "a", channel_names={"0": "T1", "1": "T2"})
    for index in range(COUNT):
        save_volume(tmp_path / "a" / "imagesTr" / f"case_{index:03d}_0001.nii.gz", scan(index)[0][::-1])
    images = [[f"imagesTr/case_{i:03d}_000{c}.nii.gz" for c in (0, 1)] for i in range(COUNT)]
    listed = [{"image": image, "label": pair["label"]} for image, pair in zip(images, pairs(), strict=True)]
    plain = open_target(tmp_path / "a")
    describe(tmp_path / "a", {"training": listed, "labels": LABELS})
    assert_same(plain, open_target(tmp_path / "a"))
    assert plain.read(0).shape == (2, 10, 12, 8)


def test_a_single_channel_without_0000_is_taken_and_said(tmp_path: Path) -> None:
    plain = open_target(write_nnunet(tmp_path / "plain"))
    folder = write_nnunet(tmp_path / "bare")
    for file in (folder / "imagesTr").iterdir():
        file.rename(file.with_name(file.name.replace("_0000", "")))
    bare = open_target(folder)
    assert_same(plain, bare)
    assert bare.notes[0] == "4 images lack _0000 in their names: case_000, case_001, case_002 and 1 more"


def test_regions_become_classes_in_the_order_that_nnunet_writes_them(tmp_path: Path) -> None:
    folder = write_nnunet(
        tmp_path,
        labels={"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
        regions_class_order=[1, 2, 3],
    )
    raw = np.arange(10 * 12 * 8).reshape(10, 12, 8) % 5
    for index in range(COUNT):
        save_volume(folder / "labelsTr" / f"case_{index:03d}.nii.gz", raw.astype(np.uint8))
    target = open_target(folder)
    assert target.classes == ("background", "whole", "core", "enhancing")
    assert target.notes[0].endswith("whole 1, core 2, enhancing 3")
    expected = np.where(raw == 4, IGNORED, raw)[::-1, ::-1]
    assert np.array_equal(target.mask_store.mask(0), expected)


def test_values_of_one_innermost_region_are_one_class(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": [1]}
    target = open_target(write_nnunet(tmp_path, labels=labels, regions_class_order=[1, 2]))
    assert target.classes == ("background", "whole", "core")
    assert set(np.unique(target.mask_store.mask(0))) == {0, 2}


def test_other_regions_are_another_target(tmp_path: Path) -> None:
    """The classes have the same names, but hold other positions."""
    folder = tmp_path / "set"
    prints = set()
    for core in ([2, 3], [3]):
        labels = {"background": 0, "whole": [1, 2, 3], "core": core}
        target = open_target(write_nnunet(folder, labels=labels, regions_class_order=[1, 2]))
        assert target.classes == ("background", "whole", "core")
        prints.add(target.fingerprint)
    assert len(prints) == 2


def test_files_of_further_channels_are_said(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path)
    for index in range(COUNT):
        save_volume(folder / "imagesTr" / f"case_{index:03d}_0001.nii.gz", scan(index)[0])
    assert open_target(folder).notes[0].startswith("4 files of further channels are left out, dataset.json names one")


def test_cases_without_a_mask_are_said(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path)
    (folder / "labelsTr" / "case_002.nii.gz").unlink()
    target = open_target(folder)
    assert target.ids == ("case_000", "case_001", "case_003")
    assert target.notes[:2] == [
        "1 cases without a mask in labelsTr are left out: case_002",
        "dataset.json has numTraining 4, labelsTr holds 3: all are read",
    ]
    listed = pairs()
    del listed[1]["label"]
    listed_target = open_target(
        write_decathlon(tmp_path / "list", training=listed, validation=pairs(1), test=["./imagesTs/x.nii.gz"])
    )
    assert listed_target.notes[:3] == [
        "1 cases without a label are left out",
        "lists beside `training` are left out: validation (1)",
        "lists beside `training` are left out: test (1)",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"background": 0, "a": [1, 2]}}, "regions_class_order"),
        ({"labels": {"background": 0, "a": [1, "x"]}, "regions_class_order": [1]}, "not lists of numbers"),
        ({"labels": {"a": 1, "b": 2}}, "there must be|labels"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "two labels have one number"),
        ({"labels": ["background", "a"]}, "not names and numbers"),
        ({"labels": {"background": 0, "a": float("nan")}}, "not names and numbers"),
        ({"channel_names": {"0": "A", "2": "B"}}, "not numbers and names"),
        ({"channel_names": {"A": "B"}}, "not numbers and names"),
        ({"channel_names": None}, "no 'channel_names'"),
        ({"file_ending": ".xyz"}, r"holds \.xyz files"),
        ({"file_ending": ".nrrd"}, r"file_ending is \.nrrd, labelsTr holds \.nii\.gz"),
        ({"dataset": {"a": {"images": ["../x.nii.gz"], "label": "y.nii.gz"}}}, "outside its folder"),
        ({"dataset": {"a": ["x"]}}, "is not a pair"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        open_target(write_nnunet(tmp_path, **changes))
    assert caught.value.hint


@pytest.mark.parametrize("labels", [{"background": 1, "a": 0}, {"0": "a", "1": "Background"}])
def test_a_background_other_than_0_is_refused(tmp_path: Path, labels: dict[str, Any]) -> None:
    with pytest.raises(TargetError, match="the background is 1, and 0 is 'a'") as caught:
        open_target(write_nnunet(tmp_path, labels=labels))
    assert "must be 0" in str(caught.value.hint)


def test_another_dataset_json_is_no_description(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    describe(tmp_path, {"homepage": "none", "license": "none"})
    assert open_target(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda mask: mask * 4, r"4 \(48 positions\)"),
        (lambda mask: mask * 255, r"255 \(48 positions\)"),
        (lambda mask: mask.astype(np.float32) * 0.996, r"0\.996 \(48 positions\)"),
        (lambda mask: mask - (mask == 0).astype(np.int8), r"-1 \(912 positions\)"),
        (lambda mask: np.maximum(mask, (np.indices(mask.shape).sum(0) == 0) * 0.5), r"0\.5 \(1 position\)"),
    ],
)
def test_values_that_are_not_listed_are_counted(
    tmp_path: Path, acrank: Callable[..., Outcome], values: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    folder = write_nnunet(tmp_path)
    odd = values(scan(0)[1])
    save_volume(folder / "labelsTr" / "case_003.nii.gz", odd.astype(np.float32 if odd.dtype.kind == "f" else np.int16))
    with pytest.raises(TargetError, match=rf"case_003\.nii\.gz holds values that dataset\.json does not list: {words}"):
        open_target(folder)


def test_a_value_may_be_left_out(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path)
    for index in range(COUNT):
        values = scan(index)[1] + 254 * (np.indices((10, 12, 8))[0] == 9)
        save_volume(folder / "labelsTr" / f"case_{index:03d}.nii.gz", values.astype(np.uint8))
    with pytest.raises(TargetError, match=r"254 \(96 positions\)"):
        open_target(folder)
    target = open_target(folder, ignore_value="254")
    assert (target.mask_store.mask(0)[0] == IGNORED).all()
    assert "masks: 254 is ignored" in target.notes


def test_a_value_in_a_mask_that_is_not_checked_first_is_found_when_it_is_read(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, count=9)
    save_volume(folder / "labelsTr" / "case_001.nii.gz", scan(0)[1] * 7)
    target = open_target(folder)
    with pytest.raises(TargetError, match=r"case_001\.nii\.gz .* 7 \(48 positions\)"):
        target.mask_store.mask(1)


def test_values_close_to_whole_numbers_are_rounded(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path)
    save_volume(folder / "labelsTr" / "case_000.nii.gz", scan(0)[1].astype(np.float32) * 0.9995)
    assert np.array_equal(open_target(folder).mask_store.mask(0), scan(0)[1][::-1, ::-1])


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_nnunet_in_two_dimensions(tmp_path: Path, ending: str, channels: int) -> None:
    rng = np.random.default_rng(0)
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
    images = rng.integers(0, 256, (COUNT, channels, 9, 11), dtype=np.uint8)
    masks = rng.integers(0, 2, (COUNT, 9, 11), dtype=np.uint8)
    for place in range(COUNT):
        for channel in range(channels):
            Image.fromarray(images[place, channel]).save(tmp_path / "imagesTr" / f"c_{place}_{channel:04d}{ending}")
        Image.fromarray(masks[place]).save(tmp_path / "labelsTr" / f"c_{place}{ending}")
    names = {str(channel): f"m{channel}" for channel in range(channels)}
    describe(tmp_path, {"channel_names": names, "labels": LABELS, "file_ending": ending})
    target = open_target(tmp_path)
    assert (target.task, target.axes, target.ids) == ("segmentation", 2, ("c_0", "c_1", "c_2", "c_3"))
    assert np.array_equal(target.read(1), images[1].astype(np.float32) / 255)
    assert np.array_equal(target.mask_store.mask(1), masks[1])


def test_a_colour_file_holds_three_channels(tmp_path: Path) -> None:
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
    colour = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "imagesTr" / "c_0000.png")
    Image.fromarray(np.eye(9, 11, dtype=np.uint8)).save(tmp_path / "labelsTr" / "c.png")
    about = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": LABELS, "file_ending": ".png"}
    target = open_target(describe(tmp_path, about))
    assert np.array_equal(target.read(0), colour.transpose(2, 0, 1).astype(np.float32) / 255)
    with pytest.raises(TargetError, match=r"has 3 channels, dataset\.json names 1"):
        open_target(describe(tmp_path, {**about, "channel_names": {"0": "grey"}})).read(0)


def test_tiff_volumes_of_nnunet_are_refused_by_name(tmp_path: Path) -> None:
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
    pages = [Image.fromarray(np.full((4, 4), page, np.uint8)) for page in range(3)]
    for name in ("imagesTr/c_0000.tif", "labelsTr/c.tif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(TargetError, match=r"c_0000\.tif has 3 pages"):
        open_target(describe(tmp_path, {"channel_names": {"0": "x"}, "labels": LABELS, "file_ending": ".tif"}))


def test_the_command_line_says_it_in_two_lines(tmp_path: Path, acrank: Callable[..., Outcome]) -> None:
    folder = write_nnunet(tmp_path / "set")
    save_volume(folder / "labelsTr" / "case_000.nii.gz", scan(0)[1] * 4)
    done = acrank("score", "--data", folder, "-o", tmp_path / "run.json")
    assert done.code == 3
    assert "case_000.nii.gz holds values that dataset.json does not list: 4 (48 positions)\nhint: list them" in done.err


def test_more_classes_of_masks_than_positions_can_have_values_for_are_refused(tmp_path: Path) -> None:
    """Of 70,000 declared classes a head took 3.7 GiB."""
    labels = {f"c{number}": number for number in range(MOST_MASK_CLASSES + 1)}
    with pytest.raises(TargetError, match="5001 classes of masks, more than 5000"):
        open_target(write_nnunet(tmp_path / "many", labels=labels))
