"""The index of fingerprints: which architectures have a tensor; built once for each version of a library, then cached.

It holds hashes, each once, so that the index of all of timm is a file of a few megabytes.
"""

from __future__ import annotations

import importlib.metadata
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from acrank.errors import OutputError
from acrank.system.imports import gc_paused
from acrank.system.sealed_folder import SealedFolder
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.architectures.torchvision_networks import classifiers
from acrank.zoo.fingerprints import (
    HASH_BYTES,
    Fingerprint,
    smp_encoders,
    smp_fingerprints,
    timm_fingerprints,
    torchvision_fingerprints,
)

FORMAT = 1  # of the file; raise it with every change of what a fingerprint holds
_PACKAGES = {"smp": "segmentation-models-pytorch"}

#: (done, total, text beside the bar)
Advance = Callable[[int, int, str], None]


@dataclass
class Index:
    """Fingerprints, and which of them have a tensor.

    Attributes:
        fingerprints: of all architectures.
        missing: names of architectures that could not be built without memory.
        having: hash of a name and shape -> positions in `fingerprints`.
    """

    fingerprints: list[Fingerprint]
    missing: list[str] = field(default_factory=list)
    having: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for i, one in enumerate(self.fingerprints):
            for entry in one.entries:
                self.having.setdefault(entry, []).append(i)

    def __add__(self, other: Index) -> Index:
        return Index([*self.fingerprints, *other.fingerprints], [*self.missing, *other.missing])


def load_index(cache: Path, *libraries: str, advance: Advance = lambda done, total, text: None) -> Index:
    """The index of some libraries, from the cache or built anew and kept there.

    It belongs to the libraries' versions. Building that of timm takes minutes, reading it a second.

    Args:
        cache: acrank's cache folder, created where it is missing.
        libraries: "timm", "torchvision" or "smp" (its encoders; empty where it is not installed).
        advance: is told how far building has come.
    """
    total = Index([])
    for library in libraries:
        listed, make = _LIBRARIES[library]
        found = read_index(cache, library)
        if found is None:
            names = listed()
            found = build_index(make(names), total=len(names), advance=advance)
            with suppress(OutputError):  # it costs time only: `is_indexed` tells
                write_index(cache, library, found)
        total += found
    return total


def is_indexed(cache: Path, *libraries: str) -> bool:
    """Whether the cache has the index of these libraries for the installed versions."""
    return all(SealedFolder(cache).read(index_name(library)) is not None for library in libraries)


def index_name(library: str) -> str:
    """The name in the cache of the index of a library's installed version."""
    package = _PACKAGES.get(library, library)
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    return f"architectures/{library}-{version}-{FORMAT}.json.z"


def build_index(
    found: Iterable[tuple[str, Fingerprint | None]], *, total: int, advance: Advance = lambda done, total, text: None
) -> Index:
    """An index of architectures as they are built."""
    known: list[Fingerprint] = []
    missing: list[str] = []
    with gc_paused():
        for i, (name, one) in enumerate(found):
            if one is None:
                missing.append(name)
            else:
                known.append(one)
            advance(i + 1, total, f"indexing {name}")
    return Index(known, missing)


def write_index(cache: Path, library: str, index: Index) -> None:
    """Write the index of a library into the cache; hashes are listed once.

    Raises:
        OutputError: the cache cannot be written.
    """
    hashes = list(dict.fromkeys(entry for one in index.fingerprints for entry in (*one.entries, *one.buffers)))
    places = {entry: i for i, entry in enumerate(hashes)}
    records = [
        asdict(one) | {key: _steps(places[entry] for entry in getattr(one, key)) for key in ("entries", "buffers")}
        for one in index.fingerprints
    ]
    record = {
        "hashes": [f"{one:0{2 * HASH_BYTES}x}" for one in hashes],
        "architectures": records,
        "missing": index.missing,
    }
    packed = zlib.compress(json.dumps(record, separators=(",", ":")).encode(), 6)
    SealedFolder(cache).write(index_name(library), packed)


def read_index(cache: Path, library: str) -> Index | None:
    """The index of a library that the cache has; None where there is none, or a damaged one."""
    packed = SealedFolder(cache).read(index_name(library))
    if packed is None:
        return None
    try:
        record = json.loads(zlib.decompress(packed))
        hashes = [int(text, 16) for text in record["hashes"]]
        return Index([_fingerprint(one, hashes) for one in record["architectures"]], list(record["missing"]))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, zlib.error):
        return None


def _fingerprint(record: dict[str, Any], hashes: list[int]) -> Fingerprint:
    lists = {key: tuple(hashes[i] for i in accumulate(record[key])) for key in ("entries", "buffers")}
    stems = {str(key): tuple(int(side) for side in shape) for key, shape in record["stems"].items()}
    return Fingerprint(**record | lists | {"stems": stems, "tops": tuple(record["tops"])})


def _steps(places: Iterable[int]) -> list[int]:
    """The differences of consecutive numbers: mostly 1, so they take little room."""
    out, last = [], 0
    for place in places:
        out.append(place - last)
        last = place
    return out


_LIBRARIES: Mapping[str, tuple[Callable[[], list[str]], Callable[..., Iterator[tuple[str, Fingerprint | None]]]]] = {
    "timm": (lambda: list(import_timm().list_models()), timm_fingerprints),
    "torchvision": (classifiers, torchvision_fingerprints),
    "smp": (smp_encoders, smp_fingerprints),
}
