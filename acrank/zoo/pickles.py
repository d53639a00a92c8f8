"""What pickles of weights may hold: the allow-list of data beside the tensors, and what a pickle asks for unread."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acrank.system.files import open_regular

_PARTS = 5  # of a legacy file: magic number, version, machine, payload, names of its storages
#: Types of numbers and text that arrays may have.
_CODES = "?bBhHiIlLqQefdFDSU"
_NUMPY = ("numpy.core", "numpy._core")  # NumPy 1 and NumPy 2
_ATTRIBUTE_DICTS = (
    "pytorch_lightning.utilities.parsing",
    "lightning.pytorch.utilities.parsing",
    "lightning_fabric.utilities.data",
    "lightning.fabric.utilities.data",
)


class _Array:
    """Stands for a NumPy array, whose values nobody needs."""

    def __setstate__(self, state: Any) -> None:
        """Takes the array's state and keeps nothing."""


class _Dict:
    """Stands for subclasses of dict that hold a training script's options."""

    def __new__(cls, *_: Any) -> Any:
        return {}


class _Kind:
    """Stands for a built-in type, as the default of a dictionary."""


def _array(*_: Any) -> _Array:
    return _Array()


def _dict(*_: Any) -> dict[Any, Any]:
    return {}


def _list(*_: Any) -> list[Any]:
    return []


def _bytes(*_: Any) -> bytes:
    return b""


def allowed_globals() -> list[Any]:
    """What a pickle of weights may ask for besides torch's own: pairs of an object and the name in the pickle.

    Numbers, dates and paths are themselves; arrays, dictionaries and queues of other kinds become plain data. Nothing
    here does more than hold values.
    """
    import argparse
    import datetime
    import pathlib
    import types

    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    plain: list[Any] = [argparse.Namespace, types.SimpleNamespace, frozenset, range, slice]
    plain += [datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone]
    out = [(one, f"{one.__module__}.{one.__qualname__}") for one in plain]
    kinds = dict.fromkeys(type(np.dtype(code)) for code in _CODES)
    out += [(kind, f"{kind.__module__}.{kind.__qualname__}") for kind in kinds]
    out += [(np.dtype, "numpy.dtype"), (_Array, "numpy.ndarray")]
    for core in _NUMPY:
        out += [(scalar, f"{core}.multiarray.scalar"), (_array, f"{core}.multiarray._reconstruct")]
    out += [(_dict, "collections.defaultdict"), (_list, "collections.deque")]
    out += [(_Dict, f"{module}.AttributeDict") for module in _ATTRIBUTE_DICTS]
    for module in ("builtins", "__builtin__"):  # Python 2's name, which pickles of protocol 2 keep
        out += [(_Kind, f"{module}.{name}") for name in ("list", "dict", "int", "float", "str", "bool", "tuple")]
        out += [(one, f"{module}.{one.__name__}") for one in (set, frozenset, range, slice)]
        out.append((_bytes, f"{module}.bytes"))
    out.append((range, "__builtin__.xrange"))
    for module in ("pathlib", "pathlib._local"):
        out += [(pathlib.PurePosixPath, f"{module}.{name}") for name in ("PosixPath", "PurePosixPath")]
        out += [(pathlib.PureWindowsPath, f"{module}.{name}") for name in ("WindowsPath", "PureWindowsPath")]
    return out


def refused_globals(path: Path) -> list[str]:
    """Functions and classes that a torch file asks for and that are no data, found without reading it; no torch needed.

    Of torch's own names only those of whole networks and optimisers are listed: torch judges the others.

    Args:
        path: of a file that torch.save wrote, zipped or legacy; of anything else, or of a damaged file, the list is
            empty.
    """
    known = {name for _, name in allowed_globals()}
    known |= {"collections.OrderedDict", "collections.Counter", "_codecs.encode", "__builtin__.bytearray"}
    known |= {"builtins.bytearray", "builtins.complex", "__builtin__.complex"}
    found = dict.fromkeys(name for name in _globals(path) if name not in known and not _is_torchs(name))
    return list(found)


def is_network(names: list[str]) -> bool:
    """Whether these globals are those of a pickled network."""
    return any(name.startswith("torch.nn.modules.") for name in names)


def strings_of(path: Path) -> set[str]:
    """Short texts of a torch file's pickle, such as the keys of its dictionaries."""
    return {value for code, value in _operations(path) if isinstance(value, str) and "UNICODE" in code}


def _is_torchs(name: str) -> bool:
    return name.startswith("torch.") and not name.startswith(("torch.nn.modules.", "torch.optim.", "torch.jit"))


def _globals(path: Path) -> Iterator[str]:
    """Dotted names of everything that the pickle refers to."""
    texts: list[str] = []
    memo: dict[int, str] = {}
    for code, value in _operations(path):
        if code == "GLOBAL" or code == "INST":
            yield ".".join(str(value).split(" "))
        elif code == "STACK_GLOBAL" and len(texts) > 1:
            yield f"{texts[-2]}.{texts[-1]}"
        elif "UNICODE" in code or "STRING" in code:
            texts.append(str(value))
        elif code in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT") and texts:
            memo[len(memo) if value is None else int(value)] = texts[-1]
        elif code in ("BINGET", "LONG_BINGET", "GET") and int(value) in memo:
            texts.append(memo[int(value)])


def _operations(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with _pickle_of(path) as file:
            for _ in range(_PARTS):
                for operation, value, _position in pickletools.genops(file):
                    yield operation.name, value
    except (
        ValueError,
        OSError,
        zipfile.BadZipFile,
        LookupError,
        EOFError,
        NotImplementedError,
        MemoryError,
        OverflowError,
    ):
        return  # damaged, or no pickle: reading it says so


def _pickle_of(path: Path) -> Any:
    with open_regular(path) as file:
        if file.read(2) != b"PK":
            return open_regular(path)
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"), None)
        return io.BytesIO(archive.read(name) if name else b"")
