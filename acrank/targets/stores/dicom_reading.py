"""pydicom's dataset of a file, read within bounds and without a word of its fields in any error."""

from __future__ import annotations

import logging
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from acrank.errors import AcrankError, TargetError
from acrank.system.bounds import check_fits, check_regular
from acrank.system.files import open_regular
from acrank.system.imports import extra
from acrank.targets.stores.dicom_bounds import BoundedReads, inflated

_MAGIC_AT = 128
_META_GROUP = 2
_PIXELS = 0x7FE00010
#: (is implicit, is little endian) -> name of the transfer syntax.
_SYNTAXES: dict[tuple[bool, ...], str] = {
    (True, True): "ImplicitVRLittleEndian",
    (False, True): "ExplicitVRLittleEndian",
}


def has_magic(path: Path) -> bool:
    """Whether a file begins as DICOM files do; False for what is no ordinary file or has no size.

    Raises:
        TargetError: it cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size < _MAGIC_AT + 4:  # files of /proc may never end
            return False
        with open_regular(path) as file:
            return file.read(_MAGIC_AT + 4)[_MAGIC_AT:] == b"DICM"
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}", hint="check the file") from error


def read_dataset(path: Path, *, tags: Sequence[str] | None = None) -> Any:
    """The pydicom dataset of a file, with its transfer syntax even where the file does not name it.

    Args:
        path: of the file.
        tags: names of the fields to read, without the pixels; None reads everything.

    Raises:
        TargetError: it cannot be read as DICOM, or would not fit in memory.
        MissingExtraError: pydicom is not installed.
    """
    check_regular(path, TargetError)
    pydicom = _pydicom()
    is_named = has_magic(path)
    with no_field_in_errors(path), open_regular(path) as file:
        bounded = BoundedReads(file, path)
        meta = _meta_of(bounded, pydicom) if is_named else None
        syntax = None if meta is None else meta.get("TransferSyntaxUID")
        if syntax is not None and syntax.is_deflated:
            plain = BoundedReads(inflated(file, path), path)
            return _inflated_dataset(plain, meta, tags, pydicom=pydicom)
        if tags is None:  # else only the header is read; the check loads torch
            check_fits(path.stat().st_size, str(path), TargetError)
        file.seek(0)
        options = {} if tags is None else {"stop_before_pixels": True, "specific_tags": list(tags)}
        dataset = pydicom.dcmread(bounded, force=not is_named, **options)
        if dataset.file_meta.get("TransferSyntaxUID") is None:
            name = _SYNTAXES.get(tuple(map(bool, dataset.original_encoding)), "ExplicitVRBigEndian")
            dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
    return dataset


def _meta_of(file: BoundedReads, pydicom: Any) -> Any:
    """The fields of group 2 after the preamble; the file is then where the others begin."""
    file.seek(_MAGIC_AT + 4)
    read = pydicom.filereader.read_dataset
    found = read(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != _META_GROUP)
    return pydicom.dataset.FileMetaDataset(found)


def _inflated_dataset(file: BoundedReads, meta: Any, tags: Sequence[str] | None, *, pydicom: Any) -> Any:
    """The dataset of inflated bytes, which are little endian with explicit kinds of values."""
    stop = None if tags is None else lambda tag, _vr, _length: tag == _PIXELS
    wanted = None if tags is None else [pydicom.tag.Tag(name) for name in tags]
    found = pydicom.filereader.read_dataset(file, False, True, stop_when=stop, specific_tags=wanted)
    return pydicom.dataset.FileDataset(None, found, file_meta=meta, is_implicit_VR=False, is_little_endian=True)


@contextmanager
def no_field_in_errors(path: Path) -> Iterator[None]:
    """Inside this context any failure becomes an error that names the file and repeats no word of what it holds.

    Raises:
        AcrankError: one of acrank's own, as it is.
        TargetError: any other; its cause is damage, told by the kind of the failure alone.
    """
    try:
        yield
    except (AcrankError, MemoryError):
        raise
    except Exception as error:  # fields may hold anything, and the words of the failure may hold the fields
        raise TargetError(
            f"cannot read {path} as DICOM", hint="it may be damaged: write it again, or leave it out"
        ) from ValueError(type(error).__name__)


@lru_cache(maxsize=1)
def _pydicom() -> Any:
    """pydicom, which writes no field of a file into a log or a warning."""
    pydicom = extra("pydicom", "dicom", "DICOM files need")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.logger.setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom(\..*)?")
    return pydicom
