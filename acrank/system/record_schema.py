"""Run records as plain data: what their types do not say, and earlier schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from acrank.errors import TableError
from acrank.system.words import shortened

#: Columns of a score table that are never scores.
RESERVED = frozenset(
    {"rank", "band", "model", "status", "params", "seconds", "reason", "dataset", "family", "half", "method", "seed"}
    | {"split", "ground_truth", "ground_truth_se", "metric", "task", "cluster"}
    | {"refined", "refined_low", "refined_high", "epochs", "untrained"}
    | {"score_share", "earlier", "earlier_targets", "earlier_same_task", "earlier_weight"}
)
#: How the columns of an interval's ends are called, behind the name of what it is of.
INTERVAL = ("_low", "_high")
#: How the warnings of schema 1 began that are about the run; its other warnings were notes on the target.
_OLD_WARNINGS = re.compile(r"shuffled labels give|\d+ skipped: |the cache could not be written")


def body_of(record: Any, kind: str, version: int, *, where: str) -> dict[str, Any]:
    """The fields of a run record in the present schema; of schema 1 (acrank 0.2.0) they are brought into it.

    Raises:
        TableError: no record of this kind, or one of another schema.
    """
    if not isinstance(record, dict) or record.get("kind") != kind:
        raise TableError(f"{where} is not a run record", hint="give the run.json that `acrank score` wrote")
    found = record.get("schema_version")
    if type(found) is not int or found not in (1, version):
        raise TableError(
            f"{where} has schema version {shortened(repr(found), 80)}, this acrank reads 1 and {version}",
            hint="use the acrank version that wrote it, or run `acrank score` again",
        )
    body = {name: value for name, value in record.items() if name not in ("kind", "schema_version")}
    return from_schema_1(body) if found == 1 else body


def check_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Hold the rows of a record against what their types do not say.

    Args:
        rows: plain data whose types were checked.

    Raises:
        ValueError: a model without a name or listed twice, or a number out of range; the text names the place.

    Example:
        >>> check_rows([{"model": "a"}, {"model": "a"}])
        Traceback (most recent call last):
        ...
        ValueError: rows.1.model: 'a' is listed twice
    """
    known: set[str] = set()
    for place, row in enumerate(rows):
        model = row["model"]
        if not model or model in known:
            raise ValueError(f"rows.{place}.model: " + (f"{model!r} is listed twice" if model else "is empty"))
        known.add(model)
        for name in ("params", "seconds"):
            if (row.get(name) or 0) < 0:
                raise ValueError(f"rows.{place}.{name}: {row[name]} is negative")
        for name, value in row.get("scores", {}).items():
            if (value.get("sd") or 0) < 0:
                raise ValueError(f"rows.{place}.scores.{name}.sd: {value['sd']} is negative")
            _check_ends(value, f"rows.{place}.scores.{name}")
        _check_ends(row.get("refined") or {}, f"rows.{place}.refined")
        if (prior := row.get("prior")) and not is_prior(prior):
            raise ValueError(f"rows.{place}.prior: {prior['value']} on {prior['targets']} targets is out of range")
        if not all(type(layer.get("channels")) is int for layer in row.get("layers", [])):
            raise ValueError(f"rows.{place}.layers: a layer has no number of channels")


def _check_ends(found: Mapping[str, Any], place: str) -> None:
    """Refuse an interval whose ends are the wrong way round."""
    low, high = found.get("low"), found.get("high")
    if low is not None and high is not None and low > high:
        raise ValueError(f"{place}.low: {low} lies above high, {high}")


def is_prior(prior: Mapping[str, Any]) -> bool:
    """Whether plain data can be what earlier targets say of a candidate: a share, and numbers of targets that fit.

    >>> is_prior({"value": 0.5, "targets": 3}), is_prior({"value": 0.5, "targets": 3, "same_task": 4})
    (True, False)
    """
    targets, same_task = prior["targets"], prior.get("same_task", 0)
    return bool(0 <= prior["value"] <= 1 and targets >= 1 and 0 <= same_task <= targets)


def from_schema_1(body: dict[str, Any]) -> dict[str, Any]:
    """A record's body as schema 2 has it: flat settings, notes apart from warnings."""
    settings, warnings = body.get("settings"), body.get("warnings", [])
    if isinstance(settings, dict) and isinstance(protocol := settings.get("protocol"), dict):
        flat = {name: value for name, value in protocol.items() if name not in ("name", "epochs", "rank_by")}
        settings = {**settings, **flat, "protocol": protocol.get("name")}
    if not isinstance(warnings, list) or not all(isinstance(text, str) for text in warnings):
        return {**body, "settings": settings}
    about_run = [text for text in warnings if _OLD_WARNINGS.match(text)]
    notes = [text for text in warnings if text not in about_run]
    return {**body, "settings": settings, "notes": notes, "warnings": about_run}
