"""Scatter plots of score against ground truth, one per score and dataset, with names and error bars."""

from __future__ import annotations

import io
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.comparison.aligning import AlignedDataset
from acrank.comparison.results import Comparison, ScoreResult
from acrank.errors import UsageError
from acrank.system.files import atomic_write
from acrank.system.imports import extra
from acrank.system.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The most names in a panel; more would cover the points.
_MAX_NAMES = 60
#: The most panels; more make an image that no viewer opens.
_MAX_PANELS = 400
_SUFFIXES = (".png", ".svg")
_MAX_STYLE = 2**20  # bytes of a matplotlibrc


def check_plot_path(path: Path) -> None:
    """Check before the work that a plot can be written to this path.

    Raises:
        UsageError: the suffix is neither .png nor .svg.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"no plot format for {path.name!r}", hint="end the path in .png or .svg")
    _matplotlib()


def plot_comparison(comparison: Comparison, path: Path) -> None:
    """Write the scatter plots, a row per dataset and a column per score; equal comparisons give equal bytes.

    Horizontal bars: standard deviation of the score over the sampled batches. Vertical bars: 95% interval of the
    truth's mean, 1.96 standard errors. Infinite and missing values are left out.

    Raises:
        UsageError: neither .png nor .svg, or more than 400 panels.
        MissingExtraError: matplotlib is not installed.
        OutputError: the path cannot be written.
    """
    check_plot_path(path)
    matplotlib = _matplotlib()
    kind = path.suffix.lower().removeprefix(".")
    out = io.BytesIO()
    style = {**matplotlib.rcParamsDefault, "svg.hashsalt": "acrank", "font.family": "DejaVu Sans"}
    style.pop("backend")  # no window is opened
    with matplotlib.rc_context(style):
        figure = _draw(comparison)
        figure.savefig(
            out, format=kind, metadata={"Date": None, "Title": "acrank"} if kind == "svg" else {"Software": "acrank"}
        )
    atomic_write(path, out.getvalue())


def _matplotlib() -> Any:
    """The module. It reads a matplotlibrc of the working folder when it is first imported; the plots do not follow it.

    Raises:
        UsageError: that is no ordinary file, or a very large one.
        MissingExtraError: it is not installed.
    """
    found = Path("matplotlibrc")
    if "matplotlib" not in sys.modules and found.exists() and not found.is_dir():
        about = found.stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_STYLE:
            raise UsageError(
                "matplotlib would read ./matplotlibrc, which is no ordinary file of less than 1 MiB",
                hint="run the command in another folder",
            )
    return extra("matplotlib", "report", "plots need")


def _draw(comparison: Comparison) -> Figure:
    from matplotlib.figure import Figure

    results = {(item.dataset, item.score): item for item in comparison.results if item.kind == "score"}
    datasets = [item for item in comparison.datasets if item.name in {dataset for dataset, _ in results}]
    names = list(dict.fromkeys(score for _, score in results))
    if not 0 < len(datasets) * len(names) <= _MAX_PANELS:
        raise UsageError(
            f"cannot plot {len(datasets)} datasets × {len(names)} scores", hint="choose some with --score and --dataset"
        )
    figure = Figure(figsize=(3.6 * len(names), 3.2 * len(datasets)), dpi=100, layout="constrained")
    panels = figure.subplots(len(datasets), len(names), squeeze=False)
    for dataset, row in zip(datasets, panels, strict=True):
        for name, axes in zip(names, row, strict=True):
            if (dataset.name, name) in results:
                _panel(axes, dataset, results[dataset.name, name])
            else:
                axes.set_axis_off()
    return figure


def _panel(axes: Axes, dataset: AlignedDataset, result: ScoreResult) -> None:
    column = dataset.columns[result.score]
    keep = np.isfinite(column)
    x = (column if result.higher_is_better else -column)[keep]
    y = dataset.truth[keep]
    sd = dataset.sd.get(result.score, np.zeros(len(keep)))[keep]
    errors = np.array([1.96 * (item.se or 0.0) for item in dataset.measurements])[keep]
    axes.errorbar(x, y, xerr=sd, yerr=errors, fmt="o", markersize=4, elinewidth=0.8, color="#1f4e79")
    models = [printable(model) for model, kept in zip(dataset.models, keep, strict=True) if kept]
    for i in range(len(models)) if len(models) <= _MAX_NAMES else ():
        axes.annotate(models[i], (x[i], y[i]), xytext=(4, 3), textcoords="offset points", fontsize=6, parse_math=False)
    axes.set_title(printable(_title(dataset, result)), fontsize=8, parse_math=False)
    better = "higher" if result.higher_is_better else "lower"
    axes.set_xlabel(f"{printable(result.score)} ({better} is better)", fontsize=7, parse_math=False)
    axes.set_ylabel("ground truth", fontsize=7)
    axes.tick_params(labelsize=6)


def _title(dataset: AlignedDataset, result: ScoreResult) -> str:
    tau = result.figures["weighted_tau"]
    if tau.value is None:
        text = "weighted tau undefined"
    else:
        interval = "" if tau.low is None else f" [{tau.low:.2f}, {tau.high:.2f}]"
        text = f"weighted tau {tau.value:.2f}{interval}"
    return f"{dataset.name}: {text}, n = {result.n}" if dataset.name else f"{text}, n = {result.n}"
