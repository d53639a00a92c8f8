"""Observations on disk, so that a second run reads no weights and decodes no images.

One HDF5 file per candidate and draw (`observation_file`), named by the hash of everything that the observation depends
on (`keys`). A file is written whole or not at all and has a digest of its content; a damaged one is observed anew.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acrank.cache.keys import code_digest, drift_key_of, identity_of, key_of
from acrank.cache.observation_file import read_observation, write_observation
from acrank.errors import OutputError
from acrank.scores.inputs import CandidateInfo, Observation
from acrank.system.files import SETTLED_SECONDS, atomic_write, check_writable, sha256_of

__all__ = ["ObservationCache", "default_folder", "drift_key_of", "identity_of", "key_of"]

_HASHES = "weights.json"
_HINT = "set ACRANK_CACHE to another folder, or give --no-cache"


def default_folder() -> Path:
    """$ACRANK_CACHE, else acrank/ in $XDG_CACHE_HOME or ~/.cache."""
    if "ACRANK_CACHE" in os.environ:
        return Path(os.environ["ACRANK_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "acrank"


class ObservationCache:
    """Observations in a folder, by key. Safe for several processes at once: every write replaces a whole file.

    A failed write, as on a full disk, raises no error: `take_failure` returns its message, and the next run observes
    again.

    Args:
        folder: created by the first write.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        self._failure: str | None = None

    def open(self) -> ObservationCache:
        """Create the folder before the work; returns itself.

        Raises:
            OutputError: the folder cannot be created or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            check_writable(self.folder / _HASHES)
        except (OSError, OutputError) as error:
            raise OutputError(f"the cache {self.folder} cannot be written", hint=_HINT) from error
        return self

    def load(self, key: str) -> tuple[Observation, CandidateInfo] | None:
        """The observation of a key with its candidate's info; None where there is none, or a damaged one."""
        import h5py

        path = self._path(key)
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        try:
            with h5py.File(io.BytesIO(raw), "r") as file:
                return read_observation(file, key)
        except (OSError, KeyError, ValueError, TypeError, RuntimeError):  # damaged or foreign
            return None

    def store(self, key: str, observation: Observation, info: CandidateInfo, ids: list[str]) -> None:
        """Write an observation, with its candidate's info and the ids of its images."""
        import h5py

        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            write_observation(file, key, observation, info=info, ids=ids)
        self._write(self._path(key), buffer.getvalue())

    def load_values(self, key: str) -> dict[str, Any]:
        """Scores of an observation, by name; empty where this version of the code has stored none."""
        try:
            found = json.loads(self._path(key).with_suffix(".json").read_text())
        except (OSError, ValueError):
            return {}
        known = isinstance(found, dict) and found.get("code") == code_digest() and found.get("key") == key
        return dict(found["values"]) if known else {}

    def store_values(self, key: str, values: Mapping[str, Any]) -> None:
        """Write scores of an observation, by name, as plain data."""
        record = {"key": key, "code": code_digest(), "values": values}
        self._write(self._path(key).with_suffix(".json"), json.dumps(record))

    def load_target(self, key: str) -> dict[str, Any]:
        """What was understood of a target, as plain data; empty where this version of the code has stored nothing."""
        return self.load_values(key)

    def store_target(self, key: str, record: Mapping[str, Any]) -> None:
        """Write what was understood of a target, as plain data."""
        self.store_values(key, record)

    def take_failure(self) -> str | None:
        """Return and clear the message of the last failed write, or None."""
        failure, self._failure = self._failure, None
        return failure

    def entries(self) -> Iterator[Path]:
        """Paths of all observations."""
        return self.folder.glob("observations/*/*.h5")

    def summaries(self) -> list[dict[str, Any]]:
        """Key, weights file, images, features, layers and bytes of each observation; damaged ones are left out.

        A checkpoint's drift on the bundled images has neither images nor features.
        """
        return [
            {
                "key": path.stem[:12],
                "weights": info.weights.get("file"),
                "images": len(observation.labels) or None,
                "features": None if observation.features is None else observation.features.shape[1],
                "layers": len(observation.shifts or observation.random_head_shifts),
                "bytes": path.stat().st_size,
            }
            for path in sorted(self.entries())
            if (entry := self.load(path.stem))
            for observation, info in [entry]
        ]

    def clear(self) -> int:
        """Remove every file, leftovers of killed processes too; returns the number of observations."""
        paths = list(self.folder.glob("observations/*/*"))
        for path in [*paths, self.folder / _HASHES]:
            path.unlink(missing_ok=True)
        return sum(path.suffix == ".h5" for path in paths)

    def hash_of(self, path: Path) -> str:
        """SHA-256 of a file, remembered by path, size and time stamp."""
        info = path.stat()
        stamp = [info.st_size, info.st_mtime_ns]
        name = str(path.resolve())
        known = self._hashes().get(name)
        if isinstance(known, list) and len(known) == 3 and known[:2] == stamp:
            return str(known[2])
        digest = sha256_of(path)
        if time.time() - info.st_mtime > SETTLED_SECONDS and self.folder.is_dir():
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
