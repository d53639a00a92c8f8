"""Look-ups of the gates in a ranking or a truth table, and the texts that name what they find."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from acrank.errors import GatesError
from acrank.gates.check_report import one_line
from acrank.gates.gates_file import WeightedTau
from acrank.records import Ranking, Row
from acrank.system.words import closest

if TYPE_CHECKING:
    from acrank.comparison import Measurement


def find_row(ranking: Ranking, model: str, gate: str) -> Row:
    """The row of the model that a gate names.

    Raises:
        GatesError: the run has no such model.
    """
    rows = {row.model: row for row in ranking.rows}
    if model not in rows:
        raise GatesError(f"{gate}: the run has no model {model!r}", hint=_suggestion(model, list(rows)))
    return rows[model]


def of_partial_run(error: GatesError, ranking: Ranking) -> GatesError:
    """The error of a gate that cannot be evaluated; where the run was not finished, that comes first."""
    if not ranking.lacking:
        return error
    go_on = "go on with the same `acrank score` line and --resume"
    return GatesError(f"{ranking.lacking}; {error.message}", hint=f"{go_on}; {error.hint}" if error.hint else go_on)


def find_score(ranking: Ranking, wanted: str | None, gate: str) -> str:
    """The score that a gate names, or the score that ranks the run if it names none.

    Raises:
        GatesError: the run has no such score, or does not record its direction.
    """
    score = wanted or ranking.rank_by
    if score not in ranking.score_names or score not in ranking.higher_is_better:
        known = [name for name in ranking.score_names if name in ranking.higher_is_better]
        raise GatesError(f"{gate}: the run has no score {score!r}", hint=_suggestion(score, known))
    return score


def _suggestion(wanted: str, known: list[str]) -> str:
    return one_line(closest(wanted, known, otherwise=f"the run has: {listed(known) or 'none'}"))


def why_unranked(row: Row, score: str) -> str:
    """The reason why a row has no rank by this score."""
    if row.status != "scored":
        return f"{row.model} was skipped: {row.reason or 'no reason given'}"
    note = row.scores[score].note if score in row.scores else None
    return f"{row.model} has no value of {score}: {note or 'undefined'}"


def finite_value(row: Row, score: str) -> float | None:
    """The value of a scored row; None if it is undefined or infinite."""
    value = row.value(score)
    return value if row.status == "scored" and value is not None and math.isfinite(value) else None


def listed(items: Iterable[str]) -> str:
    """The first ten items, each cut to 120 characters, and the number of the others."""
    found = [one_line(item) for item in items]
    shown = ", ".join(item if len(item) <= 120 else item[:119] + "…" for item in found[:10])
    return shown + (f" and {len(found) - 10} more" if len(found) > 10 else "")


def truth_of(gate: WeightedTau, target: Mapping[str, Any]) -> tuple[dict[str, Measurement], list[str]]:
    """Model -> ground truth, on the dataset that the gate chooses or the only one, and what speaks against it.

    Args:
        gate: what is asked for; a dataset that it names is not held against the target.
        target: of the run.

    Raises:
        GatesError: the table has several datasets and the gate chooses none, or the table lacks the chosen one.
        TableError: the table cannot be read, or is of another task.
    """
    from acrank.comparison.tables import read_truth
    from acrank.comparison.target_match import doubts_about_target

    truth = read_truth(gate.truth, method=gate.method)
    datasets, doubts = truth.datasets, []
    if gate.dataset is None and len(datasets) == 1:
        ((name, found),) = datasets.items()
        doubts = doubts_about_target(target, truth, name)
    elif gate.dataset in datasets:
        found = datasets[gate.dataset]
    else:
        problem = "several datasets" if gate.dataset is None else f"no dataset {gate.dataset!r}"
        raise GatesError(f"weighted_tau: {gate.truth} has {problem}", hint=f"choose one of: {listed(datasets)}")
    return found, doubts
