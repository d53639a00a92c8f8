"""What `compare` and `check` read: scores (a run record, a CSV of `acrank score`, a long table) and ground truth.

Datasets are told apart by the `dataset` column; without one everything belongs to the dataset "" (unnamed).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from acrank.comparison.csvtable import CsvTable, read_csv
from acrank.errors import TableError
from acrank.records import RESERVED, Ranking

#: model -> value
Column = dict[str, float]


@dataclass(frozen=True)
class Measurement:
    """The finetuned performance of one model on one dataset; higher is better.

    Attributes:
        mean: mean over the seeds, in the truth's own unit.
        se: standard error of the mean: over the seeds (ddof 1) where there are several, else as given, else None.
        seeds: value of every seed.
        labels: what each seed is called (`split/seed`), so that seeds shared between models can be told; empty
            where the table has neither column.
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
        datasets: dataset -> model -> Measurement; the dataset is "" where the table has no such column.
        method: the finetuning method that was chosen, None where the table names none.
        unknown: dataset -> models that are listed without any value.
    """

    where: str
    datasets: dict[str, dict[str, Measurement]]
    method: str | None = None
    unknown: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """Scores: dataset -> score -> model -> value. A model without a value is absent from the score's column.

    Attributes:
        where: the file, for messages.
        datasets: dataset -> score -> model -> value, scores in the file's order; "" for the unnamed dataset.
        models: dataset -> every model that the file lists, skipped ones too.
        higher_is_better: directions that the file itself records (run records do, tables do not).
        sd: dataset -> score -> model -> standard deviation over the sampled batches, where given.
        params: dataset -> model -> number of parameters, where given.
        reference: dataset -> name -> model -> figure from the manifest, where given.
        rank_by: the score that orders a run record, else None.
        skipped: model -> why it was skipped.
        truth: the ground truth of a long table (one with a `ground_truth` column), else None.
    """

    where: str
    datasets: dict[str, dict[str, Column]]
    models: dict[str, list[str]]
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    sd: dict[str, dict[str, Column]] = field(default_factory=dict)
    params: dict[str, Column] = field(default_factory=dict)
    reference: dict[str, dict[str, Column]] = field(default_factory=dict)
    rank_by: str | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    truth: Truth | None = None

    @property
    def names(self) -> list[str]:
        """Every score of any dataset, in the file's order."""
        return list(dict.fromkeys(name for scores in self.datasets.values() for name in scores))

    def named(self, dataset: str) -> Scores:
        """The same scores, with the unnamed dataset called `dataset`."""
        parts = {name: getattr(self, name) for name in ("datasets", "models", "sd", "params", "reference")}
        renamed = {name: {key or dataset: found for key, found in part.items()} for name, part in parts.items()}
        return Scores(**{**vars(self), **renamed})


def is_score(column: str) -> bool:
    """Whether a column of a table can be a score: not a reserved name, nor a standard deviation.

    >>> is_score("logme"), is_score("params"), is_score("logme_sd")
    (True, False, False)
    """
    return column not in RESERVED and not column.endswith("_sd")


def read_scores(path: Path, *, only: Iterable[str] = (), method: str | None = None) -> Scores:
    """Read a run record (.json), a CSV of `acrank score`, or a long table `dataset,model,ground_truth,<score>…`.

    Args:
        path: the file; anything but .json is read as CSV.
        only: keep these score columns, in this order; all where empty.
        method: for a long table whose truth has several methods, the one to keep.

    Raises:
        TableError: unreadable, a needed column missing, a repeated model, or text where a number belongs.
    """
    found = _from_record(path) if path.suffix.lower() == ".json" else _from_csv(path, list(only), method)
    return _chosen(found, list(only)) if only else found


def read_truth(path: Path, *, method: str | None = None) -> Truth:
    """Read ground truth: `model,ground_truth` and optionally `dataset, ground_truth_se, method, seed, split`.

    Repeated rows of a model are its seeds. Rows with an empty `ground_truth` count as unknown.

    Raises:
        TableError: unreadable, a needed column missing, several methods and none chosen, a seed given twice, an
            infinite value or a negative standard error.
    """
    return truth_of(read_csv(path), method=method)


def truth_of(table: CsvTable, *, method: str | None = None) -> Truth:
    """The ground truth in a table that was read already; see `read_truth`."""
    table.require("model", "ground_truth", hint="a truth table has the columns model,ground_truth")
    chosen = _method(table, method)
    seeds: dict[tuple[str, str], dict[str, float]] = {}
    errors: dict[tuple[str, str], float] = {}
    listed: dict[str, dict[str, None]] = {}
    for i in range(len(table.rows)):
        if chosen is not None and table.text(i, "method") != chosen:
            continue
        key = (table.text(i, "dataset"), _model(table, i))
        listed.setdefault(key[0], {})[key[1]] = None
        value = _finite(table, i, "ground_truth")
        if value is not None:
            own = seeds.setdefault(key, {})
            label = _label(table, i, len(own))
            if label in own:
                raise TableError(
                    f"{table.path}, line {table.lines[i]}: column 'seed': {key[1]!r} has seed {label!r} twice",
                    hint="remove the duplicate, or number the seeds in a column `seed`",
                )
            own[label] = value
            error = _finite(table, i, "ground_truth_se") if "ground_truth_se" in table.columns else None
            if error is not None:
                errors[key] = error
    known: dict[str, dict[str, Measurement]] = {dataset: {} for dataset in listed}
    for key, own in seeds.items():
        known[key[0]][key[1]] = _measurement(own, errors.get(key), bool({"seed", "split"} & set(table.columns)))
    unknown = {dataset: [m for m in models if m not in known[dataset]] for dataset, models in listed.items()}
    return Truth(str(table.path), known, chosen, {dataset: models for dataset, models in unknown.items() if models})


