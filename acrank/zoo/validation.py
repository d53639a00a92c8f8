"""Checks of a zoo without loading a network: the schema, the files, their kinds and hashes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from acrank.errors import CandidateError
from acrank.system.yaml_reader import Problem
from acrank.zoo.hub import config_file, weights_in
from acrank.zoo.manifest import Candidate, Zoo, check_zoo
from acrank.zoo.weights import check_hash, kind_of


def validate_zoo(path: str | Path) -> tuple[Zoo, list[Problem]]:
    """The valid candidates of a manifest whose files are sound, and every problem with the others.

    A file must exist, be safetensors or written by torch.save, not be truncated, and have its `sha256` where one is
    given. Hub sources and timm's own names are not looked up. No torch is imported.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    zoo, problems = check_zoo(path)
    sound: list[Candidate] = []
    for candidate in zoo.candidates:
        try:
            _check_files(candidate)
            sound.append(candidate)
        except CandidateError as error:
            problems.append(Problem(None, f"model {candidate.id!r}", error.message, hint=error.hint))
    return replace(zoo, candidates=tuple(sound)), problems


def _check_files(candidate: Candidate) -> None:
    path = candidate.weights_path
    if candidate.local_dir:
        config_file(candidate.local_dir)
        path = weights_in(candidate.local_dir)
    if path is None:
        return
    kind_of(path)
    if candidate.sha256:
        check_hash(path, candidate.sha256)
