"""The lock file of a manifest: revisions, and hashes of weights and code; what differs from it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from acrank.errors import AcrankError, ManifestError, TableError
from acrank.system.files import sha256_of
from acrank.system.plain_data import read_json, validated
from acrank.zoo.code_files import code_files
from acrank.zoo.manifest import Zoo
from acrank.zoo.schema import Candidate

KIND, VERSION = "acrank-lock", 1
_HUBS = ("hf-hub", "hf_hub")
_AGAIN = "look at what changed, then run `acrank zoo lock` again"
#: In the cache of huggingface_hub a file lies below the commit that it belongs to.
_SNAPSHOT = re.compile(r"/snapshots/([0-9a-f]{40})/")


@dataclass(frozen=True, kw_only=True)
class LockedCandidate:
    """What a candidate was when its zoo was locked.

    Attributes:
        entry: digest of its manifest entry.
        revision: commit of its hub repository; None where it has none.
        files: name -> SHA-256 of weights, of a folder's or repository's config.json, and of code.
    """

    entry: str
    revision: str | None = None
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The content of a lock file: id -> what that candidate was."""

    models: dict[str, LockedCandidate]

    def record(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"kind": KIND, "schema_version": VERSION, **asdict(self)}


def lock_path(manifest: Path) -> Path:
    """The lock file of a manifest, beside it.

    >>> lock_path(Path("zoos/model_zoo.yaml")).as_posix()
    'zoos/model_zoo.lock.json'
    """
    return manifest.with_suffix(".lock.json")


def lock_zoo(zoo: Zoo, *, on_model: Callable[[int, int, str], None] | None = None) -> Lock:
    """What every candidate is now. Files of a hub are downloaded; no weights are loaded and no code is run.

    Args:
        zoo: the candidates of a manifest.
        on_model: called after each candidate with how many are done, how many there are, and its id.

    Raises:
        ManifestError: a file is missing, or a hub cannot be reached; the message names every such candidate.
    """
    models, problems = {}, []
    for done, candidate in enumerate(zoo.candidates, start=1):
        try:
            models[candidate.id] = _as_it_is(candidate)
        except AcrankError as error:
            problems.append(f"{candidate.id}: {error.message}")
        if on_model is not None:
            on_model(done, len(zoo.candidates), candidate.id)
    if problems:
        raise ManifestError(f"{zoo.path} cannot be locked: {'; '.join(problems)}", hint="mend or remove these models")
    return Lock(models=models)


def read_lock(path: Path) -> Lock:
    """The content of a lock file.

    Raises:
        ManifestError: it is missing, damaged, or of a later version.
    """
    try:
        record = read_json(path, "lock file that `acrank zoo lock` wrote")
        if not isinstance(record, dict) or record.get("kind") != KIND or _version_of(record) != VERSION:
            raise TableError(f"{path} is no lock file of version {VERSION}")
        return validated(
            Lock, {name: value for name, value in record.items() if name not in ("kind", "schema_version")}
        )
    except (TableError, ValueError) as error:
        missing = "" if path.exists() else "there is no lock: "
        raise ManifestError(f"{missing}{error}", hint="run `acrank zoo lock`") from error


def _version_of(record: dict[str, Any]) -> int | None:
    """The schema version of a lock file; None where it is no whole number, such as true."""
    found = record.get("schema_version")
    return found if type(found) is int else None


def locked_zoo(zoo: Zoo) -> Zoo:
    """The zoo as it was locked: the same candidates, hub sources without a revision at the locked one.

    Raises:
        ManifestError: there is no lock file, or a candidate is not in it or differs from it; the message names each
            with what changed.
    """
    lock = read_lock(lock_path(zoo.path))
    candidates, problems = [], []
    for candidate in zoo.candidates:
        known = lock.models.get(candidate.id)
        pinned = _pinned(candidate, known)
        candidates.append(pinned)
        try:
            changes = ["not in the lock"] if known is None else list(_changes(candidate, pinned, known))
        except AcrankError as error:
            changes = [error.message]
        problems += [f"{candidate.id}: {change}" for change in changes]
    if problems:
        raise ManifestError(f"{zoo.path} differs from its lock: {'; '.join(problems)}", hint=_AGAIN)
    return replace(zoo, candidates=tuple(candidates))


def _changes(candidate: Candidate, pinned: Candidate, known: LockedCandidate) -> Iterator[str]:
    if candidate.digest != known.entry:
        yield "its manifest entry changed"
        return
    now = _as_it_is(pinned)
    for name in sorted({*known.files, *now.files}):
        before, after = known.files.get(name), now.files.get(name)
        if before is None:
            yield f"{name} is new"
        elif after is None:
            yield f"{name} is gone"
        elif before != after:
            yield f"{name} changed (locked {before[:12]}, now {after[:12]})"


def _pinned(candidate: Candidate, known: LockedCandidate | None) -> Candidate:
    """A candidate of a hub repository at the locked revision, where its entry names none."""
    source = candidate.source or ""
    if known is None or known.revision is None or "@" in source or source.partition(":")[0] not in _HUBS:
        return candidate
    return candidate.model_copy(update={"source": f"{source}@{known.revision}"})


def _as_it_is(candidate: Candidate) -> LockedCandidate:
    """What a candidate is now.

    Raises:
        CandidateError, ManifestError: a file is missing or cannot be read, or a hub cannot be reached.
    """
    named, revision = _weights_of(candidate)
    if candidate.factory:
        paths = code_files(candidate.factory[0], candidate.folder)
        if not paths:
            raise ManifestError(f"the module {candidate.factory[0]!r} of its factory is not found")
        named |= {_name_of(path, candidate.folder): path for path in paths}
    try:
        files = {name: sha256_of(path) for name, path in named.items()}
    except OSError as error:
        raise ManifestError(f"cannot read {error.filename}: {error.strerror}") from error
    return LockedCandidate(entry=candidate.digest, revision=revision, files=files)


def _weights_of(candidate: Candidate) -> tuple[dict[str, Path], str | None]:
    """Name -> file of the weights and of the configuration beside them; the commit where they are from a hub."""
    if candidate.weights_path:
        return {str(candidate.weights): candidate.weights_path}, None
    from acrank.zoo.hub import config_file, resolve_recipe, weights_in  # loads timm where it has to

    if candidate.local_dir:
        paths = [config_file(candidate.local_dir), weights_in(candidate.local_dir)]
        return {path.name: path for path in paths}, None
    weights = resolve_recipe(candidate).weights
    found = _SNAPSHOT.search(weights.as_posix())
    config = weights.parent / "config.json"
    named = {weights.name: weights} | ({config.name: config} if found and config.is_file() else {})
    return named, found[1] if found else None


def _name_of(path: Path, folder: Path) -> str:
    """A file's name from the manifest's folder on; that of an installed module alone."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
