"""Plain data, as JSON holds it: written without NaN, read against declared types."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from acrank.errors import TableError
from acrank.system.bounds import read_bounded
from acrank.system.words import shortened

#: Records nest no deeper.
DEEPEST = 32
#: Whole numbers of records have no more: every one of them is a float, too.
_MOST_BITS = 1000

Kind = TypeVar("Kind")


def dumps(record: Any) -> str:
    """JSON as acrank writes it: indented, UTF-8, no NaN, ending in a newline."""
    return json.dumps(plain(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path, expected: str) -> Any:
    """The content of a JSON file.

    Args:
        path: of the file.
        expected: what it should be, for the hint.

    Raises:
        TableError: it cannot be read, is not JSON, is nested too deeply, names an entry twice, or holds a number that
            is not finite.
    """
    text = read_bounded(path, TableError)
    try:
        data = json.loads(text, object_pairs_hook=_each_once)
        check_plain(data)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise TableError(f"{path} is not JSON: {reason}", hint=f"give the {expected}") from error
    return data


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The entries of a JSON object; ValueError where a name is there twice, as readers differ in which they take."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shortened(name, 80)!r} is there twice in one object")
        found[name] = value
    return found


def check_plain(data: Any) -> None:
    """Hold plain data against what a record may have: bounded nesting, finite numbers that are no larger than floats.

    Raises:
        ValueError: it is nested too deeply, or has NaN, an infinity or an enormous number; the text names the place.

    Example:
        >>> check_plain({"rows": [{"seconds": float("inf")}]})
        Traceback (most recent call last):
        ...
        ValueError: rows.0.seconds: inf is not a finite number
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), data)]
    while waiting:
        place, value = waiting.pop()
        if len(place) > DEEPEST:
            raise ValueError(f"{'.'.join(place[:3])}: nested more than {DEEPEST} levels deep")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{'.'.join(place) or 'record'}: {value} is not a finite number")
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueError(f"{'.'.join(place) or 'record'}: a number of {value.bit_length()} bits")
        if isinstance(value, Mapping):
            waiting += [((*place, str(key)), item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [((*place, str(number)), item) for number, item in enumerate(value)]


def plain(value: Any) -> Any:
    """Mappings, sequences and scalars as JSON has them; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def validated(kind: type[Kind], data: Any) -> Kind:
    """Plain data as an instance of a dataclass, every field of its declared type, as the JSON schema has it.

    Nothing is converted, but whole numbers to floats and lists to tuples.

    Raises:
        ValueError: it is not; the text is one line, with the place of the first problem.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        text = json.dumps(data)
    except TypeError as error:
        raise ValueError(f"it holds what JSON lacks: {error}") from error
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, found['loc'])) or 'record'}: {found['msg']}") from error
