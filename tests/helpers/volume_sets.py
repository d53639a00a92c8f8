"""Small sets of volumes with masks, written in the formats and dialects that people use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

LABELS = {"background": 0, "tumour": 1}
AFFINE = np.diag([-1.0, -2.0, 3.0, 1.0])  # stored left to right reversed, and front to back
COUNT = 4


def scan(index: int, shape: tuple[int, ...] = (10, 12, 8)) -> tuple[np.ndarray, np.ndarray]:
    """A volume with a bright box, int16, and the mask of the box, uint8."""
    rng = np.random.default_rng(index)
    mask = np.zeros(shape, np.uint8)
    mask[2 : 5 + index % 2, 3:7, 1:5] = 1
    return (rng.normal(100, 20, shape) + 300.0 * mask).astype(np.int16), mask


def save_volume(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """Write [X, Y, Z] or [X, Y, Z, C] in the format of the suffix; the affine leads to RAS+ millimetres."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        import nibabel

        nibabel.save(nibabel.Nifti1Image(values, affine), path)
        return path
    import SimpleITK as sitk  # noqa: N813 - its usual name

    image = sitk.GetImageFromArray(values.transpose(2, 1, 0, *range(3, values.ndim)), isVector=values.ndim == 4)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=path.suffix in (".nrrd", ".mha"))
    return path


def write_nnunet(folder: Path, *, ending: str = ".nii.gz", count: int = COUNT, **changes: Any) -> Path:
    """An nnU-Net v2 raw folder with one channel; `changes` are keys of dataset.json."""
    for index in range(count):
        values, mask = scan(index)
        save_volume(folder / "imagesTr" / f"case_{index:03d}_0000{ending}", values)
        save_volume(folder / "labelsTr" / f"case_{index:03d}{ending}", mask)
    about = {"channel_names": {"0": "MRI"}, "labels": LABELS, "numTraining": count, "file_ending": ending}
    return describe(folder, {**about, **changes})


def write_decathlon(folder: Path, *, count: int = COUNT, **changes: Any) -> Path:
    """A Decathlon folder of the same volumes."""
    for index in range(count):
        values, mask = scan(index)
        save_volume(folder / "imagesTr" / f"case_{index:03d}.nii.gz", values)
        save_volume(folder / "labelsTr" / f"case_{index:03d}.nii.gz", mask)
    about = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "tumour"}, "training": pairs(count)}
    return describe(folder, {**about, **changes})


def pairs(count: int = COUNT, ending: str = ".nii.gz") -> list[dict[str, str]]:
    """A training list without _0000."""
    names = [f"case_{index:03d}{ending}" for index in range(count)]
    return [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names]


def describe(folder: Path, about: dict[str, Any]) -> Path:
    """Write dataset.json; keys that are None are left out."""
    kept = {key: value for key, value in about.items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(kept))
    return folder
