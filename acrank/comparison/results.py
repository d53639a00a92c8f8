"""The results of a comparison: one ScoreResult per dataset and score, and the Comparison that holds them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.comparison.aligning import AlignedDataset
from acrank.comparison.comparison_record import KIND, SCHEMA_VERSION
from acrank.comparison.plain_words import ENOUGH, words_on
from acrank.comparison.resampling import CORRELATIONS, TAUS, interval, top_names
from acrank.comparison.statistics import Floats
from acrank.system.notebook import first_lines, html_of, short_name
from acrank.system.words import from_to

if TYPE_CHECKING:
    import pandas

    from acrank.system.view import Column, View


#: Of the scale of a figure: what is nearer to 0 is 0 but for the rounding of sums and differences.
_ROUNDING = 1e-12


def zeroed(figures: Floats, scale: float = 1.0) -> Floats:
    """Figures with 0 in place of those that are 0 but for rounding, and of -0.

    Args:
        figures: of any shape; NaN stays.
        scale: how large such a figure is: 1 for correlations, the largest truth for regrets.

    Example:
        >>> zeroed(np.array([3.5e-17, -0.0, 1e-3])).tolist()
        [0.0, 0.0, 0.001]
    """
    return np.where(np.abs(figures) <= _ROUNDING * scale, 0.0, figures)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, draws: Floats, *, scale: float = 1.0) -> Estimate:
        """A value with the percentile interval of its draws; None throughout if the value is undefined.

        Args:
            value: of the figure.
            draws: the figure on every resample.
            scale: of the figure, to tell what is 0 but for rounding; see `zeroed`.
        """
        if not np.isfinite(value):
            return cls(None)
        found = zeroed(np.array([value, *(interval(draws) or ())]), scale).tolist()
        return cls(*found)


@dataclass(frozen=True, kw_only=True)
class ScoreResult:
    """How well one score orders the models of one dataset, or of all datasets on average.

    Attributes:
        dataset: its name; "mean of N" for an average over N datasets.
        score: the column, or the baseline.
        kind: "score", "baseline" (a trivial ranking) or "random" (the distribution of random rankings: the mean, and
            as interval the range of 95% of them).
        higher_is_better: the direction that was used; None for "random".
        n: number of models with both a score and a truth.
        figures: name -> Estimate, all computed with higher meaning better.
        p_values: tau -> two-sided permutation p-value.
        versus: the score that this one is paired with, "" if none.
        difference: weighted tau minus that of `versus`, on the models that have both.
        residual: Pearson's correlation of score and truth, both as ranks less their mean ranks on the other datasets:
            whether the score knows anything about this dataset, beyond which models are good in general. Undefined for
            one dataset, and for baselines.
        flipped: weighted tau of the negated score.
        flip_gain: weighted tau of the negated score minus that of the score.
        without_value: models with a truth that lack this score.
        reason: why figures are undefined, "" if none is.
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
    residual: Estimate = Estimate(None)
    flipped: float | None = None
    flip_gain: Estimate = Estimate(None)
    without_value: tuple[str, ...] = ()
    reason: str = ""

    @property
    def verdict(self) -> str:
        """Against `versus`: "better", "worse" or "undecided"; "" without a difference.

        Undecided is a difference whose interval holds 0, and any among fewer than `ENOUGH` models.
        """
        low, high = self.difference.low, self.difference.high
        if low is None or high is None:
            return ""
        if self.n < ENOUGH:
            return "undecided"
        return "better" if low > 0 else "worse" if high < 0 else "undecided"

    @property
    def better_flipped(self) -> bool:
        """Whether the negated score has the larger weighted tau."""
        return self.flip_gain.value is not None and self.flip_gain.value > 0

    @property
    def summary(self) -> str:
        """The score and its weighted tau in a line."""
        tau = self.figures["weighted_tau"]
        value = "undefined" if tau.value is None else f"{tau.value:.2f}"
        interval = "" if tau.low is None or tau.high is None else f" [{tau.low:.2f}, {tau.high:.2f}]"
        return f"{short_name(self.score)} {value}{interval}, n = {self.n}"

    def to_record(self) -> dict[str, Any]:
        """Plain data, one level deep: `<figure>`, `<figure>_low`, `<figure>_high`, `<tau>_p` and the other fields."""
        record: dict[str, Any] = {"dataset": self.dataset, "score": self.score, "kind": self.kind}
        record |= {"higher_is_better": self.higher_is_better, "n": self.n}
        for name, found in self.figures.items():
            record |= _flat(name, found)
            if name in TAUS:
                record[f"{name}_p"] = self.p_values.get(name)
        record |= {"versus": self.versus or None, **_flat("difference", self.difference)}
        record |= {"verdict": self.verdict or None, **_flat("residual", self.residual)}
        record["flipped_weighted_tau"] = self.flipped
        record |= {**_flat("flip_gain", self.flip_gain), "better_flipped": self.better_flipped}
        return record | {"without_value": list(self.without_value), "reason": self.reason or None}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Scores compared with ground truth.

    Attributes:
        results: per dataset, every score and then the baselines.
        averages: every score and baseline averaged over the datasets where it is defined; empty for one dataset.
        missing: dataset -> {"without_truth": models, "without_score": models}.
        warnings: what a reader of the results must know.
        settings: how they were computed.
        datasets: the aligned columns, for plots.
    """

    results: list[ScoreResult]
    averages: list[ScoreResult]
    missing: dict[str, dict[str, list[str]]]
    warnings: list[str]
    settings: dict[str, Any]
    datasets: list[AlignedDataset] = field(repr=False, default_factory=list)

    @property
    def verdict(self) -> list[str]:
        """How well the score of interest orders the candidates, in a sentence; see `words_on`."""
        return words_on(self.results, self.averages, self.settings["versus"])

    def __repr__(self) -> str:
        found = sorted(
            [result for result in (self.averages or self.results) if result.kind == "score"],
            key=lambda one: -(one.figures["weighted_tau"].value or 0.0),
        )
        names = {result.dataset for result in self.results}
        over = f", mean of {len(names)} datasets" if len(names) > 1 else ""
        head = f"<Comparison of {short_name(self.settings['scores'])} with {short_name(self.settings['truth'])}"
        return "\n".join([f"{head}: weighted tau{over}", *first_lines([result.summary for result in found])]) + ">"

    def _repr_html_(self) -> str:
        return html_of(self.view(), [*self.verdict, *self.warnings])

    def to_record(self) -> dict[str, Any]:
        """The comparison as plain data, ready for JSON."""
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "settings": self.settings,
            "verdict": self.verdict,
            "warnings": self.warnings,
            "missing": self.missing,
            "results": [result.to_record() for result in self.results],
            "averages": [result.to_record() for result in self.averages],
        }

    def to_frame(self) -> pandas.DataFrame:
        """Results and then averages as a DataFrame, one row each, with the columns of the CSV view."""
        import pandas

        view = self.view()
        return pandas.DataFrame(view.rows, columns=pandas.Index(view.columns))

    def view(self) -> View:
        """The comparison ready to be rendered: the results, and below them the averages."""
        from acrank.system.view import View

        records = [result.to_record() for result in (*self.results, *self.averages)]
        columns = list(records[0]) if records else []
        return View(
            columns=columns,
            rows=[[_cell(record[name]) for name in columns] for record in records],
            record=self.to_record(),
            title="Scores against ground truth",
            brief=self._brief(columns),
            layout=self._layout(columns),
            below=[
                (" ".join(filter(None, (result.dataset, result.score))), result.reason)
                for result in (*self.results, *self.averages)
                if result.reason
            ],
            footer=self.verdict,
        )

    def _layout(self, columns: list[str]) -> list[Column]:
        from acrank.system.view import EXTRA, Column

        results = [*self.results, *self.averages]
        several = len({result.dataset for result in results}) > 1
        shown = [Column(name="dataset", priority=1, fit="shorten", least=8, ease=14)] if several else []
        shown += [Column(name="score", priority=0, fit="shorten", least=14, ease=26), Column(name="n", priority=5)]
        shown.append(Column(name="weighted_tau", priority=0, heading="weighted tau"))
        tau = [result.figures.get("weighted_tau", Estimate(None)) for result in results]
        shown.append(Column(name="95% interval", cells=list(map(_ends, tau)), priority=2))
        shown += [Column(name=name, priority=EXTRA) for name in top_names(self.settings["top_k"][0])]
        if several:
            residual = [result.residual for result in results]
            shown.append(Column(name="residual", priority=4))
            shown.append(Column(name="residual 95%", cells=list(map(_ends, residual)), priority=EXTRA))
        if self.settings["versus"]:
            differences = [result.difference for result in results]
            shown += [Column(name="versus", priority=EXTRA + 3, fit="shorten"), Column(name="difference", priority=7)]
            shown.append(Column(name="difference 95%", cells=list(map(_ends, differences)), priority=8))
            shown.append(Column(name="verdict", priority=3))
        shown += [Column(name="weighted_tau_p", priority=EXTRA + 1, heading="weighted tau p")]
        shown += [Column(name=name, priority=EXTRA + 2) for name in CORRELATIONS[1:]]
        return [column for column in shown if column.cells is not None or column.name in columns]

    def _brief(self, columns: list[str]) -> list[str]:
        top = top_names(self.settings["top_k"][0])
        names = ["dataset", "score", "n", *_with_interval("weighted_tau"), "weighted_tau_p"]
        several = len({result.dataset for result in (*self.results, *self.averages)}) > 1
        residual = _with_interval("residual") if several else []
        names += [*CORRELATIONS[1:], *top, *residual, "versus", *_with_interval("difference"), "verdict", "reason"]
        return [name for name in names if name in columns and (name != "dataset" or several)]


def _with_interval(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


def _ends(found: Estimate) -> str | None:
    """The interval in words, None where there is none."""
    return None if found.low is None or found.high is None else from_to(found.low, found.high, ".2f")


def _flat(name: str, found: Estimate) -> dict[str, float | None]:
    return dict(zip(_with_interval(name), (found.value, found.low, found.high), strict=True))


def _cell(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, list) else value
