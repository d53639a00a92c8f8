"""Zip archives that torch.save wrote: what their directory declares, held against the file before it is read."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from pathlib import Path

from acrank.errors import CandidateError
from acrank.system.files import open_regular
from acrank.zoo.payload import RESAVE
from acrank.zoo.storages import check_storages

#: Bytes of what torch.save writes beside the numbers; a large network takes 1 MB.
_LARGEST_PICKLE = 64 * 2**20
_CHUNK = 2**20
_DAMAGED = "download or copy it again; if torch wrote it without checksums, save it again with them"


def archive_names(path: Path) -> set[str]:
    """Names of the files in a zip archive, without folders; the directory is held against the size of the archive.

    Raises:
        CandidateError: the archive is damaged, holds a name twice, or declares more bytes than it has.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise CandidateError(f"{path} is truncated or a damaged archive", hint=_DAMAGED) from error
    names = {one.filename.rpartition("/")[2] for one in members}
    if "data.pkl" in names and "constants.pkl" not in names:
        _check_directory(path, members)
    return names


def check_archive(path: Path) -> None:
    """Read every member of a zip archive once, and hold it against its checksum; no torch needed.

    Of a file that is no zip archive nothing is read.

    Raises:
        CandidateError: a member is damaged, or smaller than the pickle says; the message names it.
    """
    with open_regular(path) as file:
        if file.read(2) != b"PK":
            return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_member(path, archive, member)
    check_storages(path)


def _check_directory(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse what torch.save never writes, and what a small file uses to fill the memory."""
    twice = next((name for name, count in Counter(one.filename for one in members).items() if count > 1), None)
    if twice:
        raise CandidateError(f"{path} holds the member {twice!r} twice", hint=RESAVE)
    size = max((one.file_size for one in members if one.filename.endswith("data.pkl")), default=0)
    if size > _LARGEST_PICKLE:
        raise CandidateError(f"{path} holds a pickle of {size / 2**20:.0f} MiB, no checkpoint's", hint=RESAVE)
    packed = next((one.filename for one in members if one.compress_type != zipfile.ZIP_STORED), None)
    if packed:
        raise CandidateError(f"{path} holds a compressed member {packed!r}; torch.save compresses none", hint=RESAVE)
    declared, real = sum(one.file_size for one in members), path.stat().st_size
    if declared > real:
        raise CandidateError(f"{path} declares {declared} bytes and has {real}", hint=_DAMAGED)


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    try:
        with archive.open(member) as file:
            while file.read(_CHUNK):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        text = f"{path} is damaged: {member.filename!r} is not what its checksum says"
        raise CandidateError(text, hint=_DAMAGED) from error
