"""Tables of `compare` and `check`: scores (a run record, a CSV of `acrank score`, a long table) and ground truth.

The column `dataset` separates datasets; without it all rows belong to the unnamed dataset "".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acrank.comparison.column_rules import check_magnitude, check_truths, finite_number, is_score, is_skipped
from acrank.comparison.csvtable import CsvRow, CsvTable, model_of, read_csv
from acrank.comparison.measure_rules import check_directions, check_units, named_tasks_in, tasks_in
from acrank.errors import TableError
from acrank.records import Ranking
from acrank.system.record_schema import INTERVAL
from acrank.system.words import closest

#: model -> value
Column = dict[str, float]


@dataclass(frozen=True)
class Measurement:
    """The finetuned performance of one model on one dataset; higher is better.

    Attributes:
        mean: mean over the seeds, in the truth's own unit.
        se: standard error of the mean: over the seeds (ddof 1) if there are several, else as given, else None.
        seeds: value of every seed.
        labels: name of every seed (`split/seed`), by which models share seeds; empty if the table has neither column.
    """

    mean: float
    se: float | None = None
    seeds: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Truth:
    """Ground truth: dataset -> model -> measurement.

    Attributes:
        where: the file, for messages.
        datasets: dataset -> model -> Measurement; the dataset is "" if the table has no such column.
        method: the chosen finetuning method, None if the table has no such column.
        unknown: dataset -> models that are listed without any value.
        tasks: dataset -> its task (column `task`), else that of its measure (column `metric`), where it is known.
        named_tasks: dataset -> its task as the column `task` names it.
    """

    where: str
    datasets: dict[str, dict[str, Measurement]]
    method: str | None = None
    unknown: dict[str, list[str]] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    named_tasks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """Scores: dataset -> score -> model -> value. A model without a value is absent from the score's column.

    Attributes:
        where: the file, for messages.
        datasets: dataset -> score -> model -> value, scores in the file's order; "" for the unnamed dataset.
        models: dataset -> every model that the file lists, skipped ones included.
        higher_is_better: directions that the file itself records (run records do, tables do not).
        sd: dataset -> score -> model -> standard deviation over the sampled batches, if given.
        params: dataset -> model -> number of parameters, if given.
        reference: dataset -> name -> model -> figure from the manifest, if given.
        rank_by: the score that ranks a run record, else None.
        scored_by: the score that ranked a run before earlier targets and short trainings had a say, if given.
        trained: dataset -> model -> quality that a short training of the run gave, if given.
        lacking: why a run's record is not that of a whole run; empty where it is.
        skipped: model -> reason why it was skipped.
        truth: the ground truth of a long table (one with a `ground_truth` column), else None.
        target: of a run record, with its `name` and `task`, if given.
    """

    where: str
    datasets: dict[str, dict[str, Column]]
    models: dict[str, list[str]]
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    sd: dict[str, dict[str, Column]] = field(default_factory=dict)
    params: dict[str, Column] = field(default_factory=dict)
    reference: dict[str, dict[str, Column]] = field(default_factory=dict)
    rank_by: str | None = None
    scored_by: str | None = None
    trained: dict[str, Column] = field(default_factory=dict)
    lacking: str = ""
    skipped: dict[str, str] = field(default_factory=dict)
    truth: Truth | None = None
    target: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every score of any dataset, in the file's order."""
        return list(dict.fromkeys(name for scores in self.datasets.values() for name in scores))

    def named(self, dataset: str) -> Scores:
        """The same scores with the unnamed dataset renamed to `dataset`."""
        parts = ("datasets", "models", "sd", "params", "reference", "trained")
        renamed: Any = {part: {key or dataset: found for key, found in getattr(self, part).items()} for part in parts}
        return replace(self, **renamed)


