"""Observations on disk, so that a second run reads no weights and decodes no images.

One HDF5 file per candidate and draw (`observation_file`), named by the hash of everything that the observation depends
on (`keys`); beside it the scores of it, which name the observation that they are of, and the remembered hashes of
weights, both as JSON behind a header. What is no whole file of acrank's own (`acrank.system.sealed_folder`) is computed
anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acrank.cache.keys import drift_key_of, identity_of, key_of
from acrank.cache.observation_file import read_observation, write_observation
from acrank.errors import OutputError
from acrank.scores.inputs import CandidateInfo, Observation
from acrank.system.files import sha256_of, stamp_of
from acrank.system.sealed_folder import SealedFolder

__all__ = ["ObservationCache", "default_folder", "drift_key_of", "identity_of", "key_of"]

_OBSERVATIONS, _WEIGHTS = "observations", "weights"
_HINT = "set ACRANK_CACHE to a folder of your own, or give --no-cache"


def default_folder() -> Path:
    """$ACRANK_CACHE, else acrank/ in $XDG_CACHE_HOME or ~/.cache; an empty variable counts as unset.

    A relative $XDG_CACHE_HOME counts as unset, too, as its specification wants it; `~` in $ACRANK_CACHE is the home.

    Raises:
        OutputError: neither variable is set, and the user has no home.
    """
    try:
        if own := os.environ.get("ACRANK_CACHE"):
            return Path(own).expanduser()
        shared = Path(os.environ.get("XDG_CACHE_HOME") or ".")
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "acrank"
    except RuntimeError as error:
        raise OutputError("there is no home folder for the cache", hint=_HINT) from error


class ObservationCache:
    """Observations in a folder, by key. Safe for several processes at once: every write replaces a whole file.

    A failed write, as on a full disk, raises no error: `take_failure` returns its message, and the next run observes
    again.

    Args:
        folder: created by the first write, for this user only.

    Raises:
        OutputError: no folder is given, and there is no default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        self._files = SealedFolder(self.folder)
        self._failure: str | None = None

    def open(self) -> ObservationCache:
        """Create the folder before the work; returns itself.

        Raises:
            OutputError: the folder cannot be created or opened, is another user's, or everybody may write there.
        """
        try:
            self._files.open()
        except OSError as error:
            raise OutputError(f"cannot use the cache {self.folder}: {error.strerror or error}", hint=_HINT) from error
        return self

    def load(self, key: str) -> tuple[Observation, CandidateInfo] | None:
        """The observation of a key with its candidate's info; None where there is none, or a damaged one."""
        import h5py

        content = self._files.read(_name(key))
        if content is None:
            return None
        try:
            with h5py.File(io.BytesIO(content), "r") as file:
                return read_observation(file, key)
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError):  # not of this version
            return None

    def store(self, key: str, observation: Observation, info: CandidateInfo, ids: list[str]) -> None:
        """Write an observation, with its candidate's info and the ids of its images."""
        import h5py

        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            write_observation(file, key, observation, info=info, ids=ids)
        self._write(_name(key), buffer.getvalue())

    def load_values(self, *keys: str) -> dict[str, Any]:
        """Scores, by name, of what was put together from the observations of some keys; empty where there are none.

        They are believed only beside the very files that they were computed from.
        """
        found = self._record(_name_of_values(keys))
        seals, values = self._seals(keys), found.get("values")
        return values if seals and found.get("observations") == seals and isinstance(values, dict) else {}

    def store_values(self, values: Mapping[str, Any], *keys: str) -> None:
        """Write scores, by name, as plain data; nothing where the cache lacks one of the observations."""
        if seals := self._seals(keys):
            record = {"observations": seals, "values": values}
            self._write(_name_of_values(keys), json.dumps(record).encode())

    def load_target(self, key: str) -> dict[str, Any]:
        """What was understood of a target, as plain data; empty where there is nothing."""
        return self._record(_name(key, ".target"))

    def store_target(self, key: str, record: Mapping[str, Any]) -> None:
        """Write what was understood of a target, as plain data."""
        self._write(_name(key, ".target"), json.dumps(record).encode())

    def take_failure(self) -> str | None:
        """Return and clear the message of the last failed write, or None."""
        failure, self._failure = self._failure, None
        return failure

    def entries(self) -> Iterator[Path]:
        """Paths of all observations."""
        for name in self._files.names(_OBSERVATIONS):
            if name.endswith(".h5") and self._files.seal_of(name):
                yield self.folder / name

    def summaries(self) -> list[dict[str, Any]]:
        """Key, weights file, images, features, layers and bytes of each observation; damaged ones are left out.

        A checkpoint's drift on the bundled images has neither images nor features.
        """
        return [summary for path in self.entries() if (summary := self._summary(path))]

    def clear(self) -> tuple[int, int]:
        """Remove the files that the cache wrote, leftovers of killed processes too.

        Returns:
            The number of observations removed, and of files left because they do not begin like one of its own.
        """
        names = [name for top in (_OBSERVATIONS, _WEIGHTS) for name in self._files.names(top)]
        removed = {name for name in names if self._files.remove(name)}
        return sum(name.endswith(".h5") for name in removed), len(names) - len(removed)

    def hash_of(self, path: Path) -> str:
        """SHA-256 of a file, remembered until its size, inode or time stamps change."""
        name = _name(hashlib.sha256(os.fsencode(path.resolve())).hexdigest(), ".stamp", _WEIGHTS)
        stamp, is_settled = stamp_of(path)
        known = self._record(name)
        if known.get("stamp") == list(stamp) and isinstance(known.get("sha256"), str):
            return str(known["sha256"])
        digest = sha256_of(path)
        if is_settled:
            self._write(name, json.dumps({"stamp": stamp, "sha256": digest}).encode())
        return digest

    def _summary(self, path: Path) -> dict[str, Any] | None:
        found = self.load(path.stem)
        try:
            size = path.stat().st_size
        except OSError:  # another process has just removed it
            return None
        if found is None:
            return None
        observation, info = found
        return {
            "key": path.stem[:12],
            "weights": info.weights.get("file"),
            "images": len(observation.labels) or None,
            "features": None if observation.features is None else observation.features.shape[1],
            "layers": len(observation.shifts or observation.random_head_shifts),
            "bytes": size,
        }

    def _seals(self, keys: tuple[str, ...]) -> list[str | None] | None:
        """The digests of some observations' files; None where one is missing."""
        seals = [self._files.seal_of(_name(key)) for key in keys]
        return None if None in seals else seals

    def _record(self, name: str) -> dict[str, Any]:
        """A file of JSON; empty where there is none, or none of this shape."""
        try:
            found = json.loads(self._files.read(name) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._files.write(name, content)
        except OutputError as error:
            self._failure = f"{error} ({error.hint})"


def _name(key: str, suffix: str = ".h5", top: str = _OBSERVATIONS) -> str:
    return f"{top}/{key[:2]}/{key}{suffix}"


def _name_of_values(keys: tuple[str, ...]) -> str:
    return _name(hashlib.sha256(" ".join(keys).encode()).hexdigest(), ".values")
