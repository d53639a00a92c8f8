"""A history that grows: results of finished trainings are added to a table, and replace those that they repeat."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acrank.comparison.csvtable import CsvRow, CsvTable, read_csv
from acrank.comparison.measure_names import TASK_OF_METRIC
from acrank.errors import OutputError
from acrank.finetuning.outcomes import COLUMNS, Results
from acrank.formats.machine_readable import to_csv
from acrank.history.earlier import results_in
from acrank.records import Ranking
from acrank.system.file_lock import file_lock
from acrank.system.files import atomic_write, check_writable, is_there
from acrank.system.view import View

#: Columns of a history that acrank writes, those of `acrank finetune -o` first.
HISTORY_COLUMNS = (*COLUMNS, "task", "protocol", "target", "weights")
_METHOD = "vanilla"  # of short trainings
_OF_CANDIDATE = ("model", "method", "metric")  # cells that are never unknown
#: What tells one way of short training from another.
_OF_REFINING = ("rates", "epochs", "train", "val")

#: Column -> cell, as text.
Cells = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Appended:
    """What became of a history.

    Attributes:
        added: rows that were written.
        replaced: rows that went for them.
        left_out: candidates without a complete result.
    """

    added: int
    replaced: int
    left_out: list[str]


def check_appendable(path: Path) -> None:
    """Check before the work that results can be added to a history; the lock is taken once.

    Raises:
        TableError: the file is there and is no table of ground truth.
        OutputError: it cannot be written, or is locked.
    """
    if _is_there(path):
        _read(path)
    there = path.resolve() if os.path.islink(path) else path  # noqa: PTH114 - `is_symlink` raises on overlong names
    check_writable(there)
    with file_lock(there):
        pass


def append_history(path: Path, rows: Sequence[Cells], *, left_out: Sequence[str] = ()) -> Appended:
    """Add rows to a history, whole or not at all, while no other process does.

    Rows of the same candidate, target and way of finetuning are replaced. Rows and columns of others stay as they are.

    Args:
        path: a table of ground truth; made where it is not there.
        rows: cells by column of HISTORY_COLUMNS.
        left_out: candidates without a complete result, for the answer.

    Raises:
        TableError: the file is no table of ground truth.
        OutputError: it cannot be written, or is locked.
    """
    path = path.resolve()  # a link stays one
    with file_lock(path):
        table = _read(path) if _is_there(path) else None
        before = table.rows if table else []
        is_repeated = _repeated_by(rows)
        kept = [row for row in before if not is_repeated(row)]
        columns = list(dict.fromkeys([*(table.columns if table else ()), *HISTORY_COLUMNS]))
        if rows:
            cells = [[row.get(name, "") for name in columns] for row in (*(row.cells for row in kept), *rows)]
            atomic_write(path, to_csv(View(columns=columns, rows=cells, record=None)), durable=True)
    return Appended(added=len(rows), replaced=len(before) - len(kept), left_out=list(left_out))


def rows_of_finetuning(results: Results, weights: Mapping[str, str]) -> tuple[list[Cells], list[str]]:
    """The rows of a finished `acrank finetune`, and the candidates that have a failed run, of which none is taken.

    Args:
        results: of the run.
        weights: model -> SHA-256 of its weights, where known.
    """
    failed = {(one.model, one.method) for one in results.outcomes if one.ground_truth is None}
    settings = {name: value for name, value in results.settings.items() if name != "zoo"}
    fingerprints = sorted({str(part["fingerprint"]) for part in results.target.get("parts", {}).values()})
    rows = []
    for one in results.outcomes:
        if (one.model, one.method) not in failed:
            cells = dict(zip(COLUMNS, one.cells(), strict=True))
            rows.append(
                _cells(
                    cells,
                    protocol=f"finetune-{_digest(settings)}",
                    target=" ".join(fingerprints),
                    weights=weights.get(one.model, ""),
                )
            )
    return rows, sorted({f"{model} ({method})" for model, method in failed})


def rows_of_refining(ranking: Ranking, weights: Mapping[str, str]) -> tuple[list[Cells], list[str]]:
    """The rows of the short trainings of a ranking, each with its last round, and the candidates that failed.

    A later round trains longer: each round is a way of finetuning of its own.

    Args:
        ranking: of a run with `--refine`.
        weights: model -> SHA-256 of its weights, where known.
    """
    how = ranking.settings.get("refine") or {}
    shared = {name: how.get(name) for name in _OF_REFINING}
    rows, failed = [], []
    for row in sorted(ranking.rows, key=lambda row: row.model):
        found = row.refined
        if found is None:
            continue
        if found.quality is None:
            failed.append(row.model)
            continue
        about = {"dataset": ranking.target.get("name", ""), "model": row.model, "method": _METHOD, "split": 0}
        result = {"lr": found.learning_rate, "metric": found.metric, "ground_truth": found.quality}
        cells = {**about, "seed": ranking.settings.get("seed", 0), **result}
        target = str(ranking.target.get("fingerprint", ""))
        protocol = f"refine-{_digest({**shared, 'round': found.rounds})}"
        rows.append(_cells(cells, protocol=protocol, target=target, weights=weights.get(row.model, "")))
    return rows, failed


def _cells(cells: Mapping[str, Any], **more: str) -> Cells:
    task = TASK_OF_METRIC.get(str(cells["metric"]), "")
    return {name: "" if cell is None else str(cell) for name, cell in {**cells, "task": task, **more}.items()}


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _repeated_by(new: Sequence[Cells]) -> Callable[[CsvRow], bool]:
    """Whether a row is of candidate, target and way of finetuning of one of the new; unknown parts pass for equal."""
    by_candidate: dict[tuple[str, ...], dict[tuple[str, str, str], frozenset[str]]] = {}
    for one in new:
        alike = by_candidate.setdefault(tuple(one[name] for name in _OF_CANDIDATE), {})  # seeds and splits are one
        alike[one["protocol"], one["dataset"], one["target"]] = frozenset(one["target"].split())

    def is_repeated(row: CsvRow) -> bool:
        alike = by_candidate.get(tuple(row.text(name) for name in _OF_CANDIDATE))
        if alike is None:
            return False
        protocol, dataset, images = row.text("protocol"), row.text("dataset"), {*row.text("target").split()}
        return any(
            protocol in ("", of_new) and (not here.isdisjoint(images) if here and images else name == dataset)
            for (of_new, name, _), here in alike.items()
        )

    return is_repeated


def _is_there(path: Path) -> bool:
    return is_there(path) and path.stat().st_size > 0


def _read(path: Path) -> CsvTable:
    """The table of a history, held against what a history is.

    Raises:
        TableError: it is none.
        OutputError: its cells are not separated by commas, so that rows of acrank's would not fit.
    """
    table = read_csv(path)
    results_in(table)
    if table.rows[0].delimiter != ",":
        raise OutputError(
            f"{path} is not separated by commas", hint="save it as comma-separated UTF-8, or name another"
        )
    return table
