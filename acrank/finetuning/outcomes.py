"""Results of finetuning: one outcome per run, the truth table, its summary, and the JSON record."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acrank.system.view import View

COLUMNS = ("dataset", "model", "method", "seed", "split", "lr", "metric", "ground_truth")
SUMMARY_COLUMNS = ("model", "method", "metric", "mean", "se", "runs", "failed")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run: a candidate finetuned by one method, with one seed, on one split.

    Attributes:
        dataset: the target's name.
        model: the candidate's id.
        method: canonical name of the method, such as "ac-norm+l2-sp".
        seed: of the head, the order of batches and the augmentation.
        split: number of the partition, from 0.
        metric: name of the quality measure.
        lr: learning rate chosen on the validation split; None for a failed run.
        ground_truth: quality on the test split; None for a failed run.
        trials: one dict per learning rate: `lr`, `validation`, `test`, `epoch` (the best one, from 1), `epochs`
            (trained), `curve` (validation quality and loss after every epoch, None where they were not finite).
        reason: why the run failed, else empty.
        details: sizes of the parts, seconds, digest of manifest entry, weights and code, notes; `short_of_memory`
            says how many images went through together where a step's were too many.
    """

    dataset: str
    model: str
    method: str
    seed: int
    split: int
    metric: str
    lr: float | None = None
    ground_truth: float | None = None
    trials: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> list[Any]:
        """The row of the truth table, in the order of COLUMNS; a failed run has None for `lr` and `ground_truth`."""
        return [getattr(self, name) for name in COLUMNS]


def check_outcome(outcome: Outcome) -> None:
    """Hold an outcome that was read again against what its types do not say.

    Raises:
        ValueError: a run without a value or a reason, a value out of range, or a damaged trial; the text names it.

    Example:
        >>> check_outcome(Outcome(dataset="d", model="m", method="vanilla", seed=0, split=0, metric="auc"))
        Traceback (most recent call last):
        ...
        ValueError: ground_truth: neither a value nor a reason is there
    """
    value = outcome.ground_truth
    if value is None:
        if not outcome.reason:
            raise ValueError("ground_truth: neither a value nor a reason is there")
    elif not -1 <= value <= 1:
        raise ValueError(f"ground_truth: {value} is not from -1 to 1")
    elif outcome.lr is None or outcome.lr <= 0:
        raise ValueError(f"lr: {outcome.lr} is not above 0")
    seconds = outcome.details.get("seconds", 0.0)
    if not _is_number(seconds) or not 0 <= seconds < math.inf:
        raise ValueError(f"details.seconds: {seconds!r} is no duration")
    for place, trial in enumerate(outcome.trials):
        numbers = {name: trial.get(name) for name in ("validation", "test", "low", "high", "epoch")}
        odd = [name for name, number in numbers.items() if number is not None and not _is_number(number)]
        odd += [name for name in ("lr", "epochs") if not _is_number(trial.get(name))]
        odd += [] if isinstance(trial.get("curve"), list) else ["curve"]
        if odd:
            raise ValueError(f"trials.{place}.{odd[0]}: {trial.get(odd[0])!r} cannot be")
    if value is not None and outcome.lr not in [trial["lr"] for trial in outcome.trials]:
        raise ValueError(f"trials: none has the learning rate {outcome.lr}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Results:
    """All outcomes so far, in the order of the plan.

    Attributes:
        outcomes: finished and failed runs.
        settings, environment, target: what they depend on.
        warnings: notes on the target for the reader.
    """

    outcomes: list[Outcome]
    _: KW_ONLY
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def rows(self) -> list[list[Any]]:
        """The truth table, one row per outcome, in the order of COLUMNS."""
        return [outcome.cells() for outcome in self.outcomes]

    def summary(self) -> list[list[Any]]:
        """Mean and standard error (ddof 1) over the runs of each candidate and method: methods in order, best first.

        >>> run = dict(dataset="d", model="m", method="vanilla", seed=0, metric="accuracy")
        >>> runs = [Outcome(**run, split=i, ground_truth=value) for i, value in enumerate((0.5, 0.7))]
        >>> [[round(x, 3) if isinstance(x, float) else x for x in row] for row in Results(runs).summary()]
        [['m', 'vanilla', 'accuracy', 0.6, 0.1, 2, 0]]
        """
        groups: dict[tuple[str, str, str], list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault((outcome.method, outcome.model, outcome.metric), []).append(outcome)
        methods = list(dict.fromkeys(method for method, _, _ in groups))
        rows = [[model, method, metric, *_statistics(group)] for (method, model, metric), group in groups.items()]
        return sorted(rows, key=lambda row: (methods.index(row[1]), row[3] is None, -(row[3] or 0.0), row[0]))

    def to_record(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        summary = [dict(zip(SUMMARY_COLUMNS, row, strict=True)) for row in self.summary()]
        return {"kind": "acrank-finetune", "schema_version": 1, "summary": summary, **dataclasses.asdict(self)}

    def view(self, format_name: str) -> View:
        """The results for one of FORMATS: every run for "csv" and "json", the summary for "table" and "markdown"."""
        from acrank.system.view import Column, View

        summary = [
            Column(name="model", priority=0, fit="shorten", least=14, ease=27),
            Column(name="method", priority=2, fit="shorten", least=10),
            Column(name="metric", priority=5, fit="shorten", least=10),
            Column(name="mean", priority=0),
            Column(name="se", priority=1),
            Column(name="runs", priority=4),
            Column(name="failed", priority=3),
        ]
        every_run = format_name in ("csv", "json")
        return View(
            columns=list(COLUMNS if every_run else SUMMARY_COLUMNS),
            rows=self.rows() if every_run else self.summary(),
            record=self.to_record(),
            title=f"{self.target.get('name', 'target')}: finetuned, mean over runs (higher is better)",
            layout=[] if every_run else summary,
            below=[] if every_run else self._failures(),
        )

    def _failures(self) -> list[tuple[str, str]]:
        """The reasons of failed runs, each with the first run that it ended and how many more."""
        reasons: dict[str, list[str]] = {}
        for one in self.outcomes:
            if one.reason:
                where = f"failed {one.model} ({one.method}, split {one.split}, seed {one.seed})"
                reasons.setdefault(one.reason, []).append(where)
        return [
            (runs[0] + (f" and {len(runs) - 1} more" if runs[1:] else ""), reason) for reason, runs in reasons.items()
        ]


def _statistics(outcomes: list[Outcome]) -> list[Any]:
    """Mean, standard error, number of finished runs, number of failed runs; None for what is undefined."""
    values = [outcome.ground_truth for outcome in outcomes if outcome.ground_truth is not None]
    mean = math.fsum(values) / len(values) if values else None
    se = None
    if mean is not None and len(values) > 1:
        se = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    return [mean, se, len(values), len(outcomes) - len(values)]
