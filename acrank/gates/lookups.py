"""What the gates look up in a ranking or a truth table, and how they name what they found."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from acrank.errors import GatesError
from acrank.gates.gates_file import WeightedTau
from acrank.gates.report import one_line
from acrank.records import Ranking, Row


def row_of(ranking: Ranking, model: str, gate: str) -> Row:
    """The row of a model that a gate names.

    Raises:
        GatesError: the run has no such model.
    """
    rows = {row.model: row for row in ranking.rows}
    if model not in rows:
        raise GatesError(f"{gate}: the run has no model {model!r}", hint=_suggestion(model, list(rows)))
    return rows[model]


def score_of(ranking: Ranking, wanted: str | None, gate: str) -> str:
    """The score that a gate names, the ranking one where it names none.

    Raises:
        GatesError: the run has no such score, or does not record its direction.
    """
    score = wanted or ranking.rank_by
    if score not in ranking.score_names or score not in ranking.higher_is_better:
        known = [name for name in ranking.score_names if name in ranking.higher_is_better]
        raise GatesError(f"{gate}: the run has no score {score!r}", hint=_suggestion(score, known))
    return score


def _suggestion(wanted: str, known: list[str]) -> str:
    close = difflib.get_close_matches(wanted, known, n=1)
    return f"did you mean {one_line(close[0])!r}?" if close else f"the run has: {listed(known) or 'none'}"


def unranked(row: Row, score: str) -> str:
    """Why a row has no place in the ranking."""
    if row.status != "scored":
        return f"{row.model} was skipped: {row.reason or 'no reason given'}"
    note = row.scores[score].note if score in row.scores else None
    return f"{row.model} has no value of {score}: {note or 'undefined'}"


def finite(row: Row, score: str) -> float | None:
    """The value of a scored row, None where it is undefined or infinite."""
    value = row.value(score)
    return value if row.status == "scored" and value is not None and math.isfinite(value) else None


def listed(items: Iterable[str]) -> str:
    """The first ten items, each cut to a readable length, and how many are left out."""
    found = [one_line(item) for item in items]
    shown = ", ".join(item if len(item) <= 120 else item[:119] + "…" for item in found[:10])
    return shown + (f" and {len(found) - 10} more" if len(found) > 10 else "")


def truth_of(gate: WeightedTau) -> dict[str, float]:
    """Model -> mean ground truth, of the one dataset that the gate means.

    Raises:
        GatesError: the table has several datasets and none is chosen, or not the chosen one.
        TableError: the table cannot be read.
    """
    from acrank.comparison.tables import read_truth

    datasets = read_truth(gate.truth, method=gate.method).datasets
    if gate.dataset is None and len(datasets) == 1:
        (found,) = datasets.values()
    elif gate.dataset in datasets:
        found = datasets[gate.dataset]
    else:
        asked = "several datasets" if gate.dataset is None else f"no dataset {gate.dataset!r}"
        raise GatesError(f"weighted_tau: {gate.truth} has {asked}", hint=f"choose one of: {listed(datasets)}")
    return {model: measured.mean for model, measured in found.items()}
