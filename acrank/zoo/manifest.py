"""`model_zoo.yaml`: the candidates of a run. Light to import: no torch, no timm."""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from acrank.errors import ManifestError, UsageError
from acrank.system.yaml_reader import Document, Place, Problem, read_yaml
from acrank.zoo.schema import Candidate, ManifestInput

__all__ = ["Candidate", "ManifestInput", "Zoo", "check_zoo", "load_zoo"]

_FOLDER = "folder"  # a field of every candidate, but no key: what YAML can say of it is never a Path
_FIELDS = tuple(name for name in Candidate.model_fields if name != _FOLDER)
_INPUT_FIELDS = tuple(ManifestInput.model_fields)
_TOP = ("version", "defaults", "models")


@dataclass(frozen=True)
class Zoo:
    """A manifest that was read.

    Attributes:
        candidates: in the order of the file, ids unique.
        path: the manifest.
        sha256: of the manifest's bytes.
        shard: "2/8" where this is the second of eight parts, else empty.
        whole: how many candidates all shards have together; 0 where this is no shard.
    """

    candidates: tuple[Candidate, ...]
    path: Path
    sha256: str
    shard: str = ""
    whole: int = 0

    def select(self, ids: Sequence[str] = (), tags: Iterable[str] = ()) -> Zoo:
        """The candidates that any of `ids` names and that carry all of `tags`; an empty argument selects all.

        An id is taken literally first, then as a pattern with `*`, `?` and `[]`.

        Raises:
            UsageError: an id or a tag that no candidate has, or nothing left.
        """
        wanted = {name for pattern in ids for name in self._named(pattern)} if ids else set(self._ids())
        tags = tuple(tags)
        for tag in tags:
            self._known_tag(tag)
        kept = tuple(c for c in self.candidates if c.id in wanted and set(tags) <= set(c.tags))
        if not kept:
            raise UsageError(f"no model of {self.path} has all of these: {', '.join([*ids, *tags])}")
        return replace(self, candidates=kept)

    def part(self, number: int, of: int) -> Zoo:
        """One of `of` parts, numbered from 1: every `of`-th candidate, so that neighbours of a kind are spread.

        Raises:
            UsageError: there is no such part, or no candidate is in it.
        """
        if not 1 <= number <= of:
            raise UsageError(f"there is no shard {number}/{of}", hint=f"the first is 1/{of}, the last {of}/{of}")
        if number > len(self.candidates):
            text = f"shard {number}/{of} is empty: {len(self.candidates)} candidates"
            raise UsageError(text, hint="use fewer shards than candidates")
        kept = self.candidates[number - 1 :: of]
        return replace(self, candidates=kept, shard=f"{number}/{of}", whole=len(self.candidates))

    def _ids(self) -> list[str]:
        return [candidate.id for candidate in self.candidates]

    def _named(self, pattern: str) -> list[str]:
        if pattern in self._ids():
            return [pattern]
        found = [name for name in self._ids() if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise UsageError(f"no model {pattern!r} in {self.path}", hint=_did_you_mean(pattern, self._ids()))
        return found

    def _known_tag(self, tag: str) -> None:
        known = sorted({tag for candidate in self.candidates for tag in candidate.tags})
        if tag not in known:
            raise UsageError(f"no model of {self.path} has the tag {tag!r}", hint=_did_you_mean(tag, known))


def load_zoo(path: str | Path) -> Zoo:
    """Read a manifest.

    Raises:
        ManifestError: the file cannot be read, is not YAML or does not follow the schema; the message has the file,
            the line and the model, and counts the problems beyond the first.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "model_zoo.yaml"
        >>> _ = file.write_text("version: 1\\nmodels:\\n  - {id: a, source: resnet18.a1_in1k}\\n")
        >>> [candidate.id for candidate in load_zoo(file).candidates]
        ['a']
    """
    zoo, problems = check_zoo(path)
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        more = more.replace("problems", "problem") if len(problems) == 2 else more
        hint = "`acrank zoo validate` lists all problems" if more else "see the README for the manifest's keys"
        raise ManifestError(f"{location(zoo.path, first)}: {first}{more}", hint=first.hint or hint)
    return zoo


def check_zoo(path: str | Path) -> tuple[Zoo, list[Problem]]:
    """The valid candidates of a manifest, and every problem with the rest, in the order of the file.

    Raises:
        ManifestError: the file cannot be read at all.
    """
    path = Path(path)
    raw = _bytes_of(path)
    try:
        document = read_yaml(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 text", hint="a manifest is YAML") from error
    problems = list(document.problems)
    candidates: list[Candidate] = []
    if document.data is not None or not problems:
        problems += _check_top(document)
        candidates = _candidates(document, path.resolve().parent, problems)
    unique = sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0)
    return Zoo(tuple(candidates), path, hashlib.sha256(raw).hexdigest()), unique


def location(path: Path, problem: Problem) -> str:
    """`file:line`, or the file alone where the line is unknown."""
    return f"{path}:{problem.line}" if problem.line else str(path)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"cannot read {path}: {error.strerror}", hint="name the manifest with --zoo") from error


