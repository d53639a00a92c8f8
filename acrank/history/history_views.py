"""A history as a table: its targets, or its candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from acrank.history.earlier import EarlierResults, History
from acrank.history.priors import priors_of
from acrank.system.view import Column, View

_TARGETS = ("target", "task", "method", "metric", "candidates", "runs", "best", "ground_truth", "protocol", "file")
_CANDIDATES = ("model", "task", "targets", "share", "weights")


def targets_view(history: History) -> View:
    """One row for each target and way of finetuning: how many candidates and runs, and which candidate was best.

    Example:
        >>> from acrank.comparison.tables import Measurement
        >>> models = {"a": Measurement(0.9), "b": Measurement(0.5)}
        >>> history = History(files={}, results=[EarlierResults(file="t.csv", target="busi", models=models)])
        >>> targets_view(history).rows
        [['busi', '', '', '', 2, 2, 'a', 0.9, '', 't.csv']]
    """
    layout = [
        Column(name="target", priority=0, fit="shorten", least=12, ease=24),
        Column(name="task", priority=1, fit="wrap"),
        Column(name="method", priority=5, fit="wrap"),
        Column(name="metric", priority=4, fit="wrap"),
        Column(name="candidates", priority=0),
        Column(name="runs", priority=3),
        Column(name="best", priority=1, fit="shorten", least=12, ease=27),
        Column(name="ground_truth", priority=2, heading="ground truth"),
        Column(name="protocol", priority=7, fit="shorten"),
        Column(name="file", priority=6, fit="shorten"),
    ]
    rows = [_target_row(one) for one in history.results]
    return _view(history, _TARGETS, rows, title="Earlier targets", layout=layout)


def candidates_view(history: History) -> View:
    """One row for each candidate and task: on how many targets it was finetuned, and its mean share of rivals beaten.

    Candidates in the order of their shares, best first. `weights` says how many checkpoints the name stands for.
    """
    models = sorted({model for one in history.results for model in one.models})
    rows = []
    for task in sorted({one.task for one in history.results}):
        of_task = History(files=history.files, results=[one for one in history.results if one.task == task])
        priors = priors_of(of_task, dict.fromkeys(models)).priors
        for model, prior in sorted(priors.items(), key=lambda item: (-item[1].value, item[0])):
            weights = {one.weights[model] for one in of_task.results if model in one.weights}
            rows.append([model, task, prior.targets, prior.value, len(weights) or None])
    layout = [
        Column(name="model", priority=0, fit="shorten", least=14, ease=30),
        Column(name="task", priority=1, fit="wrap"),
        Column(name="targets", priority=0),
        Column(name="share", priority=0, digits=2, legend="share: of the others that it beat, mean over targets"),
        Column(name="weights", priority=3),
    ]
    return _view(history, _CANDIDATES, rows, title="Candidates of the history", layout=layout)


#: What `acrank history --by` lists.
LISTINGS: Mapping[str, Callable[[History], View]] = {"target": targets_view, "model": candidates_view}


def _target_row(one: EarlierResults) -> list[Any]:
    best = max(sorted(one.models), key=lambda model: one.models[model].mean)
    runs = sum(max(1, len(found.seeds)) for found in one.models.values())
    about = [one.target, one.task, one.method, one.metric, len(one.models), runs]
    return [*about, best, one.models[best].mean, one.protocol, one.file]


def _view(
    history: History, columns: tuple[str, ...], rows: list[list[Any]], *, title: str, layout: list[Column]
) -> View:
    record = {
        "kind": "acrank-history",
        "schema_version": 1,
        "files": history.record(),
        "rows": [dict(zip(columns, row, strict=True)) for row in rows],
    }
    return View(columns=list(columns), rows=rows, record=record, title=title, layout=layout)
