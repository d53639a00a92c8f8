"""Cache keys: hashes of everything that an observation depends on. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.cache.observation_file import FORMAT
from acrank.system.files import sha256_of
from acrank.system.machine import package_versions
from acrank.system.streams import STREAMS
from acrank.zoo.code_files import code_file
from acrank.zoo.untrained import UntrainedTwin

if TYPE_CHECKING:
    from acrank.cache import ObservationCache
    from acrank.settings import Settings
    from acrank.targets.draws import Draw
    from acrank.zoo.schema import Candidate


def identity_of(candidate: Candidate, settings: Settings, cache: ObservationCache) -> dict[str, Any] | None:
    """A candidate's manifest entry with the hashes of its weights and code, which are not loaded.

    Of an untrained twin, whose file does not count, its recipe; so candidates of one architecture share it. That of
    another source (a folder, a hub) has the file's hash, too: its name does not tell the architecture.

    None where there is no such identity (a hub source, a file that is missing or a device, code that is not allowed or
    not found, another hash than the manifest's): such a candidate is loaded, and the loader reports what is wrong.
    """
    files = [candidate.weights_path] if candidate.weights_path else _files_in(candidate.local_dir)
    code = code_file(candidate.factory[0], candidate.folder) if candidate.factory and settings.allow_code else None
    if candidate.factory and code is None:
        return None
    try:
        if not all(path.is_file() for path in files):
            return None
        hashes = [cache.hash_of(path) for path in files]
        code_hash = sha256_of(code) if code else None
    except OSError:
        return None
    if isinstance(candidate, UntrainedTwin) and candidate.is_named:
        return {"recipe": candidate.recipe, "files": [], "code": code_hash}
    if not hashes or (candidate.sha256 and candidate.sha256 != hashes[0]):
        return None
    recipe = candidate.model_dump(
        mode="json", exclude={"id", "folder", "license", "tags", "reference", "weights", "sha256"}
    )
    return {"recipe": recipe, "files": hashes, "code": code_hash}


def key_of(identity: dict[str, Any], draw: Draw, settings: Settings) -> str:
    """The key of one observation, 64 hexadecimal digits."""
    labels = hashlib.sha256()
    for part in (draw.labels, draw.half, draw.permutation):
        labels.update(np.ascontiguousarray(part).tobytes())
    plan = dataclasses.asdict(settings.plan())
    plan.pop("bundled_drift")  # has an entry of its own
    parts = {
        "target": draw.target.fingerprint,
        "images": draw.digest,
        "labels": labels.hexdigest(),
        "plan": plan,
        "random": [STREAMS, settings.seed, draw.repeat],
    }
    return _key(identity, parts)


def drift_key_of(identity: dict[str, Any], settings: Settings, *, dense: bool) -> str:
    """The key of a checkpoint's drift on the bundled images, whatever the target.

    Args:
        identity: of the candidate.
        settings: of the run.
        dense: whether features are read at positions, as for segmentation.
    """
    plan = settings.plan()
    parts = [plan.step_size, plan.layers, plan.amp, plan.deterministic, dense, STREAMS]
    return _key(identity, {"drift": parts})


def _key(identity: dict[str, Any], parts: dict[str, Any]) -> str:
    whole = {"format": FORMAT, "code": code_digest(), "versions": _versions(), "candidate": identity, **parts}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


_versions = functools.cache(package_versions)


@functools.cache
def code_digest() -> str:
    """SHA-256 of acrank's own code but for its command line and views: a change makes every entry stale."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] not in ("cli", "formats", "comparison", "gates"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def dependencies_of(candidate: Candidate, *, weights: str | None = None) -> dict[str, str]:
    """Digests of what a candidate's row depends on beside its manifest entry, the images and the settings.

    Args:
        candidate: from the manifest; neither its weights nor its code are loaded.
        weights: SHA-256 of its weights, where that is known.

    Returns:
        `weights` and `code` (SHA-256), where it has them and they can be read; `scheme` is acrank's own version.
    """
    found = {"scheme": str(FORMAT)}
    files = [candidate.weights_path] if candidate.weights_path else _files_in(candidate.local_dir)
    code = code_file(candidate.factory[0], candidate.folder) if candidate.factory else None
    if weights and candidate.weights_path:
        found["weights"] = weights
    elif files and all(known := [_hash(path) for path in files]):
        found["weights"] = " ".join(map(str, known))
    if code and (digest := _hash(code)):
        found["code"] = digest
    return found


def _hash(path: Path) -> str | None:
    """SHA-256 of a file; None where it is none, or cannot be read: the loader says so."""
    try:
        return sha256_of(path) if path.is_file() else None
    except OSError:
        return None


def _files_in(folder: Path | None) -> list[Path]:
    """The files of a `local-dir:` source that a network is made from."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".bin", ".pth"))