def _from_record(path: Path) -> Scores:
    run = Ranking.load(path)
    columns: dict[str, Column] = {name: {} for name in run.score_names}
    spread: dict[str, Column] = {name: {} for name in columns}
    reference: dict[str, Column] = {}
    params: Column = {}
    for row in run.rows:
        for name in columns if row.status == "scored" else ():
            value = row.value(name)
            if value is not None:
                columns[name][row.model] = value
                spread[name][row.model] = row.scores[name].sd or 0.0
        for name, figure in row.reference.items():
            reference.setdefault(name, {})[row.model] = float(figure)
        if row.params is not None:
            params[row.model] = float(row.params)
    return Scores(
        str(path),
        {"": columns},
        {"": [row.model for row in run.rows]},
        higher_is_better=dict(run.higher_is_better),
        sd={"": spread},
        params={"": params} if params else {},
        reference={"": reference} if reference else {},
        rank_by=run.rank_by,
        skipped={row.model: row.reason for row in run.rows if row.status != "scored"},
    )


def _from_csv(path: Path, only: list[str], method: str | None) -> Scores:
    table = read_csv(path)
    table.require("model", hint="a score table has a column `model` and one column per score")
    names = [name for name in table.columns if (name in only if only else is_score(name))]
    if not names and "ground_truth" not in table.columns:  # with ground truth the baselines remain
        raise TableError(f"{path} has no score columns", hint="add one column per score beside `model`")
    scores = Scores(
        str(path), {}, {}, truth=truth_of(table, method=method) if "ground_truth" in table.columns else None
    )
    for i in range(len(table.rows)):
        _add_row(scores, table, i, names)
    return scores


def _add_row(scores: Scores, table: CsvTable, i: int, names: list[str]) -> None:
    dataset, model = table.text(i, "dataset"), _model(table, i)
    models = scores.models.setdefault(dataset, [])
    columns = scores.datasets.setdefault(dataset, {name: {} for name in names})
    if model not in models:
        models.append(model)
    elif scores.truth is None:
        raise TableError(
            f"{table.path}, line {table.lines[i]}: model {model!r} is there twice", hint="keep one row per model"
        )
    if table.text(i, "status") == "skipped":
        scores.skipped[model] = table.text(i, "reason")
        return
    for name in names:
        _add(columns[name], model, table, i, name)
        if f"{name}_sd" in table.columns:
            _add(scores.sd.setdefault(dataset, {}).setdefault(name, {}), model, table, i, f"{name}_sd")
    if "params" in table.columns:
        _add(scores.params.setdefault(dataset, {}), model, table, i, "params")


def _add(column: Column, model: str, table: CsvTable, i: int, name: str) -> None:
    """Put a value in a column; a long table with seeds repeats it, and must not change it."""
    value = table.number(i, name)
    if value is None or math.isnan(value):
        return
    if column.setdefault(model, value) != value:
        raise TableError(
            f"{table.path}, line {table.lines[i]}: column {name!r} has two values for model {model!r}",
            hint="a score has one value per model and dataset; only ground_truth varies with the seed",
        )


def _chosen(scores: Scores, only: list[str]) -> Scores:
    for name in only:
        if name not in scores.names:
            raise TableError(f"{scores.where} has no score {name!r}", hint=f"it has {', '.join(scores.names)}")
    datasets = {key: {name: found[name] for name in only} for key, found in scores.datasets.items()}
    rank_by = scores.rank_by if scores.rank_by in only else None
    return Scores(**{**vars(scores), "datasets": datasets, "rank_by": rank_by})


def _method(table: CsvTable, wanted: str | None) -> str | None:
    methods = list(dict.fromkeys(row["method"] for row in table.rows)) if "method" in table.columns else []
    if wanted is None and len(methods) > 1:
        raise TableError(
            f"{table.path} has several methods: {', '.join(map(repr, methods))}", hint="choose one with --method NAME"
        )
    if wanted is not None and wanted not in methods:
        has = f"it has {', '.join(map(repr, methods))}" if methods else "it has no column `method`"
        raise TableError(f"{table.path} has no method {wanted!r}", hint=has)
    return methods[0] if wanted is None and methods else wanted


def _model(table: CsvTable, i: int) -> str:
    name = table.text(i, "model")
    if not name:
        raise TableError(f"{table.path}, line {table.lines[i]}: column 'model' is empty", hint="name every model")
    return name


def _label(table: CsvTable, i: int, count: int) -> str:
    parts = [table.text(i, column) for column in ("split", "seed") if column in table.columns]
    return "/".join(parts) if parts else str(count)


def _finite(table: CsvTable, i: int, column: str) -> float | None:
    value = table.number(i, column)
    if value is None or math.isnan(value):
        return None
    if math.isinf(value) or (column == "ground_truth_se" and value < 0):
        raise TableError(
            f"{table.path}, line {table.lines[i]}: column {column!r} holds {value}",
            hint="leave the cell empty where there is no value",
        )
    return value


def _measurement(seeds: dict[str, float], given: float | None, labelled: bool) -> Measurement:
    values = list(seeds.values())
    mean = math.fsum(values) / len(values)
    if len(values) > 1:
        given = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    return Measurement(mean, given, tuple(values), tuple(seeds) if labelled else ())
