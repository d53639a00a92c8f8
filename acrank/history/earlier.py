"""Results of finetuning on earlier targets, read from tables of ground truth.

The table is that of `acrank finetune -o` and of `compare --truth`: `model,ground_truth` and optionally `dataset, task,
metric, method, seed, split, ground_truth_se`. A history that grows by `--append-history` has more columns: `protocol`
(digest of how it was finetuned), `target` (fingerprints of the images) and `weights` (SHA-256 of the checkpoint).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from acrank.comparison.csvtable import CsvRow, CsvTable, read_csv
from acrank.comparison.measure_names import TASK_OF_METRIC, known_measure
from acrank.comparison.name_rules import is_same_name
from acrank.comparison.tables import Measurement, truth_in
from acrank.errors import TableError
from acrank.records.borda import borda
from acrank.system.files import sha256_of

#: Columns whose values tell one way of finetuning from another.
PROTOCOL = ("method", "metric", "protocol")


@dataclass(frozen=True, kw_only=True)
class EarlierResults:
    """What one way of finetuning gave on one target.

    Attributes:
        file: where it stands.
        target: its name; of a table without the column `dataset`, that of the file.
        digests: fingerprints of its images, where they are known.
        identity: the same for all results on one target, see `read_history`.
        task: such as "classification", in lower case; else that of the quality measure; empty where neither is known.
        method, metric, protocol: how it was finetuned; empty where that is not known.
        models: model -> its quality, higher is better.
        weights: model -> SHA-256 of its weights, where known.
    """

    file: str
    target: str
    digests: frozenset[str] = frozenset()
    identity: str = ""
    task: str = ""
    method: str = ""
    metric: str = ""
    protocol: str = ""
    models: Mapping[str, Measurement] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def shares(self) -> dict[str, float]:
        """Each model's share of the others that it beat, ties counting half; empty for fewer than two.

        >>> models = {name: Measurement(value) for name, value in (("a", 0.9), ("b", 0.5), ("c", 0.5))}
        >>> EarlierResults(file="t.csv", target="t", models=models).shares
        {'a': 1.0, 'b': 0.25, 'c': 0.25}
        """
        return borda({model: found.mean for model, found in self.models.items()}, higher_is_better=True)


@dataclass(frozen=True, kw_only=True)
class History:
    """Earlier results, and the files that they come from.

    Attributes:
        files: path of each file -> SHA-256 of its content.
        results: one for each target and way of finetuning, in the order of the files.
    """

    files: Mapping[str, str]
    results: Sequence[EarlierResults]

    @property
    def targets(self) -> dict[str, list[EarlierResults]]:
        """The results of each target, by its identity."""
        found: dict[str, list[EarlierResults]] = {}
        for one in self.results:
            found.setdefault(one.identity, []).append(one)
        return found

    def record(self) -> list[dict[str, str]]:
        """Plain data for the run record: name and SHA-256 of each file."""
        return [{"name": Path(path).name, "sha256": digest} for path, digest in self.files.items()]


def read_history(paths: Sequence[Path]) -> History:
    """Read tables of ground truth as a history.

    Results of two files are of one target where a fingerprint agrees, or the name where one of them has no fingerprint.

    Raises:
        TableError: unreadable, a missing column, a duplicate seed, an infinite value, or a file named twice.
    """
    files: dict[str, str] = {}
    results: list[EarlierResults] = []
    for path in paths:
        if str(path) in files:
            raise TableError(f"{path} is named twice", hint="name each history once")
        results += results_in(read_csv(path))
        files[str(path)] = sha256_of(path)
    return History(files=files, results=identified(results))


def as_history(given: History | Sequence[str | Path] | str | Path | None) -> History | None:
    """A history from the path of a table, or from several; None where there is none.

    Raises:
        TableError: see `read_history`.
    """
    if given is None or isinstance(given, History):
        return given
    return read_history([Path(given)] if isinstance(given, str | Path) else [Path(path) for path in given])


def results_in(table: CsvTable) -> list[EarlierResults]:
    """The results of a table that was read already, in the order of its rows."""
    table.require("model", "ground_truth", hint="a history has the columns model,ground_truth[,dataset,task,…]")
    groups: dict[tuple[str, ...], list[CsvRow]] = {}
    for row in table.rows:
        groups.setdefault(tuple(row.text(name) for name in (*PROTOCOL, "dataset", "target")), []).append(row)
    found = (_of_one_target(table, rows) for rows in groups.values())
    return [one for one in found if one is not None]


def _of_one_target(table: CsvTable, rows: list[CsvRow]) -> EarlierResults | None:
    """The results of one way of finetuning on one target, whose name and images all rows share; None without any."""
    first = rows[0]
    way = {name: first.text(name) for name in PROTOCOL}
    models = truth_in(replace(table, rows=rows)).datasets[first.text("dataset")]
    if not models:
        return None
    tasks = {row.text("task").casefold() for row in rows} - {""}
    return EarlierResults(
        file=str(table.path),
        target=first.text("dataset") or table.path.stem,
        digests=frozenset(first.text("target").split()),
        task=next(iter(tasks)) if len(tasks) == 1 else TASK_OF_METRIC.get(known_measure(way["metric"]), ""),
        models=models,
        weights={row.text("model"): row.text("weights") for row in rows if row.text("weights")},
        **way,
    )


def identified(results: Sequence[EarlierResults]) -> list[EarlierResults]:
    """The results with the identity of their target: those that may be of one target share it."""
    identities: list[str] = []
    for place, one in enumerate(results):
        same = next((i for i in range(place) if is_same_target(results[i], one.target, one.digests)), None)
        identities.append(f"{place}: {one.target}" if same is None else identities[same])
    return [replace(one, identity=identity) for one, identity in zip(results, identities, strict=True)]


def is_same_target(one: EarlierResults, name: str, digests: frozenset[str]) -> bool:
    """Whether results are of a target: by its fingerprints, else by its name, in any spelling of `is_same_name`.

    >>> known = EarlierResults(file="t.csv", target="busi", digests=frozenset({"f1"}))
    >>> [is_same_target(known, *other) for other in (("x", frozenset({"f1"})), ("busi", frozenset({"f2"})))]
    [True, False]
    """
    if one.digests and digests:
        return not one.digests.isdisjoint(digests)
    return is_same_name(one.target, name)
