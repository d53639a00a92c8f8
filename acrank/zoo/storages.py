"""What the pickle of a torch archive says of its storages, found without torch, code or their bytes."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

from acrank.errors import CandidateError

_HINT = "download or copy it again"
#: Bytes of an element, by the beginning of a storage's type; one byte where the type is not among them.
_BYTES = {"ComplexDouble": 16, "ComplexFloat": 8, "Double": 8, "Long": 8, "Float": 4, "Int": 4, "QInt32": 4}
_BYTES |= {"Half": 2, "BFloat16": 2, "Short": 2}


class _Inert:
    """Stands for everything that a pickle refers to: it can be called, filled and given a state, and does nothing."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __call__(self, *_: Any) -> _Inert:
        return _Inert()

    def __setstate__(self, _: Any) -> None:
        """Takes a state and keeps nothing."""

    def __setitem__(self, _key: Any, _value: Any) -> None:
        """Takes an item and keeps nothing."""

    def append(self, _: Any) -> None:
        """Takes an item and keeps nothing."""


class _Walker(pickle._Unpickler):  # the one in Python: its memo is a dictionary, so a huge index takes no memory
    """Follows a pickle with inert objects, and keeps the sizes of its storages."""

    dispatch = {  # noqa: RUF012
        code: step for code, step in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.sizes: dict[str, int] = {}

    def find_class(self, _module: str, name: str) -> Any:
        """Nothing is imported."""
        return _Inert(name)

    def persistent_load(self, pid: Any) -> Any:
        """Storages are `("storage", type, key, device, number of elements)`."""
        if isinstance(pid, tuple) and len(pid) >= 5 and isinstance(pid[4], int):
            kind = str(getattr(pid[1], "name", "")).removesuffix("Storage")
            key, size = str(pid[2]), pid[4] * _BYTES.get(kind, 1)
            self.sizes[key] = max(size, self.sizes.get(key, 0))
        return _Inert()


def check_storages(path: Path) -> None:
    """Refuse a torch archive whose pickle gives a storage more bytes than the archive has for it.

    Older versions of torch would read beyond the end of the member.

    Raises:
        CandidateError: the message names the member.
    """
    with zipfile.ZipFile(path) as archive:
        members = {one.filename: one.file_size for one in archive.infolist()}
        name = next(one for one in members if one.rpartition("/")[2] == "data.pkl")
        sizes = _sizes(archive.read(name))
    for key, size in sizes.items():
        member = f"{name.removesuffix('data.pkl')}data/{key}"
        if size > members.get(member, size):
            text = f"{path} gives {member!r} {size} bytes, and has {members[member]} for it"
            raise CandidateError(text, hint=_HINT)


def _sizes(raw: bytes) -> dict[str, int]:
    walker = _Walker(io.BytesIO(raw))
    try:
        walker.load()
    except Exception:  # damaged in one of many ways, which reading it tells; what was seen so far counts
        return walker.sizes
    return walker.sizes
