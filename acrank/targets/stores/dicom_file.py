"""One DICOM file: its header without anything that identifies a person, and its pixels with the meaning they have."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import MissingExtraError, TargetError
from acrank.system.imports import extra
from acrank.targets.stores.dicom_reading import has_magic, no_field_in_errors, read_dataset

#: Suffixes of DICOM files, lower case; files without a suffix are known by their first bytes.
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
#: A file has no more frames, nor more than it has bytes.
_MOST_FRAMES = 10**6
#: Objects that have rows and columns, or none, and are no images to learn from.
_NO_IMAGES = frozenset({"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "SR", "PR", "KO", "REG", "RWV", "DOC", "ECG", "FID"})
_TAGS = (
    *("SOPClassUID", "Modality", "PatientID", "SeriesInstanceUID", "InstanceNumber", "ImageType", "NumberOfFrames"),
    *("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation", "PixelSpacing"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SpacingBetweenSlices", "SliceThickness"),
    *("WindowCenter", "WindowWidth", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
#: Names and numbers of persons are compared by digests with this key, which is of this process and kept nowhere.
_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, kw_only=True)
class DicomHeader:
    """What acrank takes from a header. Identifiers are digests that mean nothing outside this process.

    Attributes:
        size: rows and columns.
        frames: number of frames.
        samples: values per pixel: 1, or 3 in colour.
        modality: such as "CT".
        patient, series: digests; empty where the file has none.
        number: InstanceNumber, if there is one.
        positions: of the first pixel of each frame in millimetres (left, posterior, superior), or empty.
        directions: of a row and of a column, six numbers, or empty.
        spacing: millimetres between rows, between columns, and between slices if the header says so, else 0.
        has_window: whether it says how to show the values.
        is_localizer: whether it is a scout view.
        is_inverted: whether the lowest value is white.
    """

    size: tuple[int, int]
    frames: int
    samples: int
    modality: str
    patient: str
    series: str
    number: int | None
    positions: tuple[tuple[float, ...], ...]
    directions: tuple[float, ...]
    spacing: tuple[float, float, float]
    has_window: bool
    is_localizer: bool
    is_inverted: bool


def is_dicom(path: Path, suffix: str) -> bool:
    """Whether a file is DICOM: by its suffix (lower case), or by the four letters behind its preamble.

    Raises:
        TargetError: it cannot be read.
    """
    return suffix in DICOM_SUFFIXES or has_magic(path)


def read_header(path: Path) -> DicomHeader | None:
    """The header of a file; None if it holds no image (DICOMDIR, reports, plans, structures, segmentations).

    Raises:
        TargetError: it cannot be read as DICOM, or decompressed.
        MissingExtraError: pydicom, or what decompresses the file, is not installed.
    """
    dataset = read_dataset(path, tags=_TAGS)
    with no_field_in_errors(path):
        if not (dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")):
            raise ValueError("neither an image nor another object")
        header = _header(dataset, most_frames=min(_MOST_FRAMES, path.stat().st_size))
        if header is not None:
            refuse_compression(dataset, path)
        return header


def _header(dataset: Any, *, most_frames: int) -> DicomHeader | None:
    modality = upper_text(dataset, "Modality")
    lacking = any(first_number(dataset, name) is None for name in ("Rows", "Columns", "BitsAllocated"))
    if lacking or modality in _NO_IMAGES:
        return None
    frames = int(first_number(dataset, "NumberOfFrames") or 1)
    if not 0 < frames <= most_frames:
        raise ValueError("more frames than the file can hold")
    own = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())  # without them all frames lie at one place
    places = [frame_item(dataset, frame, "PlanePositionSequence") for frame in range(min(frames, max(own, 1)))]
    positions = tuple(_numbers(place, "ImagePositionPatient") for place in places)
    between = frame_item(dataset, 0, "PixelMeasuresSequence")
    rows, columns = (*_numbers(between, "PixelSpacing"), 0.0, 0.0)[:2]
    gap = first_number(between, "SpacingBetweenSlices") or first_number(between, "SliceThickness") or 0.0
    number = first_number(dataset, "InstanceNumber")
    window = frame_item(dataset, 0, "FrameVOILUTSequence")
    return DicomHeader(
        size=(int(dataset.Rows), int(dataset.Columns)),
        frames=frames,
        samples=int(first_number(dataset, "SamplesPerPixel") or 1) if not is_palette(dataset) else 3,
        modality=modality,
        patient=_digest(dataset, "PatientID"),
        series=_digest(dataset, "SeriesInstanceUID"),
        number=None if number is None else int(number),
        positions=positions if all(len(position) == 3 for position in positions) else (),
        directions=_numbers(frame_item(dataset, 0, "PlaneOrientationSequence"), "ImageOrientationPatient"),
        spacing=(rows, columns, gap),
        has_window=first_window(window) is not None,
        is_localizer="LOCALIZER" in str(dataset.get("ImageType", "")),
        is_inverted=upper_text(dataset, "PhotometricInterpretation") == "MONOCHROME1",
    )


def _digest(dataset: Any, name: str) -> str:
    text = str(dataset.get(name) or "").strip()
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=_KEY).hexdigest() if text else ""


def is_palette(dataset: Any) -> bool:
    """Whether its pixels are indices into a table of colours."""
    return "PALETTE" in upper_text(dataset, "PhotometricInterpretation")


def upper_text(dataset: Any, name: str) -> str:
    """A field as text in capitals; empty where there is none."""
    return str(dataset.get(name) or "").strip().upper()


def first_number(dataset: Any, name: str) -> float | None:
    """The first number of a field; None where there is none.

    Raises:
        ValueError: the field holds no number.
    """
    return next(iter(_numbers(dataset, name)), None)


def _numbers(dataset: Any, name: str) -> tuple[float, ...]:
    value = dataset.get(name)
    if value is None or value == "":
        return ()
    parts = value if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]
    return tuple(float(part) for part in parts)


def frame_item(dataset: Any, frame: int, name: str) -> Any:
    """The item of an enhanced file that has a frame's fields; the file itself where it has no such item."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    for groups in (*own[frame : frame + 1], *shared[:1]):
        if groups.get(name):
            return groups.get(name)[0]
    return dataset


def first_window(item: Any) -> tuple[float, float] | None:
    """The values that become black and white by the first window; None where there is none that makes sense."""
    centre, width = first_number(item, "WindowCenter"), first_number(item, "WindowWidth")
    if centre is None or width is None or not np.isfinite((centre, width)).all():
        return None
    if upper_text(item, "VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID"):
        return (centre - width / 2, centre + width / 2) if width > 0 else None
    return (centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2) if width > 1 else None


def refuse_compression(dataset: Any, path: Path) -> None:
    """Say what to install where no installed package decompresses a file.

    Raises:
        MissingExtraError: none is there.
        TargetError: acrank reads no files of this compression.
    """
    pixels = extra("pydicom.pixels", "dicom", "DICOM files need")
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed or syntax.is_deflated:
        return
    try:
        decoder = pixels.get_decoder(syntax)
    except NotImplementedError:
        raise TargetError(
            f"{path} is compressed as {syntax.name}, which acrank does not read", hint="decompress it, as with dcmdjpeg"
        ) from ValueError("no decoder")
    if not decoder.is_available:
        raise MissingExtraError(
            f"{path} is compressed as {syntax.name}, and no installed package decompresses that",
            hint="pip install 'acrank[dicom]', which brings pylibjpeg with its plugins for JPEG and JPEG 2000",
        )
