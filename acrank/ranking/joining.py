"""Which records may be joined: one rule, for `--resume` and for `acrank merge`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from acrank.cache.keys import dependencies_of
from acrank.errors import TableError
from acrank.history.priors import OTHER_WEIGHTS
from acrank.ranking.costs import without_twins
from acrank.ranking.racing import with_own_intervals
from acrank.ranking.summary import directions_of, summarise
from acrank.records import JOINT, Ranking, Row
from acrank.scores import SCORES
from acrank.settings import CONSENSUS, OLD_RECORD_DEFAULTS, Settings
from acrank.zoo.schema import Candidate

#: Settings that no value depends on. Records may differ in them; those that are merged must share `rank_by`, `history`
#: and `untrained` all the same, for the ranking of the whole has one of each.
IRRELEVANT_TO_VALUES = (
    *("zoo", "plan", "device", "allow_code", "allow_download", "rank_by"),
    *("memory", "race", "refine", "history", "untrained"),
)
_SHARED_BY_PARTS = ("rank_by", "history", "untrained")

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
    """The scored rows of an earlier run whose manifest entry, weights and code have not changed since.

    They have the zero point that the settings ask for, and none where they ask for none.

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
    known = {candidate.id: candidate for candidate in candidates}
    rows = [row for row in with_own_intervals(earlier.rows) if row.status == "scored" and row.model in known]
    kept = [row for row in rows if not _changes(row, known[row.model], settings)]
    return kept if settings.untrained else [without_twins(row) for row in kept]


def recomputed(
    earlier: Ranking, kept: Sequence[Row], candidates: Sequence[Candidate], *, settings: Settings
) -> list[str]:
    """A line for every candidate whose scored row of an earlier run was not kept: what changed since."""
    known, held = {candidate.id: candidate for candidate in candidates}, {row.model for row in kept}
    return [
        f"recomputed: {row.model} (its {' and '.join(_changes(row, known[row.model], settings))} changed)"
        for row in sorted(earlier.rows, key=lambda row: row.model)
        if row.status == "scored" and row.model in known and row.model not in held
    ]


def _changes(row: Row, candidate: Candidate, settings: Settings) -> list[str]:
    """What a row depends on and is no longer the same; a file that is gone cannot be held against it."""
    before, now = row.details.depends_on, dependencies_of(candidate)
    if before is None:  # an earlier version wrote it
        before = {"weights": row.weights.get("sha256", "")} if candidate.weights_path else {}
    changed = ["manifest entry"] if row.details.entry != candidate.digest else []
    changed += ["ranking score"] if _lacks_deviation(row, settings.rank_by) else []
    changed += ["zero point"] if settings.untrained and not _has_zero_point(row, settings) else []
    return changed + [name for name in sorted(before) if name in now and before[name] != now[name]]


def _lacks_deviation(row: Row, name: str) -> bool:
    """Whether the row does not know what draws tell of its score: another score ranked it, or another version."""
    is_told = name in SCORES and SCORES[name].reads_rows
    return is_told and row.value(name) is not None and not row.details.deviations.get(name)


def _has_zero_point(row: Row, settings: Settings) -> bool:
    """Whether a row has the zero point of the ranking score over as many twins as the settings ask for."""
    zero = row.untrained
    if zero is None or zero.score != settings.rank_by:
        return False
    return bool(zero.reason) or len(zero.values) == settings.untrained


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
    merged = summarise(
        _rows(parts),
        settings,
        zoo={name: value for name, value in _zoo(rankings[0]).items() if name in ("name", "sha256")},
        environment=environments[0] if len(environments) == 1 else {"parts": environments},
        target=rankings[0].target,
        notes=list(dict.fromkeys(note for part in rankings for note in part.notes)),
        history=_history(rankings[0]),
    )
    said = [text for part in rankings for text in part.warnings if text.startswith(OTHER_WEIGHTS)]
    merged.warnings += dict.fromkeys(said)
    lacking = missing_candidates(rankings, merged)
    merged.candidates = len(merged.rows) + lacking
    if all(part.complete is not None for part in rankings):
        merged.complete = not lacking and all(part.complete for part in rankings)
    return merged


def missing_candidates(parts: Sequence[Ranking], merged: Ranking) -> int:
    """How many candidates of the shards' manifest are in no part; 0 where the parts are no shards."""
    whole = max((_zoo(part).get("candidates", 0) for part in parts), default=0)
    return max(0, whole - len(merged.rows))


def _refuse_other_runs(first: str, one: Ranking, name: str, other: Ranking) -> None:
    kept = [setting for setting in IRRELEVANT_TO_VALUES if setting not in _SHARED_BY_PARTS]
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


def _history(part: Ranking) -> list[Mapping[str, str]] | None:
    found = part.settings.get("history")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None


def _rows(parts: Mapping[str, Ranking]) -> list[Row]:
    """One row for each candidate."""
    kept: dict[str, tuple[str, Row]] = {}
    for name, part in parts.items():
        for row in part.rows:
            before, known = kept.get(row.model, (name, row))
            if row.status == known.status == "scored" and _made_from(row) != _made_from(known):
                raise TableError(
                    f"{row.model} has other weights, code or entry in {name} than in {before}",
                    hint="leave one of the two out: the checkpoint was not the same",
                )
            if row.status == known.status == "scored" and _values(row) != _values(known):
                raise TableError(
                    f"{row.model} has other values in {name} than in {before}",
                    hint="leave one of the two out: the checkpoint or the machine was not the same",
                )
            if row.model not in kept or _says_more(row, known):
                kept[row.model] = (name, row)
    return [row for _, row in kept.values()]


def _says_more(row: Row, known: Row) -> bool:
    """Whether a row of a candidate is preferred to the one that is known: scored, or with a training beside."""
    if row.status != known.status:
        return row.status == "scored"
    return known.refined is None and row.refined is not None


def _values(row: Row) -> dict[str, Any]:
    """What two rows of one candidate must agree in: not a pool-relative value, but the parts that it is made of."""
    pooled = {CONSENSUS, JOINT, *(name for name, score in SCORES.items() if score.pool_relative)}
    own = {name: x for name, x in row.scores.items() if name not in pooled}
    return {"scores": own, "parts": row.details.parts, "layers": row.layers, **_made_from(row)}


def _made_from(row: Row) -> dict[str, Any]:
    """What two rows of one candidate must have been computed from alike."""
    return {
        "entry": row.details.entry,
        "weights": row.weights.get("sha256"),
        "depends_on": row.details.depends_on,
    }
