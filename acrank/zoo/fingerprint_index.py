"""The index of fingerprints: which architectures have a tensor; built once for each version of a library, then cached.

It holds hashes, each once, so that the index of all of timm is a file of a few megabytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
#: An index that is being built is saved so often, in seconds, and where it is interrupted.
_SAVED_EVERY = 10.0
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

    @property
    def size(self) -> int:
        """Number of architectures, with those that could not be built."""
        return len(self.fingerprints) + len(self.missing)

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
        found = read_index(cache, library)
        total += _built(cache, library, advance) if found is None else found
    return total


def _built(cache: Path, library: str, advance: Advance) -> Index:
    """The index of a library, built from where an earlier process stopped, and kept in the cache."""
    listed, make = _LIBRARIES[library]
    names = listed()
    folder, part = SealedFolder(cache), _part_name(library, names)
    begun = _unpacked(folder.read(part)) or Index([])

    def save(index: Index) -> None:
        with suppress(OutputError):  # it costs time only: `is_indexed` tells
            folder.write(part, _packed(index))

    left = names[begun.size :]
    found = build_index(make(left), total=len(names), advance=advance, begun=begun, save=save)
    with suppress(OutputError):
        write_index(cache, library, found)
        folder.remove(part)
    return found


def indexed_so_far(cache: Path, *libraries: str) -> tuple[int, int]:
    """How many architectures of these libraries an index in the cache has, whole or begun, and how many there are."""
    done = total = 0
    for library in libraries:
        names = _LIBRARIES[library][0]()
        begun = read_index(cache, library) or _unpacked(SealedFolder(cache).read(_part_name(library, names)))
        done, total = done + (begun.size if begun else 0), total + len(names)
    return done, total


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


def _part_name(library: str, names: Sequence[str]) -> str:
    """The name in the cache of an index that is being built, of these architectures in this order."""
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return index_name(library).replace(".json.z", f"-{digest}.part.json.z")


def build_index(
    found: Iterable[tuple[str, Fingerprint | None]],
    *,
    total: int,
    advance: Advance = lambda done, total, text: None,
    begun: Index | None = None,
    save: Callable[[Index], None] | None = None,
) -> Index:
    """An index of architectures as they are built.

    Args:
        found: name and fingerprint of each, in order.
        total: how many there are, with those begun.
        advance: is told how far building has come.
        begun: what was built before.
        save: is given what is built so far, now and then, and where building is interrupted.
    """
    known = [*begun.fingerprints] if begun else []
    missing = [*begun.missing] if begun else []
    saved, last = len(known) + len(missing), time.monotonic()
    try:
        with gc_paused():
            for name, one in found:
                if one is None:
                    missing.append(name)
                else:
                    known.append(one)
                advance(len(known) + len(missing), total, f"indexing {name}")
                if save and time.monotonic() - last > _SAVED_EVERY:
                    save(Index(known, missing))
                    saved, last = len(known) + len(missing), time.monotonic()
    except BaseException:
        if save and len(known) + len(missing) > saved:
            save(Index(known, missing))
        raise
    return Index(known, missing)


def write_index(cache: Path, library: str, index: Index) -> None:
    """Write the index of a library into the cache; hashes are listed once.

    Raises:
        OutputError: the cache cannot be written.
    """
    SealedFolder(cache).write(index_name(library), _packed(index))


def _packed(index: Index) -> bytes:
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
    return zlib.compress(json.dumps(record, separators=(",", ":")).encode(), 6)


def read_index(cache: Path, library: str) -> Index | None:
    """The index of a library that the cache has; None where there is none, or a damaged one."""
    return _unpacked(SealedFolder(cache).read(index_name(library)))


def _unpacked(packed: bytes | None) -> Index | None:
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
