"""`model_zoo.yaml`: the candidates of a run. Light to import: no torch, no timm."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from acrank.errors import ManifestError, UsageError
from acrank.system.bounds import read_bounded
from acrank.system.files import is_there, sha256_of
from acrank.system.notebook import first_lines, short_name
from acrank.system.words import closest
from acrank.system.yaml_reader import MOST_YAML, Document, Place, Problem, read_yaml
from acrank.zoo.manifests_beside import hint_of_missing
from acrank.zoo.schema import Candidate, ManifestInput

__all__ = ["Candidate", "ManifestInput", "Zoo", "check_zoo", "load_zoo"]

_FOLDER = "folder"  # a field of every candidate, but no key of the manifest
_FIELDS = tuple(name for name in Candidate.model_fields if name != _FOLDER)
_INPUT_FIELDS = tuple(ManifestInput.model_fields)
_TOP = ("version", "defaults", "models")
_OWN_ID = "every model needs its own id"


@dataclass(frozen=True)
class Zoo:
    """The candidates of a manifest, or of a part of it.

    Attributes:
        candidates: in the order of the file, ids unique.
        path: of the manifest.
        sha256: of the manifest's bytes.
        shard: "2/8" where this is the second of eight parts, else empty.
        whole: number of candidates of all shards together; 0 where this is no shard.
    """

    candidates: tuple[Candidate, ...]
    path: Path
    sha256: str
    shard: str = ""
    whole: int = 0

    def __repr__(self) -> str:
        part = f", part {self.shard}" if self.shard else ""
        count = f"{len(self.candidates)} candidate{'' if len(self.candidates) == 1 else 's'}"
        names = [f"{short_name(one.id)}: {short_name(one.network)}" for one in self.candidates]
        return "\n".join([f"<Zoo {short_name(str(self.path))}{part}: {count}", *first_lines(names)]) + ">"

    def select(self, ids: Sequence[str] = (), tags: Iterable[str] = ()) -> Zoo:
        """The candidates that any of `ids` names and that carry all of `tags`; an empty argument selects all.

        An id is taken literally first, then as a pattern with `*`, `?` and `[]`.

        Raises:
            UsageError: no candidate has an id or a tag, or none has all of them.
        """
        known = [candidate.id for candidate in self.candidates]
        wanted = {name for pattern in ids for name in self._matching(pattern, known)} if ids else set(known)
        tags = tuple(tags)
        known_tags = sorted({tag for candidate in self.candidates for tag in candidate.tags})
        for tag in tags:
            if tag not in known_tags:
                raise UsageError(f"no model of {self.path} has the tag {tag!r}", hint=_closest(tag, known_tags))
        kept = tuple(c for c in self.candidates if c.id in wanted and set(tags) <= set(c.tags))
        if not kept:
            raise UsageError(f"no model of {self.path} has all of these: {', '.join([*ids, *tags])}")
        return replace(self, candidates=kept)

    def part(self, number: int, of: int) -> Zoo:
        """One of `of` parts, numbered from 1: every `of`-th candidate, so that similar neighbours are spread.

        Raises:
            UsageError: `number` is not in [1, of], or the part is empty.
        """
        if not 1 <= number <= of:
            raise UsageError(f"there is no shard {number}/{of}", hint=f"the first is 1/{of}, the last {of}/{of}")
        if number > len(self.candidates):
            text = f"shard {number}/{of} is empty: {len(self.candidates)} candidates"
            raise UsageError(text, hint="use fewer shards than candidates")
        kept = self.candidates[number - 1 :: of]
        return replace(self, candidates=kept, shard=f"{number}/{of}", whole=len(self.candidates))

    def _matching(self, pattern: str, ids: list[str]) -> list[str]:
        found = [pattern] if pattern in ids else [name for name in ids if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise UsageError(f"no model {pattern!r} in {self.path}", hint=_closest(pattern, ids))
        return found


def load_zoo(path: str | Path) -> Zoo:
    """The candidates of a manifest.

    Raises:
        ManifestError: the file cannot be read, is not YAML or does not follow the schema; the message names the file,
            line and model of the first problem, and counts the others.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "model_zoo.yaml"
        >>> _ = file.write_text("version: 1\\nmodels:\\n  - {id: a, source: resnet18.a1_in1k}\\n")
        >>> [candidate.id for candidate in load_zoo(file).candidates]
        ['a']
    """
    zoo, problems = check_zoo(path)
    if problems:
        first, count = problems[0], len(problems) - 1
        more = f" (and {count} more problem{'s' if count > 1 else ''})" if count else ""
        hint = "`acrank zoo validate` lists all problems" if more else "see docs/own-zoo.md for the manifest's keys"
        raise ManifestError(f"{location(zoo.path, first)}: {first}{more}", hint=first.hint or hint)
    return zoo


def check_zoo(path: str | Path) -> tuple[Zoo, list[Problem]]:
    """The valid candidates of a manifest, and every problem with the others, in the order of the file.

    Raises:
        ManifestError: the file cannot be read, or is not UTF-8.
    """
    path = Path(path)
    try:
        document = read_yaml(read_bounded(path, ManifestError, most=MOST_YAML))
    except ManifestError as error:
        if is_there(path):
            raise
        raise ManifestError(error.message, hint=hint_of_missing(path)) from error
    problems = list(document.problems)
    candidates: list[Candidate] = []
    if document.data is not None or not problems:
        problems += _check_top(document)
        candidates = _candidates(document, path.resolve().parent, problems)
    unique = sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0)
    try:
        return Zoo(tuple(candidates), path, sha256_of(path)), unique
    except OSError as error:  # it was taken away meanwhile
        raise ManifestError(f"cannot read {path}: {error.strerror}", hint="check the path") from error


def location(path: Path, problem: Problem) -> str:
    """`file:line`, or the file alone where the line is unknown."""
    return f"{path}:{problem.line}" if problem.line else str(path)


def _check_top(document: Document) -> list[Problem]:
    """Problems of the file's outer structure."""
    top = document.data
    if not isinstance(top, dict):
        return [Problem(1, "", "is not a mapping with `version` and `models`", hint="begin with `version: 1`")]
    problems = [_unknown(document, (str(key),), known=_TOP) for key in top if key not in _TOP]
    if type(top.get("version")) is not int or top["version"] != 1:
        text = f"`version` is {top['version']!r}" if "version" in top else "`version` is missing"
        problems.append(document.problem(("version",), text, hint="this acrank reads `version: 1`"))
    if not isinstance(top.get("models"), list) or not top["models"]:
        problems.append(document.problem(("models",), "`models` must be a list of at least one model"))
    if not isinstance(top.get("defaults", {}), dict):
        problems.append(document.problem(("defaults",), "`defaults` must be a mapping"))
    elif "id" in top.get("defaults", {}):
        problems.append(document.problem(("defaults", "id"), "`id` has no default", where="defaults"))
    return problems


