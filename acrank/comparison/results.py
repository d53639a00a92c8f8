"""What a comparison found: one Result per dataset and score, and the Comparison that holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acrank.comparison.resampling import CORRELATIONS, TAUS, top_names
from acrank.comparison.study import Study

if TYPE_CHECKING:
    import pandas

    from acrank.records import View

SCHEMA_VERSION = 1
KIND = "acrank-comparison"


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Result:
    """How well one score orders the models of one dataset, or of all datasets on average.

    Attributes:
        dataset: its name; "mean of N" for an average over N datasets.
        score: the column, or the baseline.
        kind: "score", "baseline" (a trivial ranking) or "random" (the distribution of random rankings: mean and the
            range of 95% of them, rather than an interval of the mean).
        higher_is_better: the direction that was used; None for "random".
        n: models with both a score and a truth.
        figures: name -> Estimate, all computed with higher meaning better.
        p_values: tau -> two-sided permutation p-value.
        versus: the score that this one is paired with, "" for none.
        difference: weighted tau minus that of `versus`, on the models that have both.
        flipped: weighted tau of the negated score.
        flip_gain: what flipping would add to the weighted tau.
        without_value: models with a truth that lack this score.
        reason: why figures are undefined, "" where none is.
    """

    dataset: str
    score: str
    kind: str
    higher_is_better: bool | None
    n: int
    figures: dict[str, Estimate]
    p_values: dict[str, float] = field(default_factory=dict)
    versus: str = ""
    difference: Estimate = Estimate(None)
    flipped: float | None = None
    flip_gain: Estimate = Estimate(None)
    without_value: tuple[str, ...] = ()
    reason: str = ""

    @property
    def verdict(self) -> str:
        """Against `versus`: "better", "worse" or "undecided" (the interval holds 0); "" without a difference."""
        return _verdict(self.difference)

    @property
    def better_flipped(self) -> bool:
        """Whether the negated score has the larger weighted tau."""
        return self.flip_gain.value is not None and self.flip_gain.value > 0

    def to_record(self) -> dict[str, Any]:
        """Plain data, one level deep: `<figure>`, `<figure>_low`, `<figure>_high`, `<tau>_p` and the rest."""
        record: dict[str, Any] = {"dataset": self.dataset, "score": self.score, "kind": self.kind}
        record |= {"higher_is_better": self.higher_is_better, "n": self.n}
        for name, found in self.figures.items():
            record |= _flat(name, found)
            if name in TAUS:
                record[f"{name}_p"] = self.p_values.get(name)
        record |= {"versus": self.versus or None, **_flat("difference", self.difference)}
        record |= {"verdict": self.verdict or None, "flipped_weighted_tau": self.flipped}
        record |= {**_flat("flip_gain", self.flip_gain), "better_flipped": self.better_flipped}
        return record | {"without_value": list(self.without_value), "reason": self.reason or None}


@dataclass(frozen=True, eq=False)
class Measured:
    """A result, with what averages and differences are made from.

    Attributes:
        result: the figures.
        draws: figure -> [resamples]; empty where the score is undefined.
        column: [n] the score, oriented, NaN where a model lacks it.
    """

    result: Result
    draws: dict[str, NDArray[np.float64]]
    column: NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Scores compared with ground truth.

    Attributes:
        results: per dataset, every score and then the baselines.
        averages: every score and baseline averaged over the datasets where it is defined; empty for one dataset.
        missing: dataset -> {"without_truth": models, "without_score": models}.
        warnings: what a reader must know.
        settings: how it was computed.
        studies: the aligned columns, for plots.
    """

    results: list[Result]
    averages: list[Result]
    missing: dict[str, dict[str, list[str]]]
    warnings: list[str]
    settings: dict[str, Any]
    studies: list[Study] = field(repr=False, default_factory=list)

    def to_record(self) -> dict[str, Any]:
        """The comparison as plain data, ready for JSON."""
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "settings": self.settings,
            "warnings": self.warnings,
            "missing": self.missing,
            "results": [result.to_record() for result in self.results],
            "averages": [result.to_record() for result in self.averages],
        }

    def to_frame(self) -> pandas.DataFrame:
        """Results and then averages, one row each, with the columns of the CSV view."""
        import pandas

        view = self.view()
        return pandas.DataFrame(view.rows, columns=pandas.Index(view.columns))

    def view(self) -> View:
        """The comparison ready to be rendered; averages stand below the results."""
        from acrank.records import View

        records = [result.to_record() for result in (*self.results, *self.averages)]
        columns = list(records[0]) if records else []
        rows = [[_cell(record[name]) for name in columns] for record in records]
        title, brief = "Scores against ground truth", self._brief(columns)
        return View(columns=columns, rows=rows, record=self.to_record(), title=title, brief=brief)

    def _brief(self, columns: Sequence[str]) -> list[str]:
        top = top_names(self.settings["top_k"][0])
        names = ["dataset", "score", "n", *_with_interval("weighted_tau"), "weighted_tau_p"]
        names += [*CORRELATIONS[1:], *top, "versus", *_with_interval("difference"), "verdict", "reason"]
        several = len({result.dataset for result in (*self.results, *self.averages)}) > 1
        return [name for name in names if name in columns and (name != "dataset" or several)]


def _with_interval(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


def _flat(name: str, found: Estimate) -> dict[str, float | None]:
    return dict(zip(_with_interval(name), (found.value, found.low, found.high), strict=True))


def _verdict(difference: Estimate) -> str:
    if difference.low is None or difference.high is None:
        return ""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "undecided"


def _cell(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, list) else value
