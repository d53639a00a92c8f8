"""Observations on disk, so that a second run reads no weights and decodes no images.

One HDF5 file per candidate and draw, named by the hash of everything that the observation depends on: the weights' and
the network's identity, the draw's images, labels and halves, the protocol, and the versions of what computed it. A
file is written whole or not at all and carries the digest of its content; one that does not fit is observed anew.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.errors import OutputError
from acrank.files import atomic_write, sha256_of
from acrank.observed import About, LayerShift, Observation

if TYPE_CHECKING:
    import h5py

    from acrank.draws import Draw
    from acrank.settings import Settings
    from acrank.zoo.schema import Candidate

FORMAT = 1
MAGIC = "acrank-observation"
_HASHES = "weights.json"
_SETTLED = 2.0  # a file changed within these seconds of being hashed may change again under the same time stamp
_GROUPS = ("layers", "no_drift", "shuffled")
_AFFINES = ("source_weight", "source_bias", "target_weight", "target_bias")


def default_folder() -> Path:
    """$ACRANK_CACHE, else acrank/ in $XDG_CACHE_HOME or ~/.cache."""
    if "ACRANK_CACHE" in os.environ:
        return Path(os.environ["ACRANK_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "acrank"


class ObservationCache:
    """Observations under a folder, by key. Safe for several processes at once: every write replaces a whole file.

    Args:
        folder: made when something is stored.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def load(self, key: str) -> tuple[Observation, About] | None:
        """What was stored under a key; None where there is nothing, or nothing that can be trusted."""
        import h5py

        path = self._path(key)
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        try:
            with h5py.File(io.BytesIO(raw), "r") as file:
                return _read(file, key)
        except (OSError, KeyError, ValueError, TypeError, RuntimeError):  # damaged or foreign: as if it were not there
            return None

    def store(self, key: str, seen: Observation, about: About, ids: list[str]) -> None:
        """Put an observation under its key.

        Raises:
            OutputError: the folder cannot be written.
        """
        import h5py

        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the cache folder {path.parent}: {error.strerror}", hint="set ACRANK_CACHE, or --no-cache"
            ) from error
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            _write(file, key, seen, about, ids)
        atomic_write(path, buffer.getvalue())

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
                "layers": len(entry[0].layers),
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
        if time.time() - about.st_mtime > _SETTLED:
            self.folder.mkdir(parents=True, exist_ok=True)
            hashes = {**self._hashes(), name: [*stamp, digest]}
            atomic_write(self.folder / _HASHES, json.dumps(hashes, indent=0))
        return digest

    def _hashes(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / _HASHES).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _path(self, key: str) -> Path:
        return self.folder / "observations" / key[:2] / f"{key}.h5"


def identity_of(candidate: Candidate, settings: Settings, cache: ObservationCache) -> dict[str, Any] | None:
    """What a candidate's network and weights are, told without loading them.

    None where that cannot be told (a hub source, a missing file, code that is not allowed or not found, another hash
    than the manifest's): such a candidate is loaded, and the loader says what is wrong.
    """
    files = [candidate.weights_path] if candidate.weights_path else _files_in(candidate.local_dir)
    code = _code_of(candidate) if candidate.factory else None
    if candidate.factory and (code is None or not settings.allow_code):
        return None
    try:
        hashes = [cache.hash_of(path) for path in files]
        code_hash = sha256_of(code) if code else None
    except OSError:
        return None
    if not hashes or (candidate.sha256 and candidate.sha256 != hashes[0]):
        return None
    recipe = candidate.model_dump(mode="json", exclude={"id", "folder", "license", "tags", "reference", "weights"})
    return {"recipe": recipe, "files": hashes, "code": code_hash}


def key_of(identity: dict[str, Any], draw: Draw, settings: Settings) -> str:
    """The key of one observation, 64 hexadecimal digits."""
    protocol = settings.protocol
    labels = hashlib.sha256()
    for part in (draw.labels, draw.fold, draw.permutation):
        labels.update(np.ascontiguousarray(part).tobytes())
    about = {
        "format": FORMAT,
        "versions": [_version(name) for name in ("acrank", "torch", "timm")],
        "candidate": identity,
        "target": draw.target.fingerprint,
        "images": draw.digest,
        "labels": labels.hexdigest(),
        "step": [protocol.epochs, protocol.head, protocol.step_size, protocol.layers] if settings.takes_step else None,
        "statistics": settings.statistics,
        "seed": settings.seed + draw.repeat,
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _files_in(folder: Path | None) -> list[Path]:
    """Everything in a `local-dir:` that a network is made from."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".bin", ".pth"))


def _code_of(candidate: Candidate) -> Path | None:
    """The file that a factory lives in: beside the manifest, or installed; found without running it."""
    module = (candidate.factory or ("", ""))[0]
    beside = candidate.folder / f"{module.replace('.', '/')}.py"
    if beside.is_file():
        return beside
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    inside = Path(spec.origin).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return inside if "." in module and inside.is_file() else (Path(spec.origin) if "." not in module else None)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _write(file: h5py.File, key: str, seen: Observation, about: About, ids: list[str]) -> None:
    arrays = {name: getattr(seen, name) for name in ("labels", "fold", "permutation", "features", "logits")}
    for name, array in arrays.items():
        if array is not None:
            file[name] = array
    file["sample_ids"] = np.array([one.encode("utf-8", "surrogateescape") for one in ids])
    for group in _GROUPS:
        for i, layer in enumerate(getattr(seen, group)):
            place = file.create_group(f"{group}/{i:05d}")
            place.attrs.update({"name": layer.name, "eps": layer.eps, "total": layer.total, "own": layer.own})
            for name in _AFFINES:
                place[name] = getattr(layer, name)
    file.attrs.update({"kind": MAGIC, "format": FORMAT, "key": key, "about": json.dumps(asdict(about))})
    file.attrs["digest"] = _digest(file)


def _read(file: h5py.File, key: str) -> tuple[Observation, About]:
    """The observation in a file.

    Raises:
        ValueError: it is not this key's, not of this format, or not as it was written.
    """
    attrs = file.attrs
    if (attrs.get("kind"), attrs.get("format"), attrs.get("key")) != (MAGIC, FORMAT, key):
        raise ValueError("not an observation under this key")
    if attrs.get("digest") != _digest(file):
        raise ValueError("the content has changed since it was written")
    features, logits = (file[name][()] if name in file else None for name in ("features", "logits"))
    labels, fold, permutation = (file[name][()] for name in ("labels", "fold", "permutation"))
    layers = [tuple(_layer(file[group][name]) for name in sorted(file.get(group, ()))) for group in _GROUPS]
    seen = Observation(labels, fold, permutation, features, logits, *layers)
    return seen, About(**json.loads(attrs["about"]))


def _layer(place: h5py.Group) -> LayerShift:
    affines = {name: place[name][()] for name in _AFFINES}
    name, eps, total, own = (place.attrs[part] for part in ("name", "eps", "total", "own"))
    return LayerShift(str(name), float(eps), **affines, total=float(total), own=float(own))


def _digest(file: h5py.File) -> str:
    """SHA-256 over every array and attribute, the digest itself aside."""
    import h5py

    digest = hashlib.sha256()

    def add(name: str, item: Any) -> None:
        digest.update(name.encode())
        for label, value in sorted(item.attrs.items()):
            if label != "digest":
                digest.update(f"{label}={value!r}".encode())
        if isinstance(item, h5py.Dataset):
            digest.update(f"{item.dtype}{item.shape}".encode())
            digest.update(item[()].tobytes())

    add("/", file)
    file.visititems(add)
    return digest.hexdigest()
