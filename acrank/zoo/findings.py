"""What a checkpoint is, and how sure that is: its entry for a manifest, or why it has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from acrank.errors import AcrankError
from acrank.zoo.architectures.recognition import Recognised, has_decoder, recognise
from acrank.zoo.architectures.siblings import computing_otherwise
from acrank.zoo.contents import shapes_by_key
from acrank.zoo.entries import Entry, input_line
from acrank.zoo.file_faults import blamed_on
from acrank.zoo.fingerprint_index import Index
from acrank.zoo.fingerprints import Shape
from acrank.zoo.identification import Match, copy_rank, identify, nearest, of_the_same_form
from acrank.zoo.loading import check_candidate
from acrank.zoo.schema import Candidate
from acrank.zoo.weights import kind_of

#: Suffixes of weights: a file that has one is named even where it cannot be read.
_SUFFIXES = {
    *(".pth", ".pt", ".ckpt", ".safetensors", ".bin", ".th", ".tar", ".pkl", ".pickle", ".model", ".weights"),
    *(".h5", ".hdf5", ".keras", ".onnx", ".tflite", ".pb", ".gguf", ".msgpack", ".npz"),
}
_GUESSES = 3

Contents = dict[str, dict[str, Shape]]


@dataclass(frozen=True)
class Finding:
    """One file of a scan.

    Attributes:
        path: of the file.
        kind: whether its entry is sure, a guess that stands in comments, or missing.
        entries: to write; several where a guess has several.
        why: for comments, one line each.
        twins: architectures with the same tensors and other layers, which the file may be of as well.
        has_tensors: whether an unknown file could be read, and no known network has its tensors.
    """

    path: Path
    kind: Literal["sure", "guessed", "unknown"]
    entries: tuple[Entry, ...] = ()
    why: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    has_tensors: bool = False


def finding_of(path: Path, index: Index, encoders: Callable[[], Index]) -> Finding | None:
    """What is known of a file, None where it is no checkpoint.

    Args:
        path: of a regular file.
        index: of known architectures.
        encoders: gives the index of segmentation-models-pytorch's encoders; asked where the file may have one.
    """
    try:
        kind_of(path)
    except AcrankError as error:
        if path.suffix.lower() not in _SUFFIXES:
            return None
        return Finding(path, "unknown", why=_reasons(error, path))
    if not str(path).isprintable():
        return Finding(path, "unknown", why=("its name has characters that a manifest cannot hold: rename it",))
    try:
        with blamed_on(path):
            return _of_contents(path, shapes_by_key(path), index, encoders=encoders)
    except AcrankError as error:
        return Finding(path, "unknown", why=_reasons(error, path))


def _of_contents(path: Path, contents: Contents, index: Index, *, encoders: Callable[[], Index]) -> Finding:
    found = [(key, match) for key, shapes in contents.items() for match in identify(shapes, index, path.stem)]
    matched = _checked(_of_matches(path, contents, found)) if found else None
    if matched is not None and matched.kind == "sure":
        return matched
    whole = _of_library(path, contents, encoders)
    return whole or matched or _of_the_same_form(path, contents, index) or _unknown(path, contents, index)


def _of_library(path: Path, contents: Contents, encoders: Callable[[], Index]) -> Finding | None:
    """The entry of a library's network that has all of the file's tensors."""
    for key, shapes in contents.items():
        network = recognise(shapes, encoders() if has_decoder(shapes) else Index([]))
        if network is not None:
            return _checked(_of_network(path, shapes, key, network=network))
    return None


def _reasons(error: AcrankError, path: Path) -> tuple[str, ...]:
    message = error.message.replace(f"{path} ", "", 1)
    return (message, error.hint) if error.hint else (message,)


def _of_matches(path: Path, contents: Contents, found: list[tuple[str, Match]]) -> Finding:
    """The entry of the best copy, or a guess for each where several are alike."""
    ranks = [copy_rank(f"{key}.{match.prefix}") for key, match in found]
    best = [one for one, rank in zip(found, ranks, strict=True) if rank == min(ranks)]
    entries = tuple(_entry(contents[key], key, match) for key, match in best[:_GUESSES])
    if len(best) > 1:
        places = ", ".join(f"`{_place(key, match)}`" for key, match in best)
        return Finding(path, "guessed", entries, why=(f"it holds several networks: {places}; keep one",))
    match = best[0][1]
    twins = () if match.is_named else tuple(computing_otherwise(match.fingerprint.name, match.same))
    why = _notes(match, twins)
    if others := [f"`{_place(*one)}`" for one in found if one != best[0]]:
        why.append(f"copies that are not used: {', '.join(others)}")
    if match.beside:
        tops = ", ".join(dict.fromkeys(_beginning(name) for name in match.beside))
        why.insert(0, f"tensors beside this network that would not be used: {len(match.beside)}, under {tops}")
    return Finding(path, "guessed" if match.beside else "sure", entries, why=tuple(why), twins=twins)


def _entry(shapes: dict[str, Shape], key: str, match: Match) -> Entry:
    one = match.fingerprint
    keys = _place_keys(shapes, key, match.prefix) | {
        "in_chans": match.channels if match.channels != one.channels else 0
    }
    return Entry(one.name, {name: value for name, value in keys.items() if value})


def _place_keys(shapes: dict[str, Shape], key: str, prefix: str) -> dict[str, Any]:
    """Where the tensors are in the file, in the manifest's terms; empty values where nothing need be said."""
    beyond = any(not name.startswith(prefix) for name in shapes)
    return {"weights_key": key, "keep_prefix": prefix if beyond else "", "strip_prefix": prefix}


