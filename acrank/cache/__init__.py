"""Observations on disk, so that a second run reads no weights and decodes no images.

One HDF5 file per candidate and draw (`files`), named by the hash of everything that the observation depends on
(`keys`). A file is written whole or not at all and carries the digest of its content; one that does not fit is
observed anew.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acrank.cache.keys import code_digest, identity_of, key_of
from acrank.cache.observation_file import read_observation, write_observation
from acrank.errors import OutputError
from acrank.scores.inputs import CandidateInfo, Observation
from acrank.system.files import atomic_write, check_writable, sha256_of

__all__ = ["ObservationCache", "default_folder", "identity_of", "key_of"]

_HASHES = "weights.json"
_HINT = "set ACRANK_CACHE to another folder, or give --no-cache"
_SETTLED = 2.0  # a file changed within these seconds of being hashed may change again under the same time stamp


def default_folder() -> Path:
    """$ACRANK_CACHE, else acrank/ in $XDG_CACHE_HOME or ~/.cache."""
    if "ACRANK_CACHE" in os.environ:
        return Path(os.environ["ACRANK_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "acrank"


class ObservationCache:
    """Observations under a folder, by key. Safe for several processes at once: every write replaces a whole file.

    A write that fails, as on a full disk, costs the next run its time but this one nothing: it raises no error, and
    `take_failure` tells of it.

    Args:
        folder: made when something is stored.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        self._failure: str | None = None

    def open(self) -> ObservationCache:
        """Make the folder now rather than in the middle of the work; returns itself.

        Raises:
            OutputError: it cannot be made or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            check_writable(self.folder / _HASHES)
        except (OSError, OutputError) as error:
            raise OutputError(f"the cache {self.folder} cannot be written", hint=_HINT) from error
        return self

    def load(self, key: str) -> tuple[Observation, CandidateInfo] | None:
        """What was stored under a key; None where there is nothing, or nothing that can be trusted."""
        import h5py

        path = self._path(key)
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        try:
            with h5py.File(io.BytesIO(raw), "r") as file:
                return read_observation(file, key)
        except (OSError, KeyError, ValueError, TypeError, RuntimeError):  # damaged or foreign: as if it were not there
            return None

    def store(self, key: str, seen: Observation, about: CandidateInfo, ids: list[str]) -> None:
        """Put an observation under its key."""
        import h5py

        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            write_observation(file, key, seen, about, ids)
        self._write(self._path(key), buffer.getvalue())

    def values(self, key: str) -> dict[str, Any]:
        """What scores came to on an observation, by name; empty where nothing was noted by this code."""
        try:
            found = json.loads(self._path(key).with_suffix(".json").read_text())
        except (OSError, ValueError):
            return {}
        known = isinstance(found, dict) and found.get("code") == code_digest() and found.get("key") == key
        return dict(found["values"]) if known else {}

    def note_values(self, key: str, values: Mapping[str, Any]) -> None:
        """Remember what scores came to; `values` is plain data."""
        record = {"key": key, "code": code_digest(), "values": values}
        self._write(self._path(key).with_suffix(".json"), json.dumps(record))

    def take_failure(self) -> str | None:
        """Why the last write that failed did, and forget it; None where all went well since this was last asked."""
        failure, self._failure = self._failure, None
        return failure

    def entries(self) -> Iterator[Path]:
        """The files of all observations."""
        return self.folder.glob("observations/*/*.h5")

    def summaries(self) -> list[dict[str, Any]]:
        """For each observation: key, weights file, images, features, layers and bytes; damaged ones are left out."""
        found = ((path, self.load(path.stem)) for path in sorted(self.entries()))
        return [
            {
                "key": path.stem[:12],
                "weights": entry[1].weights.get("file"),
                "images": len(entry[0].labels),
                "features": None if entry[0].features is None else entry[0].features.shape[1],
                "layers": len(entry[0].shifts),
                "bytes": path.stat().st_size,
            }
            for path, entry in found
            if entry
        ]

    def clear(self) -> int:
        """Remove all that was written here, leftovers of killed processes too; how many observations there were."""
        count = 0
        for path in self.folder.glob("observations/*/*"):
            count += path.suffix == ".h5"
            path.unlink(missing_ok=True)
        (self.folder / _HASHES).unlink(missing_ok=True)
        return count

    def hash_of(self, path: Path) -> str:
        """SHA-256 of a file, remembered by path, size and time stamp."""
        about = path.stat()
        stamp = [about.st_size, about.st_mtime_ns]
        name = str(path.resolve())
        known = self._hashes().get(name)
        if isinstance(known, list) and len(known) == 3 and known[:2] == stamp:
            return str(known[2])
        digest = sha256_of(path)
        if time.time() - about.st_mtime > _SETTLED and self.folder.is_dir():
            hashes = {**self._hashes(), name: [*stamp, digest]}
            self._write(self.folder / _HASHES, json.dumps(hashes, indent=0))
        return digest

    def _write(self, path: Path, data: str | bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, data)
        except OutputError as error:
            self._failure = f"{error} ({error.hint})"
        except OSError as error:  # the folder
            self._failure = f"cannot make {path.parent}: {error.strerror or error}"

    def _hashes(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / _HASHES).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _path(self, key: str) -> Path:
        return self.folder / "observations" / key[:2] / f"{key}.h5"
