"""DICOM beside masks or a dataset.json is refused by name; DICOM segmentations among images are counted."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import open_target

shipped = pytest.importorskip("pydicom.data").get_testdata_file
V2: dict[str, Any] = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "t": 1}, "numTraining": 3}
LIST: dict[str, Any] = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "t"}}


def put(folder: Path, names: str, *, is_dicom: bool) -> None:
    """Three files each called as `names` says, {} for their number."""
    for place in range(3):
        path = folder / names.format(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_dicom:
            shutil.copy(shipped("CT_small.dcm"), path)
        else:
            Image.fromarray(np.eye(128, dtype=np.uint8) * 255).save(path)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{}.dcm", "masks/{}.png"),
        ("images/{}.png", "masks/{}.dcm"),
        ("images/{}.dcm", "masks/{}.dcm"),
        ("images/IM{}", "masks/IM{}"),
        ("images/{}/slice.dcm", "masks/{}.png"),
        ("train/images/{}.dcm", "train/masks/{}.png"),
    ],
)
def test_folders_of_images_and_masks(tmp_path: Path, images: str, masks: str) -> None:
    for names in (images, masks):
        put(tmp_path, names, is_dicom=not names.endswith(".png"))
    with pytest.raises(TargetError, match=r"is DICOM: images with masks are read as NIfTI") as caught:
        open_target(tmp_path)
    assert "dcm2niix" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("about", "images"),
    [
        ({**V2, "file_ending": ".dcm"}, "imagesTr/{}_0000.dcm"),
        ({**LIST, "training": [{"image": f"imagesTr/{k}.dcm", "label": f"labelsTr/{k}.dcm"} for k in range(3)]}, None),
        ({**LIST, "training": [{"image": f"imagesTr/{k}", "label": f"labelsTr/{k}.dcm"} for k in range(3)]}, None),
        (
            {**LIST, "training": [{"image": f"imagesTr/{k}", "label": f"labelsTr/{k}.dcm"} for k in range(3)]},
            "imagesTr/{}/slice",
        ),
    ],
)
def test_beside_a_description(tmp_path: Path, about: dict[str, Any], images: str | None) -> None:
    put(tmp_path, images or about["training"][0]["image"].replace("0", "{}"), is_dicom=True)
    put(tmp_path, "labelsTr/{}.dcm", is_dicom=True)
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(TargetError, match=r"is DICOM: images with masks are read as NIfTI"):
        open_target(tmp_path)


def test_segmentations_among_class_images_are_counted_and_nothing_warns(tmp_path: Path) -> None:
    import pydicom

    for label, file in {"ct": "CT_small.dcm", "mr": "MR_small.dcm"}.items():
        (tmp_path / label).mkdir()
        for place in range(3):
            shutil.copy(shipped(file), tmp_path / label / f"{place}.dcm")
    segmentation = pydicom.dcmread(shipped("CT_small.dcm"))
    segmentation.Modality = "SEG"
    segmentation.save_as(tmp_path / "ct" / "seg.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target = open_target(tmp_path)
    assert len(target) == 6
    assert "1 DICOM files that are no image (segmentations, reports, plans, DICOMDIR) are left out" in target.notes
