"""One ranking from the parts of a run that was shared out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acrank.errors import TableError
from acrank.ranking.scoring import directions_of, ranking_of, warnings_of
from acrank.records import Ranking, Row
from acrank.scores import SCORES
from acrank.settings import CONSENSUS, LATER, Settings

#: What may differ from part to part: a value does not depend on it.
_OWN = ("device", "allow_code")


def merge(parts: Mapping[str, Ranking]) -> Ranking:
    """The ranking that one run over all candidates would have given.

    Ranks, bands, pool-relative scores, controls and warnings are worked out anew. A candidate may be in several parts:
    its scored row goes before a skipped one.

    Args:
        parts: name (of its file) -> the ranking of a part; at least one.

    Raises:
        TableError: parts of different settings, manifests or targets, one candidate with different values, or a record
            of a version that took a score's other direction as better.
    """
    first, *others = parts
    for other in others:
        _same(first, parts[first], other, parts[other])
    rankings = list(parts.values())
    settings = Settings.from_record(rankings[0].settings)
    for name, part in parts.items():
        turned = [one for one, higher in directions_of(part, settings).items() if higher != part.higher_is_better[one]]
        if turned:
            raise TableError(
                f"{name} takes the other direction of {', '.join(turned)} as better", hint="score its candidates anew"
            )
    zoo = {name: value for name, value in _zoo(rankings[0]).items() if name in ("name", "sha256")}
    return ranking_of(
        _rows(parts),
        settings,
        zoo=zoo,
        environment=_environment(rankings),
        target=rankings[0].target,
        notes=list(dict.fromkeys(note for part in rankings for note in _notes(part))),
    )


def missing(parts: Sequence[Ranking], merged: Ranking) -> int:
    """How many candidates of the shards' manifest are in no part; 0 where the parts are no shards."""
    whole = max((_zoo(part).get("candidates", 0) for part in parts), default=0)
    return max(0, whole - len(merged.rows))


def _same(first: str, one: Ranking, name: str, other: Ranking) -> None:
    pairs = {
        "settings": (_settings(one), _settings(other)),
        "manifests": ({"sha256": _zoo(one).get("sha256")}, {"sha256": _zoo(other).get("sha256")}),
        "targets": (one.target, other.target),
    }
    for what, (here, there) in pairs.items():
        if changed := sorted(key for key in {*here, *there} if here.get(key) != there.get(key)):
            raise TableError(
                f"{first} and {name} are not parts of one run: their {what} differ in {', '.join(changed)}",
                hint="merge records that were made with the same options, manifest and data",
            )


def _zoo(part: Ranking) -> dict[str, Any]:
    found = part.settings.get("zoo")
    return found if isinstance(found, dict) else {}


def _settings(part: Ranking) -> dict[str, Any]:
    return {name: value for name, value in {**LATER, **part.settings}.items() if name not in ("zoo", *_OWN)}


def _rows(parts: Mapping[str, Ranking]) -> list[Row]:
    """One row for each candidate."""
    kept: dict[str, tuple[str, Row]] = {}
    for name, part in parts.items():
        for row in part.rows:
            before, known = kept.get(row.model, (name, row))
            if row.status == known.status == "scored" and _values(row) != _values(known):
                raise TableError(
                    f"{row.model} has other values in {name} than in {before}",
                    hint="leave one of the two out: the checkpoint or the machine was not the same",
                )
            if row.model not in kept or (known.status, row.status) == ("skipped", "scored"):
                kept[row.model] = (name, row)
    return [row for _, row in kept.values()]


def _values(row: Row) -> dict[str, Any]:
    """What two rows of one candidate must agree in: not a value relative to a pool, but what that is made of."""
    own = {name: x for name, x in row.scores.items() if name != CONSENSUS and not SCORES[name].pool_relative}
    return {"scores": own, "parts": row.details.get("parts"), "entry": row.details.get("entry"), "layers": row.layers}


def _notes(part: Ranking) -> list[str]:
    """The warnings that are about the target."""
    own = warnings_of(part)
    return [text for text in part.warnings if text not in own]


def _environment(parts: Sequence[Ranking]) -> dict[str, Any]:
    """The parts' environment where it is one, else a list of the different ones."""
    found: list[dict[str, Any]] = []
    for part in parts:
        if part.environment not in found:
            found.append(part.environment)
    return found[0] if len(found) == 1 else {"parts": found}
