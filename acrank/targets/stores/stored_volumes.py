"""Volume files of each format as they are stored: NIfTI (nibabel), NRRD and MetaImage (SimpleITK)."""

from __future__ import annotations

import gzip
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.system.bounds import check_regular
from acrank.system.files import open_regular
from acrank.system.imports import extra
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded, damage_of

NIFTI_SUFFIXES = (".nii.gz", ".nii")
#: SimpleITK's reader of each suffix.
ITK_READERS = {".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
#: Suffixes of volume files, lower case.
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *ITK_READERS)
#: From ITK's millimetres (left, posterior, superior) to those of NIfTI (right, anterior, superior).
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)[ \t]*(.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
_HEADER_BYTES = 2**16
#: Values of NIfTI may begin this far into a file, behind the header and its extensions.
_MOST_HEADER = 64 * 2**20
_BYTES_OF_SCALING = 8  # nibabel scales in float64
_ITK_BYTES = 8  # at most, of one value
_LOCAL = "local"
_HINT_KIND = "store real numbers, such as the magnitude"
_HINT_RECORDS = "store colours as channels, on a fourth axis"


@dataclass(frozen=True, kw_only=True)
class StoredVolume:
    """A volume in the order of its file.

    Attributes:
        shape: three spatial axes, and a fourth of channels if there is one.
        affine: float64 [4, 4], from voxel indices to millimetres (right, anterior, superior).
        spacing: millimetres between voxels, along each spatial axis.
        bytes_of_voxel: that reading one value takes, before it is a float32.
        part: reads the values that one slice per spatial axis selects, [X, Y, Z] or [X, Y, Z, C].
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    spacing: tuple[float, ...]
    bytes_of_voxel: int
    part: Callable[[tuple[slice, ...]], np.ndarray]


def load_stored(path: Path) -> StoredVolume:
    """The volume in a file of any format, of which the header alone is read.

    Raises:
        TargetError: it is damaged, or would not fit in memory.
        MissingExtraError: the package that reads the format is not installed.
    """
    check_regular(path, TargetError)
    reader = ITK_READERS.get(path.suffix.lower())
    return _load_nifti(path) if reader is None else _load_itk(path, reader)


def is_volume(name: str) -> bool:
    """True if a file has a suffix of volume files.

    >>> is_volume("a/scan.NII.gz"), is_volume("scan.nrrd"), is_volume("notes.gz")
    (True, True, False)
    """
    return name.lower().endswith(VOLUME_SUFFIXES)


def data_file(path: Path) -> Path | None:
    """The file with the values of a detached header (.mhd, .nhdr); None if the header's own file holds them.

    Raises:
        TargetError: the header names several files, or one that is not in its folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     header = Path(folder) / "scan.mhd"
        ...     _ = header.write_text("ObjectType = Image\\nElementDataFile = scan.raw\\n")
        ...     print(data_file(header).name)
        scan.raw
    """
    if path.suffix.lower() not in ITK_READERS:
        return None
    with open_regular(path) as file:
        found = _DATA_FILE.search(file.read(_HEADER_BYTES))
    name = found[1].decode("utf-8", "replace") if found else _LOCAL
    if name.lower() == _LOCAL:
        return None
    if "%" in name or name.split(" ")[0] == "LIST" or PurePosixPath(name.replace("\\", "/")).name != name:
        raise TargetError(f"{path} names the values' file {name!r}", hint="keep all values in one file beside it")
    values = path.parent / name
    if values.is_symlink() and not path.is_symlink():
        raise TargetError(f"{values} is a link, and its header is none", hint="keep the values beside the header")
    return values


def _load_nifti(path: Path) -> StoredVolume:
    nibabel = extra("nibabel", "volumes", "NIfTI volumes need")
    with damage_of(path, f"cannot read {path} as NIfTI", hint="write it again, or leave it out"):
        _check_header(path)
        image: Any = nibabel.load(path)
        affine = np.asarray(image.affine, dtype=np.float64)
        zooms = tuple(float(step) for step in image.header.get_zooms()[:3])
        source = image.dataobj
        _refuse_kind(path, source.dtype)
        scaling = 0 if (source.slope, source.inter) == (1.0, 0.0) else _BYTES_OF_SCALING
    return StoredVolume(
        shape=tuple(image.shape),
        affine=affine,
        spacing=zooms,
        bytes_of_voxel=source.dtype.itemsize + scaling,
        part=lambda where: np.asarray(source[where]),
    )


def _refuse_kind(path: Path, dtype: np.dtype) -> None:
    """Refuse complex values, of which a part would be lost, and colours, which NIfTI stores as records."""
    if dtype.names:
        raise TargetError(f"{path} holds records of {', '.join(dtype.names)}", hint=_HINT_RECORDS)
    if dtype.kind not in "biuf":
        raise TargetError(f"{path} holds values of {dtype}", hint=_HINT_KIND)


def _check_header(path: Path) -> None:
    """Refuse a header whose values begin too far into the file: all before them would be read."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        start = file.read(540)
    order = "<" if start[:4] in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") else ">"
    (size,) = struct.unpack(f"{order}i", start[:4])
    (offset,) = (
        struct.unpack_from(f"{order}q", start, 168) if size == 540 else struct.unpack_from(f"{order}f", start, 108)
    )
    if not offset <= _MOST_HEADER:
        raise TargetError(f"{path} begins its values at byte {offset:g}", hint="write it again, or leave it out")


def _load_itk(path: Path, reader: str) -> StoredVolume:
    sitk = extra("SimpleITK", "itk", "NRRD and MetaImage volumes need")
    if (values := data_file(path)) is not None:
        check_regular(values, TargetError)
    file = _itk_file(sitk, path, reader)
    try:
        file.ReadImageInformation()
    except RuntimeError as error:
        raise TargetError(f"cannot read {path}: {_last_line(error)}", hint="write it again, or leave it out") from error
    kind = sitk.GetPixelIDValueAsString(file.GetPixelIDValue())
    if kind.startswith("complex"):
        raise TargetError(f"{path} holds values of {kind}", hint=_HINT_KIND)
    size, channels = file.GetSize(), file.GetNumberOfComponents()
    axes = len(size)
    turn = np.eye(4)
    if axes in (3, 4):
        direction = np.array(file.GetDirection()).reshape(axes, axes)[:3, :3]
        turn[:3, :3] = direction * np.array(file.GetSpacing()[:3])
        turn[:3, 3] = file.GetOrigin()[:3]

    def part(where: tuple[slice, ...]) -> np.ndarray:
        # most compressed files are read whole, whatever part is asked for
        check_decoded(math.prod(size) * channels * _ITK_BYTES, f"the volume {path}", most=MOST_OF_VOLUME)
        anew = _itk_file(sitk, path, reader)  # a reader keeps what it was told: threads need one each
        anew.SetExtractIndex([one.start for one in where] + [0] * (axes - 3))
        anew.SetExtractSize([one.stop - one.start for one in where] + list(size[3:]))
        values: np.ndarray = sitk.GetArrayFromImage(anew.Execute())  # [(T,) Z, Y, X] or [Z, Y, X, C]
        order = (2, 1, 0, 3) if axes == 3 and channels > 1 else tuple(reversed(range(axes)))
        return values.transpose(order)

    shape = (*size, channels) if channels > 1 else tuple(size)
    return StoredVolume(
        shape=shape,
        affine=LPS_TO_RAS @ turn,
        spacing=tuple(map(float, file.GetSpacing()[:3])),
        bytes_of_voxel=_ITK_BYTES,
        part=part,
    )


def _itk_file(sitk: Any, path: Path, reader: str) -> Any:
    file = sitk.ImageFileReader()
    file.SetImageIO(reader)
    file.SetFileName(str(path))
    return file


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
