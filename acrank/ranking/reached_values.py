"""The values that reach each network: those of the images that were decoded, after its normalisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from acrank.errors import TableError
from acrank.records import Row
from acrank.system.plain_data import validated
from acrank.targets.doubts import USUAL_DEVIATION, deviation_warning
from acrank.targets.understanding import ValueSummary


def reached_values(target: Mapping[str, Any], row: Row) -> ValueSummary | None:
    """The values that reach a candidate, None where they are not known.

    Args:
        target: description of a target, as run records have it.
        row: of the candidate.

    Raises:
        TableError: the description is damaged.

    Example:
        >>> reached_values({}, Row("a", "scored")) is None
        True
    """
    shown = row.details.input or {}
    values = _understood(target).get("values")
    if values is None or not shown.get("mean"):
        return None
    try:
        return validated(ValueSummary, values).normalised(shown["mean"], shown["std"])
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise TableError(f"the record's values are damaged: {error}", hint="run `acrank score` again") from error


def with_reached_values(target: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The description of a target with the values that reach the first candidate of which they are known."""
    for row in rows:
        if (found := reached_values(target, row)) is not None:
            reached = {"model": row.model, **dataclasses.asdict(found)}
            return {**target, "understood": {**_understood(target), "normalised": reached}}
    return target


def target_warnings(target: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """What is unlikely about a target, and about the values that reach networks."""
    low, high = USUAL_DEVIATION
    found = {row.model: reached_values(target, row) for row in rows}
    odd = {model: values.deviation for model, values in found.items() if values and not low <= values.deviation <= high}
    out = [str(text) for text in _understood(target).get("warnings", [])]
    if odd:
        out.append(deviation_warning(next(iter(odd.values())), list(odd)))
    return out


def _understood(target: Mapping[str, Any]) -> dict[str, Any]:
    found = target.get("understood")
    return found if isinstance(found, dict) else {}