def read_scores(path: Path, *, only: Iterable[str] = (), method: str | None = None) -> Scores:
    """Read a run record (.json), a CSV of `acrank score`, or a long table `dataset,model,ground_truth,<score>…`.

    Args:
        path: the file; anything but .json is read as CSV.
        only: keep these score columns, in this order; all if empty.
        method: the finetuning method to keep, for a long table with several.

    Raises:
        TableError: unreadable, a missing column, a duplicate model, or text or an infinity in place of a number.
    """
    wanted = list(only)
    is_record = path.suffix.lower() == ".json"
    scores = scores_of_run(Ranking.load(path), str(path)) if is_record else scores_in(read_csv(path), wanted, method)
    for name in wanted:
        if name not in scores.names:
            has = f"it has {', '.join(scores.names)}"
            raise TableError(f"{path} has no score {name!r}", hint=closest(name, scores.names, has))
    if not wanted:
        return scores
    datasets = {dataset: {name: found[name] for name in wanted} for dataset, found in scores.datasets.items()}
    return replace(scores, datasets=datasets, rank_by=scores.rank_by if scores.rank_by in wanted else None)


def read_truth(path: Path, *, method: str | None = None) -> Truth:
    """Read ground truth: `model,ground_truth` and optionally `dataset, ground_truth_se, method, seed, split`.

    Several rows of a model are its seeds. A row with an empty `ground_truth` lists a model without a value.

    Raises:
        TableError: unreadable, a missing column, several methods and none chosen, a duplicate row or seed, two
            measures for one dataset, one of which lower is better, two units, or a value that cannot
            be.
    """
    if path.suffix.lower() == ".json":
        raise TableError(f"{path} is no table", hint="give the CSV that `acrank finetune` wrote beside it")
    return truth_in(read_csv(path), method)


def truth_in(table: CsvTable, method: str | None = None) -> Truth:
    """The ground truth of a table that was read already; see `read_truth`."""
    table.require("model", "ground_truth", hint="a truth table has the columns model,ground_truth")
    chosen = _choose_method(table, method)
    label_columns = [name for name in ("split", "seed") if name in table.columns]
    seeds: dict[str, dict[str, dict[str, float]]] = {}  # dataset -> model -> label -> value
    errors: dict[tuple[str, str], float] = {}
    rows = [row for row in table.rows if chosen is None or row.text("method") == chosen]
    check_truths(rows)
    check_directions(rows)
    check_units(rows)
    for row in rows:
        dataset, model = row.text("dataset"), model_of(row)
        own = seeds.setdefault(dataset, {}).setdefault(model, {})
        value = finite_number(row, "ground_truth")
        if value is None:
            continue
        label = "/".join(row.text(name) for name in label_columns) if label_columns else str(len(own))
        if label in own:
            raise row.error(
                f"column 'seed': {model!r} has seed {label!r} twice",
                hint="remove the duplicate, or number the seeds in a column `seed`",
            )
        own[label] = value
        error = finite_number(row, "ground_truth_se")
        if error is not None:
            errors[dataset, model] = error
    known = {
        dataset: {
            model: _measurement(own, errors.get((dataset, model)), labelled=bool(label_columns))
            for model, own in models.items()
            if own
        }
        for dataset, models in seeds.items()
    }
    empty = {dataset: [model for model, own in models.items() if not own] for dataset, models in seeds.items()}
    unknown = {dataset: models for dataset, models in empty.items() if models}
    tasks = {"tasks": tasks_in(rows), "named_tasks": named_tasks_in(rows)}
    return Truth(where=str(table.path), datasets=known, method=chosen, unknown=unknown, **tasks)


