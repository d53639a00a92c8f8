"""Which records may be joined: one rule, for `--resume` and for `acrank merge`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from acrank.errors import TableError
from acrank.ranking.racing import with_own_intervals
from acrank.ranking.summary import directions_of, summarise
from acrank.records import Ranking, Row
from acrank.scores import SCORES
from acrank.settings import CONSENSUS, OLD_RECORD_DEFAULTS, Settings
from acrank.zoo.schema import Candidate

#: Settings that no value depends on. Records may differ in them; those that are merged must share `rank_by` all the
#: same, for the ranking of the whole has one.
IRRELEVANT_TO_VALUES = ("zoo", "plan", "device", "allow_code", "rank_by", "memory", "race")

#: Of a target's description: what earlier records lack, and what follows from the rest.
_DERIVED = ("understood",)


def differences(
    one: Mapping[str, Any], other: Mapping[str, Any], *, ignoring: Collection[str] = IRRELEVANT_TO_VALUES
) -> list[str]:
    """The names under which two settings or descriptions of a target differ, sorted.

    Example:
        >>> differences({"seed": 0, "device": "cpu"}, {"seed": 1})
        ['seed']
    """
    here, there = ({**OLD_RECORD_DEFAULTS, **part} for part in (one, other))
    return sorted(name for name in {*here, *there} if name not in ignoring and here.get(name) != there.get(name))


def kept_rows(
    earlier: Ranking, candidates: Sequence[Candidate], settings: Settings, target: Mapping[str, Any]
) -> list[Row]:
    """The scored rows of an earlier run whose manifest entry has not changed since.

    Raises:
        TableError: the earlier run had other settings, another target or another direction of a score.
    """
    directions = directions_of(earlier, settings)
    recorded = {name: earlier.higher_is_better[name] for name in directions}
    pairs = {
        "settings": differences(settings.record(), earlier.settings),
        "target": differences(target, earlier.target, ignoring=_DERIVED),
        "directions": differences(directions, recorded, ignoring=()),
    }
    for part, changed in pairs.items():
        if changed:
            raise TableError(
                f"cannot resume: {part} differ from the earlier run in {', '.join(changed)}",
                hint="run without --resume, or with the earlier settings and data",
            )
    entries = {candidate.id: candidate.digest for candidate in candidates}
    rows = with_own_intervals(earlier.rows)
    return [row for row in rows if row.status == "scored" and entries.get(row.model) == row.details.entry]


def merge(parts: Mapping[str, Ranking]) -> Ranking:
    """The ranking that one run over all candidates would have given.

    Ranks, bands, pool-relative scores, controls and warnings are computed anew. A candidate may be in several parts:
    its scored row is preferred to a skipped one.

    Args:
        parts: name (of its file) -> the ranking of a part; at least one.

    Raises:
        TableError: parts of different settings, manifests or targets, one candidate with different values, or a record
            of a version that took a score's other direction as better.
    """
    first, *others = parts
    for other in others:
        _refuse_other_runs(first, parts[first], other, other=parts[other])
    rankings = list(parts.values())
    settings = Settings.from_record(rankings[0].settings)
    for name, part in parts.items():
        turned = [one for one, higher in directions_of(part, settings).items() if higher != part.higher_is_better[one]]
        if turned:
            raise TableError(
                f"{name} takes the other direction of {', '.join(turned)} as better", hint="score its candidates anew"
            )
    environments: list[dict[str, Any]] = []
    for part in rankings:
        if part.environment not in environments:
            environments.append(part.environment)
    return summarise(
        _rows(parts),
        settings,
        zoo={name: value for name, value in _zoo(rankings[0]).items() if name in ("name", "sha256")},
        environment=environments[0] if len(environments) == 1 else {"parts": environments},
        target=rankings[0].target,
        notes=list(dict.fromkeys(note for part in rankings for note in part.notes)),
    )


def missing_candidates(parts: Sequence[Ranking], merged: Ranking) -> int:
    """How many candidates of the shards' manifest are in no part; 0 where the parts are no shards."""
    whole = max((_zoo(part).get("candidates", 0) for part in parts), default=0)
    return max(0, whole - len(merged.rows))


def _refuse_other_runs(first: str, one: Ranking, name: str, other: Ranking) -> None:
    kept = [setting for setting in IRRELEVANT_TO_VALUES if setting != "rank_by"]
    manifests = ({"sha256": _zoo(part).get("sha256")} for part in (one, other))
    pairs = {
        "settings": differences(one.settings, other.settings, ignoring=kept),
        "manifests": differences(*manifests, ignoring=()),
        "targets": differences(one.target, other.target, ignoring=_DERIVED),
    }
    for what, changed in pairs.items():
        if changed:
            raise TableError(
                f"{first} and {name} are not parts of one run: their {what} differ in {', '.join(changed)}",
                hint="merge records that were made with the same options, manifest and data",
            )


def _zoo(part: Ranking) -> dict[str, Any]:
    found = part.settings.get("zoo")
    return found if isinstance(found, dict) else {}


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
    """What two rows of one candidate must agree in: not a pool-relative value, but the parts that it is made of."""
    own = {name: x for name, x in row.scores.items() if name != CONSENSUS and not SCORES[name].pool_relative}
    return {"scores": own, "parts": row.details.parts, "entry": row.details.entry, "layers": row.layers}
