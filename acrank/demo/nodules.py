"""A procedural 3D target with masks: small chest CT volumes with nodules among vessels."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from acrank.demo import claim
from acrank.errors import UsageError
from acrank.system.imports import extra

SIZE = 48
_STREAM = 3  # first word of the seed: no image is shared with other generators
_LUNG, _TISSUE, _NODULE = -800.0, 40.0, 20.0
_SPACING = (1.5, 1.5, 2.0)

Layout = Literal["decathlon", "nnunet"]
Volume = npt.NDArray[np.int16]
Mask = npt.NDArray[np.uint8]


def nodule_scan(seed: int, index: int, *, size: int = SIZE) -> tuple[Volume, Mask]:
    """A CT volume of lung in Hounsfield units, int16 [size, size, size], and the mask of its 1 to 3 nodules, uint8.

    Vessels have the same density as nodules, so only their shape differs.

    >>> scan, mask = nodule_scan(0, 0)
    >>> scan.shape, scan.dtype, sorted(set(mask.ravel().tolist()))
    ((48, 48, 48), dtype('int16'), [0, 1])
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([_STREAM, seed, index])
    where = np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 3, indexing="ij"))
    texture = gaussian_filter(rng.normal(size=(size,) * 3), 2.0)
    scan = _LUNG + 60 * texture / texture.std()
    wall = where[int(rng.integers(3))] < rng.uniform(0.05, 0.15) * size
    scan[wall] = _TISSUE
    for _ in range(int(rng.integers(4, 8))):
        scan = np.maximum(scan, _vessel(rng, where, size))
    mask = np.zeros((size,) * 3, dtype=np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        mask |= _nodule(rng, where, size).astype(np.uint8)
    scan = np.where(mask > 0, _NODULE + 15 * texture / texture.std(), scan)
    noisy = gaussian_filter(scan, 0.6) + rng.normal(scale=25, size=scan.shape)
    return np.clip(np.round(noisy), -1024, 3071).astype(np.int16), mask


def make_nodules(
    folder: str | os.PathLike[str], *, layout: Layout = "decathlon", seed: int = 0, n: int = 16, size: int = SIZE
) -> None:
    """Write `n` scans and masks as NIfTI in the layout of Decathlon or nnU-Net (raw); the content is the same in both.

    Raises:
        UsageError: unknown layout, or fewer than four scans.
        OutputError: `folder` holds files already, or cannot be written.
        MissingExtraError: nibabel is not installed.
    """
    if layout not in ("decathlon", "nnunet") or n < 4:
        raise UsageError(f"cannot write {n} scans as {layout!r}", hint="four or more, as decathlon or nnunet")
    folder = claim(folder)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir()
    names = [f"nodule_{index:03d}" for index in range(n)]
    ending = "_0000.nii.gz" if layout == "nnunet" else ".nii.gz"
    for index, name in enumerate(names):
        scan, mask = nodule_scan(seed, index, size=size)
        _save(scan, folder / "imagesTr" / f"{name}{ending}")
        _save(mask, folder / "labelsTr" / f"{name}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps(_description(layout, names), indent=2))


def _description(layout: Layout, names: list[str]) -> dict[str, Any]:
    if layout == "nnunet":
        labels = {"background": 0, "nodule": 1}
        return {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": len(names), "file_ending": ".nii.gz"}
    pairs = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names]
    about = {"name": "nodules", "tensorImageSize": "3D", "modality": {"0": "CT"}}
    return {**about, "labels": {"0": "background", "1": "nodule"}, "numTraining": len(names), "training": pairs}


def _save(values: Volume | Mask, path: Path) -> None:
    nibabel = extra("nibabel", "volumes", "writing volumes needs")
    nibabel.save(nibabel.Nifti1Image(values, np.diag([*_SPACING, 1.0])), path)


def _nodule(rng: np.random.Generator, where: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.bool_]:
    centre = rng.uniform(0.25, 0.75, 3) * size
    radii = rng.uniform(0.06, 0.13) * size * rng.uniform(0.8, 1.2, 3)
    parts = [((where[axis] - centre[axis]) / radii[axis]) ** 2 for axis in range(3)]
    inside: npt.NDArray[np.bool_] = (parts[0] + parts[1] + parts[2]) < 1
    return inside


def _vessel(rng: np.random.Generator, where: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float64]:
    """A straight tube of tissue through the volume, −infinity elsewhere."""
    point, heading = rng.uniform(0.1, 0.9, 3) * size, rng.normal(size=3)
    heading /= np.linalg.norm(heading)
    away = where - point[:, None, None, None]
    along = np.einsum("i,ixyz->xyz", heading, away)
    distance = np.sqrt(np.maximum((away**2).sum(0) - along**2, 0))
    return np.where(distance < rng.uniform(0.015, 0.04) * size, _NODULE, -np.inf)
