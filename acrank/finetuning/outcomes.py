"""What finetuning leaves behind: one outcome per run, the truth table, and its summary."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

COLUMNS = ("dataset", "model", "method", "seed", "split", "lr", "metric", "ground_truth")
SUMMARY = ("model", "method", "metric", "mean", "se", "runs", "failed")


@dataclass(frozen=True)
class Outcome:
    """One run: a candidate finetuned by one method, with one seed, on one split.

    Attributes:
        dataset: the target's name.
        model: the candidate's id.
        method: canonical name of the method, such as "ac-norm+l2-sp".
        seed: of the head, the order of batches and augmentation; split: number of the partition, from 0.
        metric: name of the quality measure.
        lr: learning rate that the validation split chose; None where the run failed.
        ground_truth: quality on the test split; None where the run failed.
        trials: per learning rate: `lr`, `validation`, `test`, `epoch` (of the best, from 1), `epochs` (trained).
        reason: why the run failed, empty where it did not.
        details: what else is recorded: sizes of the splits, seconds, digest of the manifest entry.
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
        """The row of the truth table, in the order of COLUMNS; None where there is nothing."""
        return [getattr(self, name) for name in COLUMNS]


@dataclass(frozen=True)
class Results:
    """All outcomes so far, in the order of the plan.

    Attributes:
        outcomes: finished and failed runs.
        settings, environment, target: how they came about.
        warnings: what a reader must know.
    """

    outcomes: list[Outcome]
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def rows(self) -> list[list[Any]]:
        """The truth table, one row per outcome; a failed run has neither learning rate nor ground truth."""
        return [outcome.cells() for outcome in self.outcomes]

    def summary(self) -> list[list[Any]]:
        """Per candidate and method: mean and standard error over its runs (ddof 1), methods in order, best first.

        >>> runs = [Outcome("d", "m", "vanilla", 0, i, "accuracy", 0.1, value) for i, value in enumerate((0.5, 0.7))]
        >>> [[round(x, 3) if isinstance(x, float) else x for x in row] for row in Results(runs).summary()]
        [['m', 'vanilla', 'accuracy', 0.6, 0.1, 2, 0]]
        """
        groups: dict[tuple[str, str, str], list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault((outcome.method, outcome.model, outcome.metric), []).append(outcome)
        methods = list(dict.fromkeys(method for method, _, _ in groups))
        rows = [_summary(*key, group) for key, group in groups.items()]
        return sorted(rows, key=lambda row: (methods.index(row[1]), row[3] is None, -(row[3] or 0.0), row[0]))


def _summary(method: str, model: str, metric: str, group: list[Outcome]) -> list[Any]:
    values = [outcome.ground_truth for outcome in group if outcome.ground_truth is not None]
    mean = math.fsum(values) / len(values) if values else None
    se = None
    if mean is not None and len(values) > 1:
        se = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    return [model, method, metric, mean, se, len(values), len(group) - len(values)]
