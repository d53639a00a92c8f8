"""A ranking in an experiment tracker: a run of MLflow, or of Weights & Biases, that the caller has started."""

from __future__ import annotations

import re
from typing import Any

from acrank.errors import MissingExtraError, UsageError
from acrank.records import Ranking
from acrank.system.imports import extra

#: What MLflow takes in the name of a metric; other characters become underscores.
_NOT_IN_NAMES = re.compile(r"[^\w\-./ ]", re.ASCII)
_LONGEST_PARAMETER = 500  # characters of a value in the oldest MLflow that is in use


def log_to_mlflow(ranking: Ranking) -> None:
    """Log a ranking to MLflow's active run: settings as parameters, values as metrics, the record as an artifact.

    Parameters are `acrank.<setting>` and `acrank.best`; metrics `acrank.<score>.<model>` of all scores that have a
    value, `acrank.ranked` and `acrank.skipped`; the artifact is `acrank/run.json`.

    Raises:
        MissingExtraError: mlflow is not installed.
        UsageError: no run is active.
    """
    mlflow = _tracker("mlflow", "mlflow-skinny")
    if mlflow.active_run() is None:
        raise UsageError("no MLflow run is active", hint="call it inside `with mlflow.start_run():`")
    mlflow.log_params(
        {f"acrank.{name}": str(value)[:_LONGEST_PARAMETER] for name, value in _parameters(ranking).items()}
    )
    mlflow.log_metrics({_NOT_IN_NAMES.sub("_", f"acrank.{name}"): value for name, value in _metrics(ranking).items()})
    mlflow.log_dict(ranking.to_record(), "acrank/run.json")


def log_to_wandb(ranking: Ranking) -> None:
    """Log a ranking to the active run of Weights & Biases: the table `acrank/ranking`, settings, and a summary.

    Raises:
        MissingExtraError: wandb is not installed.
        UsageError: no run is active.
    """
    wandb = _tracker("wandb", "wandb")
    if wandb.run is None:
        raise UsageError("no run of Weights & Biases is active", hint="call `wandb.init()` first")
    wandb.run.config.update({"acrank": _parameters(ranking)}, allow_val_change=True)
    wandb.run.log({"acrank/ranking": wandb.Table(columns=ranking.columns(), data=ranking.cells())})
    wandb.run.summary.update({f"acrank/{name}": value for name, value in _metrics(ranking).items()})


def _tracker(module: str, package: str) -> Any:
    try:
        return extra(module, "", "logging needs")
    except MissingExtraError as error:
        raise MissingExtraError(error.message, hint=f"pip install {package}") from error


def _parameters(ranking: Ranking) -> dict[str, Any]:
    plain = {name: value for name, value in ranking.settings.items() if not isinstance(value, dict)}
    best = ranking.best
    return {**plain, "rank_by": ranking.rank_by, "best": best.model if best else None}


def _metrics(ranking: Ranking) -> dict[str, float]:
    counts = {"ranked": [row.rank is not None for row in ranking.rows]}
    counts["skipped"] = [row.status == "skipped" for row in ranking.rows]
    found = {name: float(sum(values)) for name, values in counts.items()}
    for row in ranking.rows:
        for name in row.scores if row.status == "scored" else ():
            if (value := row.value(name)) is not None:
                found[f"{name}.{row.model}"] = value
    return found
