"""Plain data, as JSON holds it: written without NaN, read against declared types."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from acrank.errors import TableError

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
        TableError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    except ValueError as error:
        raise TableError(f"{path} is not JSON: {error}", hint=f"give the {expected}") from error


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
    """Plain data as an instance of a dataclass, every field of its declared type.

    Raises:
        ValueError: it is not; the text is one line, with the place of the first problem.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, found['loc'])) or 'record'}: {found['msg']}") from error