def scores_of_run(run: Ranking, where: str) -> Scores:
    """The scores of a run.

    Args:
        run: what `acrank.score` returned, or a record that was read.
        where: what messages call it.

    Raises:
        TableError: a value beyond ±1e100.
    """
    columns: dict[str, Column] = {name: {} for name in run.score_names}
    spread: dict[str, Column] = {name: {} for name in columns}
    reference: dict[str, Column] = {}
    for row in run.rows:
        for name in columns if row.status == "scored" else ():
            value = row.value(name)
            if value is not None:
                check_magnitude(value, f"{where}: {name} of {row.model!r} is")
                columns[name][row.model] = value
                spread[name][row.model] = row.scores[name].sd or 0.0
        for name, figure in row.reference.items():
            check_magnitude(figure, f"{where}: the reference {name!r} of {row.model!r} is")
            reference.setdefault(name, {})[row.model] = float(figure)
    params = {row.model: float(row.params) for row in run.rows if row.params is not None}
    return Scores(
        where=where,
        datasets={"": columns},
        models={"": [row.model for row in run.rows]},
        higher_is_better=dict(run.higher_is_better),
        sd={"": spread},
        params={"": params} if params else {},
        reference={"": reference} if reference else {},
        rank_by=run.rank_by,
        scored_by=run.scored_by,
        lacking=run.lacking,
        trained={"": trained} if (trained := run.trained) else {},
        skipped={row.model: row.reason for row in run.rows if row.status != "scored"},
        target=run.target,
    )


def scores_in(table: CsvTable, only: Sequence[str] = (), method: str | None = None) -> Scores:
    """The scores of a table that was read already; see `read_scores`."""
    path = table.path
    table.require("model", hint="a score table has a column `model` and one column per score")
    names = [name for name in table.columns if (name in only if only else is_score(name, table.columns))]
    has_truth = "ground_truth" in table.columns
    if not names and not has_truth:  # with ground truth the baselines remain
        raise TableError(f"{path} has no score columns", hint="add one column per score beside `model`")
    known = (name for name in table.columns if is_score(name, table.columns))
    ranks = next((name for name in known if f"{name}{INTERVAL[0]}" in table.columns), None)  # it alone has an interval
    scores = Scores(str(path), {}, {}, scored_by=ranks, truth=truth_in(table, method) if has_truth else None)
    for row in table.rows:
        _add_row(scores, row, names)
    return scores


def _add_row(scores: Scores, row: CsvRow, names: Sequence[str]) -> None:
    dataset, model = row.text("dataset"), model_of(row)
    models = scores.models.setdefault(dataset, [])
    columns = scores.datasets.setdefault(dataset, {name: {} for name in names})
    if model not in models:
        models.append(model)
    elif scores.truth is None:
        raise row.error(f"model {model!r} appears twice", hint="keep one row per model")
    if is_skipped(row):
        scores.skipped[model] = row.text("reason")
        return
    for name in names:
        _add_cell(columns[name], row, name)
        if f"{name}_sd" in row.cells:
            _add_cell(scores.sd.setdefault(dataset, {}).setdefault(name, {}), row, f"{name}_sd")
    for column, known in (("params", scores.params), ("refined", scores.trained)):
        if column in row.cells:
            _add_cell(known.setdefault(dataset, {}), row, column)


def _add_cell(column: Column, row: CsvRow, name: str) -> None:
    """Add a value to a column; a long table repeats it for every seed, and must not change it."""
    value, model = finite_number(row, name), row.text("model")
    if value is not None and column.setdefault(model, value) != value:
        raise row.error(
            f"column {name!r} has two values for model {model!r}",
            hint="a score has one value per model and dataset; only ground_truth varies with the seed",
        )


def _choose_method(table: CsvTable, wanted: str | None) -> str | None:
    methods = list(dict.fromkeys(row.text("method") for row in table.rows)) if "method" in table.columns else []
    listed = ", ".join(map(repr, methods))
    if wanted is None and len(methods) > 1:
        raise TableError(f"{table.path} has several methods: {listed}", hint="choose one with --method NAME")
    if wanted is not None and wanted not in methods:
        has = f"it has {listed}" if methods else "it has no column `method`"
        raise TableError(f"{table.path} has no method {wanted!r}", hint=closest(wanted, methods, has))
    return methods[0] if wanted is None and methods else wanted


def _measurement(seeds: dict[str, float], given: float | None, *, labelled: bool) -> Measurement:
    values = list(seeds.values())
    mean = math.fsum(values) / len(values)
    if len(values) > 1:
        given = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    return Measurement(mean=mean, se=given, seeds=tuple(values), labels=tuple(seeds) if labelled else ())
