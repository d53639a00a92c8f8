"""One scatter per score and dataset: score against ground truth, with names and error bars."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.comparison.results import Comparison, Result
from acrank.comparison.study import Study
from acrank.errors import MissingExtraError, UsageError
from acrank.system.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: More names than this would cover the points.
_NAMES = 60
#: More panels than this make an image that nothing opens.
_PANELS = 400
_KINDS = {".png": "png", ".svg": "svg"}


def check_plot(path: Path) -> None:
    """Fail before the work: the suffix must be .png or .svg, and matplotlib installed.

    Raises:
        UsageError, MissingExtraError: otherwise.
    """
    if path.suffix.lower() not in _KINDS:
        raise UsageError(f"no plot format for {path.name!r}", hint="end the path in .png or .svg")
    _matplotlib()


def plot(comparison: Comparison, path: Path) -> None:
    """Write the scatter plots: a row per dataset, a column per score; the same bytes for the same comparison.

    Horizontal bars: standard deviation of the score over the sampled batches. Vertical bars: 95% interval of the
    truth's mean, 1.96 standard errors. Infinite and missing values are left out.

    Raises:
        UsageError: not .png or .svg, or more than 400 panels.
        MissingExtraError: matplotlib is not installed.
        OutputError: the path cannot be written.
    """
    check_plot(path)
    kind = _KINDS[path.suffix.lower()]
    out = io.BytesIO()
    with _matplotlib().rc_context({"svg.hashsalt": "acrank", "font.family": "DejaVu Sans"}):
        figure = _draw(comparison)
        figure.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    atomic_write(path, out.getvalue())


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("plots need matplotlib", hint="pip install 'acrank[report]'") from error
    return matplotlib


def _draw(comparison: Comparison) -> Figure:
    from matplotlib.figure import Figure

    found = [result for result in comparison.results if result.kind == "score"]
    studies = [study for study in comparison.studies if any(result.dataset == study.dataset for result in found)]
    names = list(dict.fromkeys(result.score for result in found))
    if not 0 < len(studies) * len(names) <= _PANELS:
        raise UsageError(
            f"cannot plot {len(studies)} datasets × {len(names)} scores", hint="choose some with --score and --dataset"
        )
    figure = Figure(figsize=(3.6 * len(names), 3.2 * len(studies)), dpi=100, layout="constrained")
    panels = figure.subplots(len(studies), len(names), squeeze=False)
    results = {(result.dataset, result.score): result for result in found}
    for study, row in zip(studies, panels, strict=True):
        for name, axes in zip(names, row, strict=True):
            if (study.dataset, name) in results:
                _panel(axes, study, results[study.dataset, name])
            else:
                axes.set_axis_off()
    return figure


def _panel(axes: Axes, study: Study, result: Result) -> None:
    column = study.columns[result.score]
    keep = np.isfinite(column)
    x = (column if result.higher_is_better else -column)[keep]
    y = study.truth[keep]
    spread = study.sd.get(result.score, np.zeros(len(keep)))[keep]
    errors = np.array([1.96 * (item.se or 0.0) for item in study.measurements])[keep]
    axes.errorbar(x, y, xerr=spread, yerr=errors, fmt="o", markersize=4, elinewidth=0.8, color="#1f4e79")
    models = [model for model, there in zip(study.models, keep, strict=True) if there]
    for i in range(len(models)) if len(models) <= _NAMES else ():
        axes.annotate(models[i], (x[i], y[i]), xytext=(4, 3), textcoords="offset points", fontsize=6, parse_math=False)
    axes.set_title(_title(study, result), fontsize=8, parse_math=False)
    better = "higher" if result.higher_is_better else "lower"
    axes.set_xlabel(f"{result.score} ({better} is better)", fontsize=7, parse_math=False)
    axes.set_ylabel("ground truth", fontsize=7)
    axes.tick_params(labelsize=6)


def _title(study: Study, result: Result) -> str:
    tau = result.figures["weighted_tau"]
    if tau.value is None:
        figure = "weighted tau undefined"
    else:
        reach = "" if tau.low is None else f" [{tau.low:.2f}, {tau.high:.2f}]"
        figure = f"weighted tau {tau.value:.2f}{reach}"
    return f"{study.dataset}: {figure}, n = {result.n}" if study.dataset else f"{figure}, n = {result.n}"
