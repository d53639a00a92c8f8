"""What the rows of a truth may hold under the name of their measure; higher values are taken for better ones."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from acrank.comparison.column_rules import finite_number
from acrank.comparison.csvtable import CsvRow
from acrank.comparison.measure_names import TASK_OF_METRIC, is_lower_better, is_share, known_measure

#: Above it a value is no share that was rounded or is of more than one class: it is in percent.
_PERCENT = 1.5
#: Tasks whose measures are shares where none is named.
_TASKS = frozenset(TASK_OF_METRIC.values())
#: Without a measure: middles within this factor tell two units, and without a task so many values of each.
_SEVERAL, _ALIKE = 2, 5.0
_HINT = "write all as shares: divide what is in percent by 100"


def check_directions(rows: Sequence[CsvRow]) -> None:
    """Refuse measures of which lower is better, as losses and errors are; where all are negated, higher is.

    Args:
        rows: of a truth, of one method.

    Raises:
        TableError: a value above 0 of such a measure.
    """
    lower = {metric for metric in {row.text("metric") for row in rows} if is_lower_better(metric)}
    for row in rows if lower else ():
        metric, value = row.text("metric"), finite_number(row, "ground_truth")
        if metric in lower and value is not None and value > 0:
            raise row.error(
                f"column 'metric' holds {metric!r}, of which lower is better, and column 'ground_truth' {value:g}: "
                "higher is taken for better",
                hint="write the negative of every value, or another measure",
            )


def check_units(rows: Sequence[CsvRow]) -> None:
    """Refuse datasets whose values are partly shares and partly in percent.

    Where the measure is named, its name tells whether values are shares. Where it is not, they are where the
    pattern is plain.

    Args:
        rows: of a truth, of one method.

    Raises:
        TableError: a dataset with both, or with shares of more than 1 that are no percent either.
    """
    groups: dict[tuple[str, str], list[tuple[CsvRow, float]]] = {}
    for row in rows:
        value = finite_number(row, "ground_truth")
        if value is not None:
            groups.setdefault((row.text("dataset"), row.text("metric")), []).append((row, value))
    tasks = tasks_in(rows)
    for (dataset, metric), found in groups.items():
        shares = [(row, value) for row, value in found if 0 < abs(value) <= 1]
        percent = [(row, value) for row, value in found if value > _PERCENT]
        of_shares = is_share(metric) if metric else _are_shares(found, of_task=tasks.get(dataset) in _TASKS)
        if of_shares and shares and percent:
            (row, value), (other, small) = percent[0], shares[0]
            raise row.error(
                f"column 'ground_truth' holds {value:g} for {row.text('model')!r}, line {other.line} {small:g} for "
                f"{other.text('model')!r}: one seems to be in percent, the other a share of 1",
                hint=_HINT,
            )
        if of_shares and metric:
            _check_most(found, metric)


def _check_most(found: Sequence[tuple[CsvRow, float]], metric: str) -> None:
    """Refuse shares the largest of which is more than 1 and, in percent, next to nothing."""
    row, most = max(found, key=lambda item: item[1])
    if 1 + 1e-6 < most <= 2:
        raise row.error(
            f"column 'ground_truth' holds {most:g}, the largest {metric}: more than 1, and too little to be percent",
            hint=f"correct the value, or its column `metric`; {_HINT}",
        )


def _are_shares(found: Sequence[tuple[CsvRow, float]], *, of_task: bool) -> bool:
    """Whether values without a measure are shares of two units: those of one are as large as the others in percent.

    Unless their task is one of acrank's, there are several of each, and none between 1 and 1.5.
    """
    values = [value for _, value in found]
    shares, percent = ([v for v in values if 0 < v <= 1], [v for v in values if v > _PERCENT])
    if not shares or not percent or min(values) < 0 or max(values) > 100:
        return False
    if not of_task and (min(len(shares), len(percent)) < _SEVERAL or any(1 < value <= _PERCENT for value in values)):
        return False
    return 1 / _ALIKE <= statistics.median(percent) / 100 / statistics.median(shares) <= _ALIKE


def tasks_in(rows: Sequence[CsvRow]) -> dict[str, str]:
    """Dataset -> task, else that of its measure where it is known; of what its rows disagree in, nothing."""
    tasks = {name: TASK_OF_METRIC.get(known_measure(text), "") for name, text in _agreed(rows, "metric").items()}
    tasks |= named_tasks_in(rows)
    return {name: task for name, task in tasks.items() if task}


def named_tasks_in(rows: Sequence[CsvRow]) -> dict[str, str]:
    """Dataset -> its task, as the column `task` names it, where its rows agree."""
    return {dataset: task for dataset, task in _agreed(rows, "task").items() if task}


def _agreed(rows: Sequence[CsvRow], column: str) -> dict[str, str]:
    """Dataset -> the cell of a column that all its rows have, in lower case."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.text("dataset"), set()).add(row.text(column).casefold())
    return {dataset: next(iter(texts)) for dataset, texts in found.items() if len(texts) == 1}
