"""DICOM files as volumes: the slices of a series in the order in which they lie, and the frames of one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.dicom_file import DicomHeader, read_header
from acrank.targets.stores.dicom_pixels import physical_values
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded
from acrank.targets.stores.stored_volumes import LPS_TO_RAS, StoredVolume

#: Gaps between slices may differ by this share before it is said.
_UNEVEN = 0.05
#: Slices closer than this, in millimetres, lie at one place.
_SAME_PLACE = 1e-3
#: As stored, in float64 while it is rescaled, and as float32.
_BYTES_OF_VOXEL = 16
_HINT = "take it apart, or read images one by one: --dicom images"


def load_series(path: Path, files: Sequence[Path]) -> StoredVolume:
    """The slices of a series as one volume, or the frames of a single file.

    Args:
        path: of the series, for messages.
        files: in the order of `order_slices`.

    Raises:
        TargetError: a file cannot be read, or does not fit the others.
    """
    first = _header(files[0])
    rows, columns = first.size
    count = first.frames if len(files) == 1 else len(files)
    affine = _affine(first, [_header(file) for file in files])

    def part(where: tuple[slice, ...]) -> np.ndarray:
        across, down, along = where
        needed = rows * columns * (along.stop - along.start) * _BYTES_OF_VOXEL
        check_decoded(needed, f"the volume {path}", most=MOST_OF_VOLUME)  # slices are read whole
        if len(files) == 1:
            planes = physical_values(files[0], range(along.start, along.stop))
        else:
            planes = np.concatenate([physical_values(file, (0,)) for file in files[along]])
        return planes[:, down, across].transpose(2, 1, 0)

    spacing = tuple(float(step) for step in np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))
    return StoredVolume(
        shape=(columns, rows, count), affine=affine, spacing=spacing, bytes_of_voxel=_BYTES_OF_VOXEL, part=part
    )


def order_slices(name: str, headers: dict[str, DicomHeader]) -> tuple[list[str], bool]:
    """The files of one series along the normal of its slices, and whether gaps between them differ.

    Without positions they are ordered by their instance numbers.

    Args:
        name: of the series, for messages.
        headers: by file; each of one frame.

    Raises:
        TargetError: slices that do not lie on one grid, or of unknown order.
    """
    first = next(iter(headers.values()))
    for file, header in headers.items():
        if header.size != first.size or header.samples != 1:
            raise TargetError(f"{name}: {file} has another size or colours", hint=_HINT)
        if not np.allclose(header.directions, first.directions, atol=1e-3) or not np.allclose(
            header.spacing[:2], first.spacing[:2], rtol=1e-3
        ):
            raise TargetError(f"{name}: {file} has another direction or spacing than other slices", hint=_HINT)
    if len(first.directions) != 6 or not all(header.positions for header in headers.values()):
        return _by_number(name, headers), False
    normal = np.cross(first.directions[:3], first.directions[3:])
    along = {file: float(normal @ header.positions[0]) for file, header in headers.items()}
    ordered = sorted(headers, key=lambda file: (along[file], file))
    gaps = np.diff([along[file] for file in ordered])
    if len(gaps) and gaps.min() < _SAME_PLACE:
        place = ordered[int(gaps.argmin())]
        raise TargetError(f"{name}: two slices lie at the place of {place}, as of two times or echoes", hint=_HINT)
    return ordered, bool(len(gaps) and gaps.max() > (1 + _UNEVEN) * gaps.min())


def _by_number(name: str, headers: dict[str, DicomHeader]) -> list[str]:
    numbers = [header.number for header in headers.values()]
    if None in numbers or len(set(numbers)) < len(numbers):
        raise TargetError(f"{name}: its slices have neither positions nor numbers", hint=_HINT)
    return sorted(headers, key=lambda file: headers[file].number or 0)


def _affine(first: DicomHeader, headers: Sequence[DicomHeader]) -> np.ndarray:
    """From indices (column, row, slice) to millimetres (right, anterior, superior)."""
    rows, columns, gap = (step or 1.0 for step in first.spacing)
    turn = np.diag([columns, rows, gap, 1.0])
    places = first.positions if len(headers) == 1 else tuple(p for header in headers for p in header.positions[:1])
    if len(first.directions) == 6:
        along, down = np.array(first.directions[:3]), np.array(first.directions[3:])
        turn[:3, 0], turn[:3, 1], turn[:3, 2] = along * columns, down * rows, np.cross(along, down) * gap
        if len(places) > 1 and np.abs(np.subtract(places[-1], places[0])).max() > _SAME_PLACE:
            turn[:3, 2] = np.subtract(places[-1], places[0]) / (len(places) - 1)
    if places:
        turn[:3, 3] = places[0]
    return np.asarray(LPS_TO_RAS @ turn)


def _header(path: Path) -> DicomHeader:
    found = read_header(path)
    if found is None:
        raise TargetError(f"{path} holds no image", hint="leave it out")
    return found
