"""A folder of files that acrank alone writes: each begins with a header that seals it, none is reached by a link."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from acrank.system.files import cannot_write

#: Bytes of a file's header. HDF5 allows a multiple of 512 before its own data, so other tools still read those files.
HEADER = 512
_MAGIC = b"acrank sealed file 1\n"
_SEALED = re.compile(re.escape(_MAGIC) + rb"([0-9]{1,15})\n([0-9a-f]{64})\n *\n")
_PART = ".acrank-"  # of files that are being written
_LEVELS = 2  # of folders, below which nothing is looked for
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_AS_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO does not hold the reader


class SealedFolder:
    """Files by name, such as "observations/ab/abcd.h5", that are believed only as they were written under that name.

    A header holds the size and the SHA-256 of the name and the content, so that a file that is damaged, cut, copied to
    another name or of another program is as good as missing. Only the folder itself may be a link; folders must
    belong to this user and be closed to others. The digest finds damage and mix-ups; it does not stop a person who may
    write there.

    Args:
        path: created by the first write, for this user only.

    Example:
        >>> import tempfile
        >>> folder = SealedFolder(Path(tempfile.mkdtemp()))
        >>> folder.write("values/one.json", b"[1]")
        >>> folder.read("values/one.json"), folder.read("values/two.json")
        (b'[1]', None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> None:
        """Create the folder where it is missing.

        Raises:
            OSError: it cannot be created or opened, belongs to another user, or every user may write there.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._folder(()):
            pass

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none, or another one than was written under this name."""
        try:
            with self._file(name) as file:
                seal = _seal_in(file)
                content = file.read() if seal else b""
        except OSError:
            return None
        return content if seal and seal == _digest(name, content) else None

    def seal_of(self, name: str) -> str | None:
        """The digest in a file's header, 64 hexadecimal digits; None where no such file is whole in size."""
        try:
            with self._file(name) as file:
                return _seal_in(file)
        except OSError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that a reader sees the old one or the new one; only this user may read it.

        Raises:
            OutputError: it cannot be written.
        """
        head = _MAGIC + f"{len(content)}\n{_digest(name, content)}\n".encode()
        parts = (head.ljust(HEADER - 1) + b"\n", content)
        *folders, base = name.split("/")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._folder(folders, make=True) as handle:
                _replace(handle, base, parts)
        except OSError as error:
            raise cannot_write(self.path / name, error) from error

    def names(self, top: str) -> Iterator[str]:
        """Names of the files below a folder, sorted, whoever wrote them; no link is followed."""
        return self._names([top])

    def remove(self, name: str) -> bool:
        """Remove a file, if it begins like one that this class wrote; returns whether it did."""
        *folders, base = name.split("/")
        try:
            with self._file(name) as file:
                begin = file.read(len(_MAGIC))
            is_mine = begin == _MAGIC or (not begin and base.startswith(_PART))  # killed before its first byte
            if is_mine:
                with self._folder(folders) as handle:
                    os.unlink(base, dir_fd=handle)
        except OSError:
            return False
        return is_mine

    def _names(self, parts: list[str]) -> Iterator[str]:
        try:
            with self._folder(parts) as handle, os.scandir(handle) as found:
                entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
        except OSError:
            return
        for name, is_folder in entries:
            if not is_folder:
                yield "/".join([*parts, name])
            elif len(parts) < _LEVELS:
                yield from self._names([*parts, name])

    @contextmanager
    def _folder(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """A handle of the folder, or of one in it; each on the way is this user's, and no link."""
        handle = os.open(self.path, _AS_FOLDER)
        try:
            _check_private(handle)
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=handle)
                inner = os.open(part, _AS_FOLDER | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = inner
                _check_private(handle)
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _file(self, name: str) -> Iterator[BinaryIO]:
        *folders, base = name.split("/")
        with self._folder(folders) as handle:
            descriptor = os.open(base, _AS_FILE, dir_fd=handle)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not an ordinary file")
            yield file


def _seal_in(file: BinaryIO) -> str | None:
    """The digest in the header; None where that is damaged, or says another size than the file has."""
    found = _SEALED.fullmatch(file.read(HEADER))
    is_whole = found and os.fstat(file.fileno()).st_size == HEADER + int(found[1])
    return found[2].decode() if found and is_whole else None


def _digest(name: str, content: bytes) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(content)
    return digest.hexdigest()


def _replace(folder: int, name: str, parts: Sequence[bytes]) -> None:
    part = f"{_PART}{secrets.token_hex(8)}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise


def _check_private(folder: int) -> None:
    info = os.fstat(folder)
    if info.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user")
    if info.st_mode & stat.S_IWOTH:
        raise PermissionError(errno.EPERM, "every user may write there")
