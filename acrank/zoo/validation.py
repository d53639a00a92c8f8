"""Checks of a zoo before a run: the schema, the files, their kinds, hashes and contents, and that they fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from acrank.errors import AcrankError
from acrank.system.yaml_reader import Problem
from acrank.zoo.archives import check_archive
from acrank.zoo.file_faults import blamed_on
from acrank.zoo.hub import config_file, weights_in
from acrank.zoo.manifest import Candidate, Zoo, check_zoo
from acrank.zoo.permissions import option_needed
from acrank.zoo.weights import check_globals, check_hash, kind_of


def validate_zoo(
    path: str | Path, on_candidate: Callable[[int, int, str], None] = lambda done, total, model: None
) -> tuple[Zoo, list[Problem]]:
    """The valid candidates of a manifest that will load, and every problem with the others.

    A file must exist, be safetensors or written by torch.save, be whole by its checksums, have its `sha256` where one
    is given, hold nothing that asks for code, and fit its network by names, shapes and values. A network that needs
    `--allow-code` or `--allow-download` is not built, see `options_needed`; hub sources and timm's own names are not
    looked up. torch is imported only where a local file's network is checked.

    Args:
        path: of the manifest.
        on_candidate: called before every candidate with how many are done, how many there are, and its id.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    zoo, problems = check_zoo(path)
    sound: list[Candidate] = []
    for done, candidate in enumerate(zoo.candidates):
        on_candidate(done, len(zoo.candidates), candidate.id)
        try:
            with blamed_on(candidate.weights_path or candidate.local_dir or candidate.id):
                _check(candidate)
            sound.append(candidate)
        except AcrankError as error:
            problems.append(Problem(None, f"model {candidate.id!r}", error.message, hint=error.hint))
    return replace(zoo, candidates=tuple(sound)), problems


def _check(candidate: Candidate) -> None:
    path = candidate.weights_path
    if candidate.local_dir:
        config_file(candidate.local_dir)
        path = weights_in(candidate.local_dir)
    if path is None:
        return
    kind_of(path)
    if candidate.sha256:
        check_hash(path, candidate.sha256)
    check_globals(path, candidate.weights_key)
    if option_needed(candidate):
        check_archive(path)
    else:
        from acrank.zoo.loading import check_candidate  # loads torch

        check_candidate(candidate)
