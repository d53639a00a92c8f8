"""Equal inputs in different encodings have equal scores, through the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.workbench import Outcome, make_zoo
from PIL import Image

Command = Callable[..., Outcome]
LABELS = np.arange(24) % 2
#: 8 bits of grey that reach 255, so that deeper twins (times 257) use the whole of theirs.
GREY = np.random.default_rng(5).integers(0, 130, (24, 20, 20)).astype(np.uint8) + (125 * LABELS[:, None, None]).astype(
    np.uint8
)
GREY[:, 0, 0] = 255
DEEP = GREY.astype(np.uint16) * 257
Draw = Callable[[Path], Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)  # another test's folder
    return tmp_path


def class_folders(folder: Path, images: np.ndarray, suffix: str) -> Path:
    for place, image in enumerate(images):
        path = folder / str(LABELS[place]) / f"{place:02d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def npz(folder: Path, images: np.ndarray, order: np.ndarray) -> Path:
    folder.mkdir()
    np.savez(folder / "t.npz", images=images[order], labels=LABELS[order])
    return folder / "t.npz"


def hdf5(folder: Path, images: np.ndarray, order: np.ndarray) -> Path:
    folder.mkdir()
    with h5py.File(folder / "t.h5", "w") as file:
        file["x_train"], file["y_train"] = images[order], LABELS[order]
    return folder / "t.h5"


def dicom(folder: Path, images: np.ndarray, **window: str) -> Path:
    pytest.importorskip("pydicom")
    from helpers.dicom_files import write_dicom

    for place, image in enumerate(images):
        write_dicom(folder / str(LABELS[place]) / f"{place:02d}.dcm", image, **window)
    return folder


#: The order of class folders: by class, then by number.
ORDER = np.argsort(LABELS, kind="stable")
ENCODINGS: dict[str, Draw] = {
    "8 bits in TIFF": lambda at: class_folders(at, GREY, ".tif"),
    "8 bits in BMP": lambda at: class_folders(at, GREY, ".bmp"),
    "16 bits in PNG": lambda at: class_folders(at, DEEP, ".png"),
    "16 bits in TIFF": lambda at: class_folders(at, DEEP, ".tif"),
    "32 bits in TIFF": lambda at: class_folders(at, GREY.astype(np.int32), ".tif"),
    "floats in TIFF": lambda at: class_folders(at, (GREY / np.float32(255)).astype(np.float32), ".tif"),
    "8 bits in .npz": lambda at: npz(at, GREY, ORDER),
    "16 bits in .npz": lambda at: npz(at, DEEP, ORDER),
    "floats in .npz": lambda at: npz(at, GREY.astype(np.float32) / 255, ORDER),
    "8 bits in HDF5": lambda at: hdf5(at, GREY, ORDER),
    "16 bits in HDF5": lambda at: hdf5(at, DEEP, ORDER),
    "DICOM": lambda at: dicom(at, GREY, WindowCenter="128", WindowWidth="256"),
}


def scores_of(acrank: Command, zoo: Path, data: Path) -> list[float]:
    """Values of every candidate; all images are in the draw, in their order."""
    quick = ["--repeats", 1, "--samples", 24, "--no-cache", "--allow-code", "--device", "cpu", "-f", "json"]
    done = acrank("score", "--zoo", zoo, "--data", data, "-o", data.parent / f"{data.stem}.json", *quick)
    assert done.code == 0, done.err
    rows: list[dict[str, Any]] = sorted(json.loads(done.out)["rows"], key=lambda row: row["model"])
    values = [value["value"] for row in rows for value in row["scores"].values()]
    assert len(values) > 4
    return values


def test_images(acrank: Command, folder: Path) -> None:
    zoo = make_zoo(folder / "zoo", 1)
    plain = scores_of(acrank, zoo, class_folders(folder / "plain" / "t", GREY, ".png"))
    for name, write in ENCODINGS.items():
        found = scores_of(acrank, zoo, write(folder / name))
        np.testing.assert_allclose(found, plain, rtol=2e-4, err_msg=name)
    other = scores_of(acrank, zoo, class_folders(folder / "other" / "t", 255 - GREY // 2, ".png"))
    assert not np.allclose(other, plain, rtol=2e-3)