def _check_top(document: Document) -> list[Problem]:
    """What is wrong with the file's outer structure."""
    top = document.data
    if not isinstance(top, dict):
        return [Problem(1, "", "is not a mapping with `version` and `models`", "begin with `version: 1`")]
    problems = [_unknown(document, (str(key),), "", _TOP) for key in top if key not in _TOP]
    if type(top.get("version")) is not int or top["version"] != 1:
        text = f"`version` is {top['version']!r}" if "version" in top else "`version` is missing"
        problems.append(Problem(document.line_of(("version",)), "", text, "this acrank reads `version: 1`"))
    if not isinstance(top.get("models"), list) or not top["models"]:
        problems.append(Problem(document.line_of(("models",)), "", "`models` must be a list of at least one model"))
    if not isinstance(top.get("defaults", {}), dict):
        problems.append(Problem(document.line_of(("defaults",)), "", "`defaults` must be a mapping"))
    elif "id" in top.get("defaults", {}):
        problems.append(Problem(document.line_of(("defaults", "id")), "defaults", "`id` has no default"))
    return problems


def _candidates(document: Document, folder: Path, problems: list[Problem]) -> list[Candidate]:
    """The valid models; what is wrong with the others goes to `problems`."""
    top = document.data if isinstance(document.data, dict) else {}
    given = top.get("defaults")
    defaults = given if isinstance(given, dict) else {}
    models = top["models"] if isinstance(top.get("models"), list) else []
    out = []
    for i, raw in enumerate(models):
        if not isinstance(raw, dict):
            problems.append(Problem(document.line_of(("models", i)), f"model {i + 1}", "is not a mapping"))
            continue
        merged = {key: value for key, value in defaults.items() if key != "id"} | raw
        try:
            out.append(Candidate.model_validate({_FOLDER: folder} | merged))
        except ValidationError as error:
            problems += [_problem(document, i, raw, item) for item in error.errors()]
    problems += _duplicates(document, models)
    return out


def _duplicates(document: Document, models: list[Any]) -> list[Problem]:
    places: dict[str, list[int]] = {}
    for i, raw in enumerate(models):
        if isinstance(raw, dict) and isinstance(raw.get("id"), str):
            places.setdefault(raw["id"], []).append(i)
    problems = []
    for name, found in places.items():
        lines = [str(document.line_of(("models", i, "id"))) for i in found]
        if len(found) > 1:
            text = f"duplicate id {name!r} on lines {', '.join(lines)}"
            problems.append(Problem(int(lines[1]), "", text, "every model needs its own id"))
    return problems


def _problem(document: Document, i: int, raw: dict[str, Any], item: Any) -> Problem:
    """One pydantic error, said in the manifest's own words and at its place in the file."""
    keys: Place = tuple(key for key in item["loc"] if isinstance(key, str | int))
    own = not keys or keys[0] in raw or keys[0] not in (document.data.get("defaults") or {})
    where = f"model {raw['id']!r}" if "id" in raw else f"model {i + 1}"
    place = ("models", i, *keys) if own else ("defaults", *keys)
    where = where if own else "defaults"
    if item["type"] == "extra_forbidden" or keys == (_FOLDER,):
        return _unknown(document, place, where, _INPUT_FIELDS if keys[0] == "input" else _FIELDS)
    text = item["msg"].removeprefix("Value error, ")
    text = text[0].lower() + text[1:] if text.startswith(("Input", "Field")) else text
    named = f"`{'.'.join(str(key) for key in keys)}`: " if keys else ""
    return Problem(document.line_of(place), where, named + text, _hint(item))


def _hint(item: Any) -> str | None:
    if item["type"] == "string_type":
        return f"put it in quotes: '{item['input']}'"
    return None


def _unknown(document: Document, place: Place, where: str, known: Sequence[str]) -> Problem:
    key = str(place[-1])
    return Problem(document.line_of(place), where, f"unknown key {key!r}", _did_you_mean(key, known))


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    common = [name for name, _ in Counter(known).most_common(20)]
    return f"known: {', '.join(common)}" if common else "there is none"
