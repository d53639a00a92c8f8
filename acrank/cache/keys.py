"""What an observation depends on, told without loading anything heavy."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.cache.observation_file import FORMAT
from acrank.system.files import sha256_of
from acrank.system.streams import STREAMS

if TYPE_CHECKING:
    from acrank.cache import ObservationCache
    from acrank.settings import Settings
    from acrank.targets.draws import Draw
    from acrank.zoo.schema import Candidate


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
    recipe = candidate.model_dump(
        mode="json", exclude={"id", "folder", "license", "tags", "reference", "weights", "sha256"}
    )
    return {"recipe": recipe, "files": hashes, "code": code_hash}


def key_of(identity: dict[str, Any], draw: Draw, settings: Settings) -> str:
    """The key of one observation, 64 hexadecimal digits."""
    protocol = settings.protocol
    labels = hashlib.sha256()
    for part in (draw.labels, draw.half, draw.permutation):
        labels.update(np.ascontiguousarray(part).tobytes())
    about = {
        "format": FORMAT,
        "versions": [
            code_digest(),
            *(_version(name) for name in ("torch", "timm", "monai", "segmentation-models-pytorch")),
        ],
        "candidate": identity,
        "target": draw.target.fingerprint,
        "images": draw.digest,
        "labels": labels.hexdigest(),
        "step": [protocol.epochs, protocol.head, protocol.step_size, protocol.layers, settings.steps_on_labels]
        if settings.takes_step
        else None,
        "statistics": settings.statistics,
        "maps": settings.reads_maps,
        "arithmetic": [settings.amp, settings.deterministic],
        "random": [STREAMS, settings.seed, draw.repeat],
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


@functools.cache
def code_digest() -> str:
    """SHA-256 of acrank's own code, its command line and views aside: a change of it makes every entry stale."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] not in ("cli", "formats", "comparison", "gates", "demo"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


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