def _of_network(path: Path, shapes: dict[str, Shape], key: str, *, network: Recognised) -> Finding:
    keys = {"factory_args": network.args, **_place_keys(shapes, key, network.prefix), "in_chans": network.channels}
    entry = Entry(network.architecture, {name: value for name, value in keys.items() if value})
    why = (*network.doubts, "every tensor has its place in the network", *input_line(network.architecture))
    return Finding(path, "guessed" if network.doubts else "sure", (entry,), why=why)


def _notes(match: Match, twins: Sequence[str]) -> list[str]:
    classes = f"head of {match.classes} classes" if match.classes else "no head"
    notes = [f"all {match.fingerprint.size} tensors of the backbone, {classes}"]
    if alike := [name for name in match.same if name not in twins]:
        named = f"; the file's name says {match.fingerprint.name}" if match.is_named else ""
        notes.append(f"the same names and shapes: {', '.join(alike)}{named}")
    if twins:
        notes.append(f"the same names and shapes, but other layers (does the file come from one?): {', '.join(twins)}")
    return [*notes, *input_line(match.fingerprint.name)]


def _place(key: str, match: Match) -> str:
    return ".".join(part for part in (key, match.prefix.removesuffix(".")) if part) or "the outermost names"


def _beginning(name: str) -> str:
    return name.partition(".")[0]


def _checked(finding: Finding) -> Finding:
    """The finding, as a guess where acrank would not load a sure one."""
    if finding.kind != "sure":
        return finding
    entry = finding.entries[0]
    try:
        check_candidate(_candidate(finding.path, entry))
    except AcrankError as error:
        return replace(finding, kind="guessed", why=(*_reasons(error, finding.path), *finding.why))
    return finding


def _candidate(path: Path, entry: Entry) -> Candidate:
    record: dict[str, Any] = {
        "id": "scanned",
        "architecture": entry.architecture,
        "weights": path.name,
        "folder": path.parent,
    }
    return Candidate.model_validate(record | dict(entry.keys))


def _of_the_same_form(path: Path, contents: Contents, index: Index) -> Finding | None:
    """An architecture whose shapes fit and whose names acrank translates."""
    for key, shapes in contents.items():
        fitting = []
        for name in of_the_same_form(shapes, index):
            entry = Entry(name, {"weights_key": key} if key else {})
            try:
                check_candidate(_candidate(path, entry))
            except AcrankError:
                continue
            fitting.append(entry)
        if len(fitting) == 1:
            why = "names of another layout, which acrank translates"
            return Finding(path, "sure", (fitting[0],), why=(why, *input_line(fitting[0].architecture)))
        if fitting:
            why = "names of another layout, which acrank translates for several architectures; keep one"
            return Finding(path, "guessed", tuple(fitting[:_GUESSES]), why=(why,))
    return None


def _unknown(path: Path, contents: Contents, index: Index) -> Finding:
    shapes = max(contents.values(), key=len)
    near = nearest(shapes, index)
    names = ", ".join(list(shapes)[:3])
    if near is None:
        text = f"no known network is like it; tensors: {len(shapes)}, named like {names}"
        return Finding(path, "unknown", why=(text,), has_tensors=True)
    text = f"nearest is {near.name} ({near.found} of {near.size} tensors); named like {names}"
    return Finding(path, "unknown", why=(text,), has_tensors=True)