def _candidates(document: Document, folder: Path, problems: list[Problem]) -> list[Candidate]:
    """The valid models; the problems of the others are added to `problems`."""
    top = document.data if isinstance(document.data, dict) else {}
    defaults = top["defaults"] if isinstance(top.get("defaults"), dict) else {}
    models = top["models"] if isinstance(top.get("models"), list) else []
    out = []
    for i, raw in enumerate(models):
        if not isinstance(raw, dict):
            problems.append(document.problem(("models", i), "is not a mapping", where=f"model {i + 1}"))
            continue
        merged = {key: value for key, value in defaults.items() if key != "id"} | raw
        try:
            out.append(Candidate.model_validate({_FOLDER: folder} | merged))
        except ValidationError as error:
            problems += [_problem(document, i, item) for item in error.errors()]
    problems += _duplicates(document, models)
    return out


def _duplicates(document: Document, models: list[Any]) -> list[Problem]:
    lines: dict[str, list[int | None]] = {}
    for i, raw in enumerate(models):
        if isinstance(raw, dict) and isinstance(raw.get("id"), str):
            lines.setdefault(raw["id"], []).append(document.line_of(("models", i, "id")))
    return [
        Problem(found[1], "", f"duplicate id {name!r} on lines {', '.join(map(str, found))}", hint=_OWN_ID)
        for name, found in lines.items()
        if len(found) > 1
    ]


def _problem(document: Document, i: int, item: Any) -> Problem:
    """One pydantic error in the manifest's terms, at its place in the file."""
    keys: Place = tuple(key for key in item["loc"] if isinstance(key, str | int))
    raw = document.data["models"][i]
    place, where = ("models", i, *keys), f"model {raw['id']!r}" if "id" in raw else f"model {i + 1}"
    if keys and keys[0] not in raw and keys[0] in (document.data.get("defaults") or {}):
        place, where = ("defaults", *keys), "defaults"
    if item["type"] == "extra_forbidden" or keys == (_FOLDER,):
        return _unknown(document, place, known=_INPUT_FIELDS if keys[0] == "input" else _FIELDS, where=where)
    text = item["msg"].removeprefix("Value error, ")
    text = text[0].lower() + text[1:] if text.startswith(("Input", "Field")) else text
    named = f"`{'.'.join(str(key) for key in keys)}`: " if keys else ""
    is_plain = item["type"] == "string_type" and not isinstance(item["input"], dict | list)
    hint = f"put it in quotes: '{item['input']}'" if is_plain else None
    return document.problem(place, named + text, where=where, hint=hint)


def _unknown(document: Document, place: Place, *, known: Sequence[str], where: str = "") -> Problem:
    key = str(place[-1])
    return document.problem(place, f"unknown key {key!r}", where=where, hint=_closest(key, known))


def _closest(word: str, known: Sequence[str]) -> str:
    return closest(word, known, f"known: {', '.join(known[:20])}" if known else "there is none")
