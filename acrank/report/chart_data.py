"""The numbers behind the charts: rows with short, fixed field names, whatever scores and models are called."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from acrank.formats.cells import visible
from acrank.system.words import shortened

if TYPE_CHECKING:
    from acrank.records import Ranking, Row

#: Characters of a model's name in a chart; its middle is left out.
_NAME = 48
_NAMES_APART = 0.06  # of the range of scores: names on the front that are nearer would cover each other
_DIGITS = 5  # significant digits of a number in a chart; the record has all
_LAYER_DIGITS = 3  # of the many numbers that are shown as colours


def ranked_rows(ranking: Ranking) -> list[Row]:
    """The rows that have a rank, best first."""
    return [row for row in ranking.rows if row.rank is not None]


def labels(rows: Sequence[Row]) -> list[str]:
    """What charts call ranked rows: rank and shortened name; no two are alike."""
    return [f"{row.rank}. {chart_name(row.model)}" for row in rows]


def chart_name(text: str) -> str:
    """A name as charts show it: one line of printable text, its middle left out where it is long.

    >>> chart_name("a" * 60) == "a" * 23 + "…" + "a" * 23
    True
    """
    return shortened(visible(text), _NAME)


def candidate_rows(ranking: Ranking, truth: Mapping[str, tuple[float, float | None]]) -> list[dict[str, Any]]:
    """One row per ranked candidate.

    Args:
        ranking: the run.
        truth: model -> (mean, standard error or None); empty where there is none.

    Returns:
        Rows with `m` (label), `r` (rank), `lead` (in the leading band), `p` (parameters), `t` (seconds), `g`, `gl`,
        `gh` (truth and its 95% interval), and for the i-th score `s<i>`, `l<i>`, `h<i>` (value and interval); after
        the scores the quality of a short training is one more. A field without a finite value is left out.
    """
    names, rows = ranking.score_names, ranked_rows(ranking)
    return [_candidate(row, label, names=names, truth=truth) for row, label in zip(rows, labels(rows), strict=True)]


def _candidate(
    row: Row, label: str, *, names: Sequence[str], truth: Mapping[str, tuple[float, float | None]]
) -> dict[str, Any]:
    found: dict[str, Any] = {"m": label, "r": row.rank, "lead": row.band in (None, 1), "p": row.params or None}
    found["t"] = short(row.cost or None)
    for i, name in enumerate(names):
        value = row.scores.get(name)
        if value is not None and (number := row.value(name)) is not None:
            found |= {f"s{i}": short(number), f"l{i}": short(value.low), f"h{i}": short(value.high)}
    if row.refined is not None and row.refined.quality is not None:
        last, trained = len(names), row.refined
        found |= {f"s{last}": short(trained.quality), f"l{last}": short(trained.low), f"h{last}": short(trained.high)}
    if row.model in truth:
        mean, error = truth[row.model]
        found["g"] = short(mean)
        if error:
            found |= {"gl": short(mean - 1.96 * error), "gh": short(mean + 1.96 * error)}
    return {field: value for field, value in found.items() if value is not None}


def short(number: float | None, digits: int = _DIGITS) -> float | None:
    """A number with few significant digits; None where it is not finite."""
    if number is None or not math.isfinite(number):
        return None
    return float(f"{number:.{digits}g}")


def pareto_front(rows: Sequence[Mapping[str, Any]], cost: str, *, higher: bool) -> list[dict[str, Any]]:
    """The rows that no other one beats in both cost and ranking score, cheapest first.

    Each has `east` and `named` beside its fields: on which side its name stands, and whether there is room for it.

    >>> rows = [{"p": 1, "s0": 1}, {"p": 2, "s0": 3}, {"p": 3, "s0": 2}, {"s0": 9}]
    >>> [row["p"] for row in pareto_front(rows, "p", higher=True)]
    [1, 2]
    """
    sign = 1.0 if higher else -1.0
    known = [row for row in rows if cost in row and "s0" in row]
    front: list[dict[str, Any]] = []
    for row in sorted(known, key=lambda row: (row[cost], -sign * row["s0"])):
        if not front or sign * row["s0"] > sign * front[-1]["s0"]:
            front.append(dict(row))
    return _with_places(front, known, cost)


def _with_places(front: list[dict[str, Any]], known: Sequence[Mapping[str, Any]], cost: str) -> list[dict[str, Any]]:
    """The front with where its names go: `east` of the middle they stand left of their point."""
    if not front:
        return []
    middle = math.sqrt(min(row[cost] for row in known) * max(row[cost] for row in known))
    heights = [row["s0"] for row in known]
    apart = _NAMES_APART * (max(heights) - min(heights))
    last = math.inf
    for row in reversed(front):
        row["east"] = row[cost] > middle
        row["named"] = abs(last - row["s0"]) >= apart
        last = row["s0"] if row["named"] else last
    return front


def agreement_rows(ranking: Ranking) -> list[dict[str, Any]]:
    """Kendall's tau of every pair of scores over the ranked rows, each turned so that higher is better.

    Returns:
        Rows with `a`, `b` (names), `n` (candidates that have both) and `tau`; pairs without one are left out.
    """
    from acrank.comparison.statistics import kendall_tau

    rows = ranked_rows(ranking)
    columns = {name: _oriented(ranking, rows, name) for name in ranking.score_names}
    found = []
    for (a, x), (b, y) in itertools.combinations_with_replacement(columns.items(), 2):
        tau = kendall_tau(x, y)
        if math.isfinite(tau):
            count = sum(math.isfinite(left + right) for left, right in zip(x, y, strict=True))
            pairs = [(a, b)] if a == b else [(a, b), (b, a)]
            found += [{"a": visible(one), "b": visible(two), "n": count, "tau": round(tau, 3)} for one, two in pairs]
    return found


def _oriented(ranking: Ranking, rows: Sequence[Row], name: str) -> list[float]:
    sign = 1.0 if ranking.higher_is_better.get(name, True) else -1.0
    return [math.nan if (value := row.value(name)) is None else sign * value for row in rows]


def layer_rows(ranking: Ranking) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """AC-Corr and drift of each normalisation layer, in the order in which the record has them.

    Returns:
        Rows with `m`, `r`, `k` (key of the layers' names), `a` (AC-Corr) and `d` (drift), the latter lists over
        layers with None where there is no value, as of AC-Corr for layers that it leaves out; and the names: rows
        with `k`, `n` (names), `c` (channels), `i` (places, 1-based).
    """
    rows = ranked_rows(ranking)
    bodies: dict[tuple[tuple[str, int], ...], int] = {}
    found = []
    for row, label in zip(rows, labels(rows), strict=True):
        if row.layers:
            key = tuple((chart_name(str(layer.get("name", ""))), int(layer["channels"])) for layer in row.layers)
            a = [None if _is_left_out(layer) else _layer_value(layer, "ac_corr") for layer in row.layers]
            d = [_layer_value(layer, "affine_drift") for layer in row.layers]
            found.append({"m": label, "r": row.rank, "k": bodies.setdefault(key, len(bodies)), "a": a, "d": d})
    names = [
        {"k": place, "n": [name for name, _ in key], "c": [count for _, count in key], "i": [*range(1, len(key) + 1)]}
        for key, place in bodies.items()
    ]
    return found, names


def curve_rows(ranking: Ranking) -> list[dict[str, Any]]:
    """Quality after each epoch of the candidates that were trained: `m` (label), `e` (epoch, 1-based), `q`.

    The last epoch has `lo` and `hi`, the 95% interval of the quality, where it is known.
    """
    rows = ranked_rows(ranking)
    found: list[dict[str, Any]] = []
    for row, label in zip(rows, labels(rows), strict=True):
        if row.refined is None or not row.refined.curve:
            continue
        curve = [{"m": label, "e": place, "q": short(value)} for place, value in enumerate(row.refined.curve, start=1)]
        low, high = row.refined.low, row.refined.high
        found += [
            *curve[:-1],
            curve[-1] | ({} if low is None or high is None else {"lo": short(low), "hi": short(high)}),
        ]
    return found


def _is_left_out(layer: Mapping[str, Any]) -> bool:
    """Whether AC-Corr leaves a layer out: its affines are equal, as at initialisation, so its value is the maximum."""
    return bool(layer.get("untouched") or layer.get("as_begun"))


def _layer_value(layer: Mapping[str, Any], name: str) -> float | None:
    value = layer.get(name)
    return short(float(value), _LAYER_DIGITS) if isinstance(value, int | float) else None
