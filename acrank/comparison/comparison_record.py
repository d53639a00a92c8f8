"""Records of `acrank compare` as they are read again: types, ranges and what follows from other fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from acrank.comparison.plain_words import ENOUGH
from acrank.errors import TableError
from acrank.system.words import shortened

KIND = "acrank-comparison"
SCHEMA_VERSION = 1
_KINDS = ("score", "baseline", "random")
_TEXTS = ("versus", "verdict", "reason")
_FLAGS = ("higher_is_better", "better_flipped")
#: Figures from -1 to 1.
_CORRELATIONS = ("weighted_tau", "kendall_tau", "spearman", "pearson")
_ROUNDING = 1e-9


def check_comparison(record: Any) -> None:
    """Hold plain data against what `acrank compare` writes.

    Args:
        record: as read from JSON, its nesting bounded and its numbers finite.

    Raises:
        TableError: it is something else, or damaged; the message names the place.

    Example:
        >>> one = {"dataset": "", "score": "logme", "kind": "score", "n": 9, "weighted_tau": 1.5}
        >>> check_comparison({"kind": "acrank-comparison", "results": [one], "averages": []})
        Traceback (most recent call last):
        ...
        acrank.errors.TableError: the comparison is damaged: results.0.weighted_tau: 1.5 is not from -1 to 1
    """
    if not isinstance(record, Mapping) or record.get("kind") != KIND:
        raise TableError(
            "the comparison is no record of `acrank compare`",
            hint="write it with `acrank compare run.json --truth truth.csv -o comparison.json`",
        )
    version = record.get("schema_version", SCHEMA_VERSION)
    if type(version) is not int or version != SCHEMA_VERSION:
        raise TableError(
            f"the comparison has schema version {shortened(repr(version), 80)}, this acrank reads {SCHEMA_VERSION}",
            hint="use the acrank version that wrote it, or run `acrank compare` again",
        )
    problem = next(_problems(record), None)
    if problem:
        raise TableError(f"the comparison is damaged: {problem}", hint="run `acrank compare` again")


def _problems(record: Mapping[str, Any]) -> Iterator[str]:
    for name in ("verdict", "warnings"):
        if not _are_texts(record.get(name, [])):
            yield f"{name}: a list of texts is wanted"
    for name in ("results", "averages"):
        rows = record.get(name, [])
        if not isinstance(rows, list):
            yield f"{name}: a list is wanted"
            return
        known: set[tuple[Any, ...]] = set()
        for place, row in enumerate(rows):
            where = f"{name}.{place}"
            if not isinstance(row, Mapping):
                yield f"{where}: a mapping is wanted"
                return
            yield from (f"{where}.{problem}" for problem in _of_row(row))
            key = (row["dataset"], row["score"], row["kind"])
            if key in known:
                yield f"{where}.score: {row['score']!r} is there twice"
            known.add(key)


def _of_row(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("dataset", "score"):
        if not isinstance(row.get(name), str):
            yield f"{name}: a text is wanted"
    if row.get("kind") not in _KINDS:
        yield f"kind: {row.get('kind')!r} is none of {', '.join(_KINDS)}"
    if type(row.get("n")) is not int or row["n"] < 0:
        yield f"n: {row.get('n')!r} is no number of models"
    for name, value in row.items():
        low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
        if name not in ("dataset", "score", "kind", "n") and (problem := _of_value(name, value)):
            yield f"{name}: {problem}"
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield f"{name}_low: {low} lies above {name}_high, {high}"
    low, high, verdict = (row.get(name) for name in ("difference_low", "difference_high", "verdict"))
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return
    if verdict not in _verdicts(low, high, row.get("n")):
        yield f"verdict: {verdict!r} does not follow from the difference, {low} to {high}"


def _of_value(name: str, value: Any) -> str:
    """What is wrong with a value that may be None; empty where nothing is."""
    if name == "without_value":
        return "" if _are_texts(value) else "a list of texts is wanted"
    kind = str if name in _TEXTS else bool if name in _FLAGS else None
    if value is None or (kind and isinstance(value, kind)):
        return ""
    if kind or not _is_number(value):
        return f"{value!r} is no {'text' if kind is str else 'flag' if kind else 'number'}"
    is_correlation = name.removesuffix("_low").removesuffix("_high") in _CORRELATIONS
    if is_correlation and abs(value) > 1 + _ROUNDING:
        return f"{value} is not from -1 to 1"
    return f"{value} is not from 0 to 1" if name.endswith("_p") and not 0 <= value <= 1 else ""


def _verdicts(low: float, high: float, models: Any) -> set[str]:
    """What a difference may be called; among few models, earlier versions did not call every one undecided."""
    by_interval = "better" if low > 0 else "worse" if high < 0 else "undecided"
    return {by_interval, "undecided"} if type(models) is int and models < ENOUGH else {by_interval}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
