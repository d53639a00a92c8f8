"""The pixels of a DICOM file with the meaning they have: units, window, polarity, colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.system.bounds import check_fits
from acrank.system.imports import extra
from acrank.targets.stores.dicom_bounds import declared_size
from acrank.targets.stores.dicom_file import (
    first_number,
    first_window,
    frame_item,
    is_palette,
    refuse_compression,
    upper_text,
)
from acrank.targets.stores.dicom_reading import no_field_in_errors, read_dataset
from acrank.targets.stores.intensity import Intensity, rescale
from acrank.targets.stores.size_words import axes_of_size, size_text


def decode_dicom(path: Path, frame: int, rule: Intensity | None) -> np.ndarray:
    """One frame as shown: float32 [1, H, W] in [0, 1], or [3, H, W] in colour.

    Grey values pass the modality LUT (rescale slope and intercept), then the user's rule, else the file's first window
    or its VOI LUT, else the frame's own percentiles; MONOCHROME1 is inverted. Palettes and YBR become RGB.

    Args:
        path: of the file.
        frame: from 0.
        rule: the user's, for grey values.

    Raises:
        TargetError: it cannot be decoded.
        MissingExtraError: a package that decompresses it is not installed.
    """
    dataset = read_dataset(path)
    with no_field_in_errors(path):
        values = _pixels(dataset, path, frame)
        if values.ndim == 3 or is_palette(dataset):
            return _colour(values, dataset)
        return _grey(values, dataset, frame, rule=rule)[None]


def physical_values(path: Path, frames: Sequence[int]) -> np.ndarray:
    """Grey frames behind the modality LUT, float32 [frames, H, W]; MONOCHROME1 is inverted before it.

    Raises:
        TargetError, MissingExtraError: as `decode_dicom`.
    """
    dataset = read_dataset(path)
    found = []
    with no_field_in_errors(path):
        for frame in frames:
            values = _pixels(dataset, path, frame)
            if upper_text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
                values = sum(_stored_range(dataset)) - values.astype(np.int64)
            found.append(_modality(values, dataset, frame))
    return np.stack(found)


def _grey(values: np.ndarray, dataset: Any, frame: int, *, rule: Intensity | None) -> np.ndarray:
    physical = _modality(values, dataset, frame)
    item = frame_item(dataset, frame, "FrameVOILUTSequence")
    padding = _padding(values, dataset)
    if rule is None and (window := first_window(item)) is not None:
        shown = _windowed(physical, *window, is_sigmoid=upper_text(item, "VOILUTFunction") == "SIGMOID")
    elif rule is None and dataset.get("VOILUTSequence"):
        shown = _looked_up(physical, dataset)
    else:
        kept = physical if padding is None or padding.all() else physical[~padding]
        shown = rescale(physical, *(rule or Intensity("percentile")).limits(kept))
    if upper_text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    return shown if padding is None else np.where(padding, np.float32(0), shown)


def _windowed(values: np.ndarray, low: float, high: float, *, is_sigmoid: bool) -> np.ndarray:
    if not is_sigmoid:
        return rescale(values, low, high)
    steps = np.clip(-4 * (values - (low + high) / 2) / (high - low), -60, 60)
    return np.asarray(1 / (1 + np.exp(steps)), dtype=np.float32)


def _looked_up(physical: np.ndarray, dataset: Any) -> np.ndarray:
    pixels = extra("pydicom.pixels", "dicom", "DICOM files need")
    bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
    found = pixels.apply_voi(np.rint(physical).astype(np.int64), dataset, index=0)
    return np.asarray(np.clip(found.astype(np.float32) / np.float32(2**bits - 1), 0, 1))


def _modality(values: np.ndarray, dataset: Any, frame: int) -> np.ndarray:
    """Values in the units of the modality, float32."""
    if dataset.get("ModalityLUTSequence"):
        pixels = extra("pydicom.pixels", "dicom", "DICOM files need")
        return np.asarray(pixels.apply_modality_lut(values, dataset), dtype=np.float32)
    item = frame_item(dataset, frame, "PixelValueTransformationSequence")
    slope, intercept = first_number(item, "RescaleSlope"), first_number(item, "RescaleIntercept")
    physical = values.astype(np.float64) * (1.0 if slope is None else slope) + (intercept or 0.0)
    return physical.astype(np.float32)


def _padding(values: np.ndarray, dataset: Any) -> np.ndarray | None:
    """Where the file says that there is no image; None where it says nothing."""
    first = first_number(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = first_number(dataset, "PixelPaddingRangeLimit")
    ends = sorted((first, first if last is None else last))
    return np.asarray((values >= ends[0]) & (values <= ends[1]))


def _colour(values: np.ndarray, dataset: Any) -> np.ndarray:
    top = 2 ** int(first_number(dataset, "BitsStored") or 8) - 1
    if is_palette(dataset):
        pixels = extra("pydicom.pixels", "dicom", "DICOM files need")
        values = pixels.apply_color_lut(values, dataset)[..., :3]
        top = int(np.iinfo(values.dtype).max)
    return np.ascontiguousarray((values.astype(np.float32) / np.float32(top)).clip(0, 1).transpose(2, 0, 1))


def _stored_range(dataset: Any) -> tuple[int, int]:
    bits = int(first_number(dataset, "BitsStored") or 16)
    return (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if first_number(dataset, "PixelRepresentation") else (0, 2**bits - 1)
    )


def _pixels(dataset: Any, path: Path, frame: int) -> np.ndarray:
    """The stored values of one frame, [H, W] or [H, W, 3]; YBR is RGB."""
    pixels = extra("pydicom.pixels", "dicom", "DICOM files need")
    refuse_compression(dataset, path)
    needed = np.prod([dataset.Rows, dataset.Columns, first_number(dataset, "SamplesPerPixel") or 1], dtype=np.float64)
    check_fits(int(needed) * 8, str(path), TargetError)
    _refuse_other_size(dataset, path, frame)
    values = pixels.pixel_array(dataset, index=frame)  # without it, bytes beyond the last frame become frames
    return _without_overlay(np.asarray(values), dataset)


def _refuse_other_size(dataset: Any, path: Path, frame: int) -> None:
    """Raise TargetError where a compressed frame declares another size: a decoder would make room for it."""
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    encaps = extra("pydicom.encaps", "dicom", "DICOM files need")
    count = int(first_number(dataset, "NumberOfFrames") or 1)
    size = declared_size(encaps.get_frame(dataset.PixelData, frame, number_of_frames=count))
    if size is not None and size != (dataset.Rows, dataset.Columns):
        own = size_text((dataset.Rows, dataset.Columns))
        raise TargetError(
            f"{path} is {own}, its compressed pixels are {size_text(size)} ({axes_of_size(2)})",
            hint="is it damaged? then leave it out, or write it again",
        ) from ValueError("two sizes")


def _without_overlay(values: np.ndarray, dataset: Any) -> np.ndarray:
    """Grey values without what older files keep in the bits above those stored."""
    bits, stored, high = (int(first_number(dataset, name) or 0) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    if values.ndim != 2 or values.dtype.kind not in "iu" or not 1 < stored < bits or high + 1 < stored:
        return values
    if bits != 8 * values.dtype.itemsize:
        return values
    return np.asarray((values << (bits - 1 - high)) >> (bits - stored))
