"""What the rows of a truth may hold under the name of their measure; higher values are taken for better ones."""

from __future__ import annotations

from collections.abc import Sequence

from acrank.comparison.column_rules import finite_number
from acrank.comparison.csvtable import CsvRow
from acrank.comparison.measure_names import TASK_OF_METRIC, is_lower_better, known_measure


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


def tasks_in(rows: Sequence[CsvRow]) -> dict[str, str]:
    """Dataset -> task, else that of its measure where it is known; of what its rows disagree in, nothing."""
    tasks = {name: TASK_OF_METRIC.get(known_measure(text), "") for name, text in _agreed(rows, "metric").items()}
    tasks |= {name: text for name, text in _agreed(rows, "task").items() if text}
    return {name: task for name, task in tasks.items() if task}


def _agreed(rows: Sequence[CsvRow], column: str) -> dict[str, str]:
    """Dataset -> the cell of a column that all its rows have."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.text("dataset"), set()).add(row.text(column))
    return {dataset: next(iter(texts)) for dataset, texts in found.items() if len(texts) == 1}
