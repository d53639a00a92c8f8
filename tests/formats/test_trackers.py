"""Rankings in experiment trackers, against MLflow's own store where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acrank.errors import MissingExtraError, UsageError
from acrank.formats import trackers
from acrank.formats.trackers import log_to_mlflow, log_to_wandb
from acrank.records import Ranking, Row, Value


def ranking() -> Ranking:
    rows = [Row(name, "scored", scores={"s": Value(x)}) for name, x in (("a:1/b", 1.0), ("c", 2.0))]
    rows.append(Row("d", "skipped", reason="damaged"))
    about = {"settings": {"seed": 3, "scores": ["s"], "zoo": {"name": "z"}}}
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, **about)


def test_what_mlflow_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    with pytest.raises(UsageError, match="no MLflow run is active"):
        log_to_mlflow(ranking())
    with mlflow.start_run() as run:
        log_to_mlflow(ranking())
    found = mlflow.get_run(run.info.run_id).data
    assert found.metrics == {"acrank.s.a_1/b": 1.0, "acrank.s.c": 2.0, "acrank.ranked": 2.0, "acrank.skipped": 1.0}
    assert found.params == {"acrank.seed": "3", "acrank.scores": "['s']", "acrank.rank_by": "s", "acrank.best": "c"}
    record = next((tmp_path / "store").rglob("run.json"))
    assert Ranking.from_record(json.loads(record.read_text())).best.model == "c"


def test_what_an_offline_run_of_wandb_holds(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    with pytest.raises(UsageError, match="no run of Weights & Biases is active"):
        log_to_wandb(ranking())
    run = wandb.init(mode="offline", dir=str(tmp_path), project="test")
    try:
        log_to_wandb(ranking())
        assert (run.summary["acrank/s.c"], run.summary["acrank/ranked"]) == (2.0, 2.0)
        assert run.config["acrank"]["best"] == "c"
        assert list(tmp_path.rglob("*.table.json"))
    finally:
        run.finish()


def test_a_missing_tracker_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, *_: str) -> None:
        raise MissingExtraError(f"logging needs {module}", hint="")

    monkeypatch.setattr(trackers, "extra", missing)
    for log, package in ((log_to_mlflow, "mlflow-skinny"), (log_to_wandb, "wandb")):
        with pytest.raises(MissingExtraError) as caught:
            log(ranking())
        assert caught.value.hint == f"pip install {package}"
