"""DICOM files made for tests, with a patient whose name, number and dates must not come out anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NAME, NUMBER, BORN, DAY = "Zwackelmann^Petrosilia", "PAT-7351-QX", "19540317", "20190822"
ROOT = "1.2.826.0.1.3680043.8.498.777"
#: What must be in no output: of the fields above, and of the UIDs.
SECRETS = ("Zwackelmann", "Petrosilia", NUMBER, BORN, DAY, ROOT, "Saint Elsewhere")


def write_dicom(path: Path, values: np.ndarray, *, patient: str = NUMBER, series: str = "1", **fields: Any) -> Path:
    """Write [H, W], [F, H, W] or [H, W, 3] of uint8, uint16 or int16; `fields` are added, or removed where None."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{abs(hash(path.name)) % 10**9}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    is_colour = values.ndim == 3 and values.shape[-1] == 3
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, patient, BORN
    dataset.StudyDate, dataset.InstitutionName, dataset.Modality = DAY, "Saint Elsewhere", "MR"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = f"{ROOT}.9.{series}", f"{ROOT}.8"
    dataset.Rows, dataset.Columns = values.shape[:2] if is_colour or values.ndim == 2 else values.shape[1:]
    dataset.SamplesPerPixel = 3 if is_colour else 1
    dataset.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        dataset.PlanarConfiguration = 0
    if values.ndim == 3 and not is_colour:
        dataset.NumberOfFrames = len(values)
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    for name, value in fields.items():
        if value is not None:
            setattr(dataset, name, value)
        elif name in dataset:
            delattr(dataset, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path, volume: np.ndarray, *, spacing: tuple[float, float, float] = (1, 2, 3), **fields: Any
) -> Path:
    """Write [X, Y, Z] as axial slices in files of shuffled names: x to the left, y to the back, z to the head."""
    names = np.random.default_rng(0).permutation(volume.shape[2])
    for place, name in enumerate(names.tolist()):
        own = {
            "ImagePositionPatient": [0, 0, place * spacing[2]],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [spacing[1], spacing[0]],
            "InstanceNumber": place + 1,
            **fields,
        }
        write_dicom(folder / f"IM{name:04d}", np.ascontiguousarray(volume[:, :, place].T), **own)
    return folder
