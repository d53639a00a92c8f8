"""What the cells of score and truth tables may hold, beside their types; every error names file, line and column."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from acrank.comparison.csvtable import CsvRow
from acrank.comparison.measure_names import known_measure
from acrank.errors import TableError
from acrank.system.record_schema import INTERVAL, RESERVED

#: Quality measure -> the range of a share; percent have a hundred times as much.
RANGES = {
    "accuracy": (0.0, 1.0),
    "balanced_accuracy": (0.0, 1.0),
    "auc": (0.0, 1.0),
    "kappa": (-1.0, 1.0),
    "dice": (0.0, 1.0),
    "iou": (0.0, 1.0),
}
#: Scores and truths are not larger, as labels are not, so that their squares stay finite.
_LARGEST = 1e100
_STATUS = ("scored", "skipped")
_TWICE = "remove one of the two, or number the seeds in a column `seed`"
_EMPTY = "leave the cell empty where there is no value"


def is_score(column: str, columns: Collection[str] = ()) -> bool:
    """Whether a column can be a score: neither a reserved name, nor a standard deviation, nor an interval's end.

    Args:
        column: its name.
        columns: all of the table: `x_low` and `x_high` are ends of an interval where there is a column `x`.

    Example:
        >>> is_score("logme"), is_score("params"), is_score("logme_sd")
        (True, False, False)
        >>> is_score("logme_low", ["logme", "logme_low"]), is_score("dose_low", ["logme", "dose_low"])
        (False, True)
    """
    is_end = column.endswith(INTERVAL) and column.rpartition("_")[0] in columns
    return column not in RESERVED and not column.endswith("_sd") and not is_end


def finite_number(row: CsvRow, column: str) -> float | None:
    """A cell as a finite float up to ±1e100; counts and standard deviations are not negative. None if it is empty.

    Raises:
        TableError: the cell holds text, an infinity, a number beyond ±1e100, or a negative number that cannot be.
    """
    value = row.number(column)
    is_size = column in ("params", "ground_truth_se") or column.endswith("_sd")
    if value is not None and (math.isinf(value) or (is_size and value < 0)):
        raise row.error(f"column {column!r} holds {value}", hint=_EMPTY)
    if value is not None:
        check_magnitude(value, f"{row.path}, line {row.line}: column {column!r} holds")
    return value


def check_magnitude(value: float, what: str) -> None:
    """Refuse a value whose square may not be finite.

    Args:
        value: of a score, a truth or a figure.
        what: begins the message.

    Raises:
        TableError: the value is beyond ±1e100.

    >>> check_magnitude(-1e308, "logme of 'a' is")
    Traceback (most recent call last):
    ...
    acrank.errors.TableError: logme of 'a' is -1e+308, beyond ±1e+100
    """
    if abs(value) > _LARGEST:
        raise TableError(f"{what} {value}, beyond ±{_LARGEST:g}", hint="correct the value, or leave it out")


def is_skipped(row: CsvRow) -> bool:
    """Whether a row of a score table is of a skipped candidate; a table without the column `status` has none.

    Raises:
        TableError: the status is no known one.
    """
    status = row.text("status")
    if status and status not in _STATUS:
        raise row.error(f"column 'status' holds {status!r}", hint=f"it is {' or '.join(_STATUS)}")
    return status == "skipped"


def check_truths(rows: Iterable[CsvRow]) -> None:
    """Hold the rows of a truth table, of one method, against each other and against the ranges of their measures.

    Raises:
        TableError: a value beyond the range of its measure, a row that is there twice, or a dataset with two measures,
            two protocols or two sets of images (columns `protocol` and `target` of a history).
    """
    first_of: dict[str, CsvRow] = {}  # dataset -> its first row
    known: dict[tuple[str, ...], CsvRow] = {}
    for row in rows:
        dataset, metric = row.text("dataset"), row.text("metric")
        before = first_of.setdefault(dataset, row)
        if metric != before.text("metric"):
            raise row.error(
                f"column 'metric' holds {metric!r}, line {before.line} has {before.text('metric')!r}",
                hint="values of two measures cannot be compared: keep one of them for each dataset",
            )
        if row.text("protocol") != before.text("protocol"):
            raise row.error(
                f"column 'protocol': {dataset!r} was finetuned otherwise than in line {before.line}",
                hint="keep the rows of one protocol for each dataset",
            )
        images, others = set(row.text("target").split()), set(before.text("target").split())
        if images and others and images.isdisjoint(others):
            raise row.error(
                f"column 'target': {dataset!r} has other images than in line {before.line}",
                hint="two targets of one name: keep the rows of one, or name one otherwise in the column `dataset`",
            )
        twin = known.setdefault(tuple(row.cells.values()), row)
        if twin is not row and finite_number(row, "ground_truth") is not None:
            raise row.error(f"column 'model': the row is that of line {twin.line}", hint=_TWICE)
        _check_range(row, known_measure(metric))


def _check_range(row: CsvRow, metric: str) -> None:
    value = finite_number(row, "ground_truth")
    if metric not in RANGES or value is None:
        return
    low, high = RANGES[metric]
    if not 100 * low <= value <= 100 * high:
        raise row.error(
            f"column 'ground_truth' holds {value:g}, and {metric} lies from {low:g} to {high:g}, or {100 * high:g} %",
            hint="correct the value, or its column `metric`",
        )
