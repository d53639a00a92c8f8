"""`acrank compare` as a user runs it: published values, views, options and errors."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acrank.records import Ranking, Row, Value

FEW = ("--resamples", "100")


def results(acrank: Callable[..., Any], *args: object) -> dict[tuple[str, str], dict[str, Any]]:
    outcome = acrank("compare", *args, *FEW, "-f", "json")
    assert outcome.code == 0, outcome.err
    return {(item["dataset"], item["score"]): item for item in json.loads(outcome.out)["results"]}


def published(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_transrate_values_to_four_decimals(acrank: Callable[..., Any], shared: Path) -> None:
    tables = shared / "tables"
    found = results(acrank, tables / "transrate_repo.csv")
    names = {"pearson": "pearson", "kendall_tau": "kendall_tau", "weighted_kendall_tau": "weighted_tau"}
    checked = 0
    for row in published(tables / "transrate_repo_published_correlations.csv"):
        for score in ("NCE", "LEEP", "LFC", "HScore", "LogME", "TransRate"):
            gap = score == "TransRate" and row["dataset"] in ("model3", "model4", "xmodel3", "xmodel4")
            if row[score] and not gap:
                value = found[row["dataset"], score][names[row["correlation"]]]
                assert value == pytest.approx(float(row[score]), abs=0.5e-4 + 1e-9), (row, score)
                checked += 1
    assert checked == 288


def test_medmnist_values_to_six_decimals_and_two_undefined(acrank: Callable[..., Any], shared: Path) -> None:
    tables = shared / "tables"
    found = results(acrank, tables / "medmnist_source_dataset_selection.csv")
    checked = undefined = 0
    for row in published(tables / "medmnist_source_dataset_published_weighted_tau.csv"):
        for score in set(row) - {"dataset"}:
            result = found[row["dataset"], score]
            if math.isnan(float(row[score])):
                assert result["weighted_tau"] is None
                assert result["reason"].startswith("constant column")
                undefined += 1
            else:
                assert result["weighted_tau"] == pytest.approx(float(row[score]), abs=0.5e-6 + 1e-12)
            checked += 1
    assert (checked, undefined) == (99, 2)


def test_thuml_values_to_three_decimals(acrank: Callable[..., Any], shared: Path) -> None:
    tables = shared / "tables"
    found = results(acrank, tables / "thuml_tllib_model_selection.csv")
    scores = ("HScore", "LEEP", "LogME", "NCE")
    good = {(d, s) for d in ("Caltech101", "CIFAR10", "CIFAR100", "StanfordCars", "SUN397") for s in scores}
    good = (good | {("DTD", "HScore"), ("DTD", "LEEP")}) - {("Caltech101", "LogME"), ("CIFAR100", "LogME")}
    rows = published(tables / "thuml_tllib_published_correlations.csv")
    claims = {row["dataset"]: row for row in rows if row["correlation"] == "weighted_kendall_tau"}
    for dataset, score in good:
        assert found[dataset, score]["weighted_tau"] == pytest.approx(float(claims[dataset][score]), abs=0.0015)
    assert len(good) == 20


def test_mean_rank_elsewhere_reaches_0_837_on_the_supervised_benchmark(
    acrank: Callable[..., Any], shared: Path
) -> None:
    outcome = acrank("compare", shared / "tables" / "sfda_group1_supervised_gt.csv", *FEW, "-f", "json")
    averages = {item["score"]: item for item in json.loads(outcome.out)["averages"]}
    assert averages["mean rank elsewhere"]["weighted_tau"] == pytest.approx(0.837, abs=0.0005)
    assert averages["mean rank elsewhere"]["dataset"] == "mean of 11"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run record of eight models, and its truth beside it; `ac_corr` is recorded as lower is better."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 0.9, size=8)
    rows = []
    for i, value in enumerate(truth):
        drift, alignment = -value + 0.02 * rng.normal(), rng.uniform()
        found = {"channel_alignment": Value(alignment, sd=0.01), "ac_corr": Value(drift, sd=0.01)}
        rows.append(Row(f"m{i}", "scored", scores=found, params=1000 * (i + 1), reference={"top1": 0.7 + 0.01 * i}))
    rows.append(Row("broken", "skipped", reason="no weights"))
    directions = {"channel_alignment": True, "ac_corr": False}
    ranking = Ranking.of(rows, rank_by="channel_alignment", higher_is_better=directions)
    ranking.save(tmp_path / "run.json")
    lines = [f"m{i},{value}" for i, value in enumerate(truth)]
    (tmp_path / "truth.csv").write_text("\n".join(["model,ground_truth", *lines, "late,0.5"]) + "\n")
    return tmp_path


def test_a_run_record_is_compared_in_its_own_directions(acrank: Callable[..., Any], run: Path) -> None:
    found = results(acrank, run / "run.json", "--truth", run / "truth.csv")
    assert found["", "ac_corr"]["weighted_tau"] > 0.8
    assert found["", "ac_corr"]["higher_is_better"] is False
    assert found["", "ac_corr"]["versus"] == "channel_alignment"
    assert {name for _, name in found} == {"channel_alignment", "ac_corr", "params", "reference top1", "random ranking"}


def test_the_direction_of_a_record_stands_above_the_usual_one(acrank: Callable[..., Any], run: Path) -> None:
    ranking = Ranking.load(run / "run.json")
    ranking.higher_is_better["ac_corr"] = True
    ranking.save(run / "other.json")
    found = results(acrank, run / "other.json", "--truth", run / "truth.csv")
    assert found["", "ac_corr"]["higher_is_better"] is True


def test_known_scores_of_a_csv_have_their_direction_and_options_override_it(
    acrank: Callable[..., Any], run: Path
) -> None:
    table = run / "scores.csv"
    rows = Ranking.load(run / "run.json")
    table.write_text(rows.to_frame().to_csv(index=False))
    truth = ("--truth", run / "truth.csv")
    assert results(acrank, table, *truth)["", "ac_corr"]["higher_is_better"] is False
    turned = results(acrank, table, *truth, "--higher-is-better", "ac_corr", "--lower-is-better", "channel_alignment")
    assert turned["", "ac_corr"]["higher_is_better"] is True
    assert turned["", "ac_corr"]["better_flipped"] is True
    assert turned["", "channel_alignment"]["higher_is_better"] is False


def test_warnings_go_to_stderr_and_the_table_to_stdout(acrank: Callable[..., Any], run: Path) -> None:
    outcome = acrank("compare", run / "run.json", "--truth", run / "truth.csv", *FEW, "-v")
    assert outcome.code == 0
    assert "warning: no ground truth for broken\n" in outcome.err
    assert "warning: no score for late\n" in outcome.err
    assert "intervals: 95%, 100 bootstrap samples of models" in outcome.err
    assert "channel_alignment" in outcome.out
    assert "warning" not in outcome.out


def test_a_truth_of_another_task_is_taken_with_its_name_only(acrank: Callable[..., Any], run: Path) -> None:
    ranking = Ranking.load(run / "run.json")
    ranking.target = {"name": "here", "task": "classification"}
    ranking.save(run / "run.json")
    lines = (run / "truth.csv").read_text().splitlines()
    text = "\n".join([f"{lines[0]},dataset,task", *(f"{line},streets,segmentation" for line in lines[1:])])
    (run / "truth.csv").write_text(text)
    words = ("compare", run / "run.json", "--truth", run / "truth.csv", *FEW)
    refused = acrank(*words)
    assert refused.code == 2
    assert "is of the task 'segmentation', the run of 'classification'" in refused.err
    assert "--dataset streets" in refused.err
    taken = acrank(*words, "--dataset", "streets")
    assert taken.code == 0
    assert "the truth is of" not in taken.err


def test_every_view_and_plot_is_written(acrank: Callable[..., Any], run: Path) -> None:
    pytest.importorskip("matplotlib")
    outputs = [run / f"out.{suffix}" for suffix in ("json", "csv", "md", "txt")]
    options = [word for path in outputs for word in ("-o", path)]
    outcome = acrank(
        "compare",
        run / "run.json",
        "--truth",
        run / "truth.csv",
        *FEW,
        *options,
        "--plot",
        run / "plot.svg",
        "-f",
        "csv",
    )
    assert outcome.code == 0, outcome.err
    record = json.loads(outputs[0].read_text())
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert outputs[1].read_text() == outcome.out
    assert [row["score"] for row in rows] == [item["score"] for item in record["results"]]
    assert float(rows[0]["weighted_tau"]) == record["results"][0]["weighted_tau"]
    assert "| channel\\_alignment |" in outputs[2].read_text()
    assert (run / "plot.svg").read_text().startswith("<?xml")


def test_one_dataset_of_several_is_chosen_for_scores_without_a_name(acrank: Callable[..., Any], run: Path) -> None:
    lines = (run / "truth.csv").read_text().splitlines()[1:]
    both = ["dataset,model,ground_truth", *(f"busi,{line}" for line in lines), *(f"drive,{line}" for line in lines)]
    (run / "both.csv").write_text("\n".join(both))
    refused = acrank("compare", run / "run.json", "--truth", run / "both.csv", *FEW)
    assert refused.code == 2
    assert "hint: choose one with --dataset: busi, drive" in refused.err
    found = results(acrank, run / "run.json", "--truth", run / "both.csv", "--dataset", "drive")
    assert found["drive", "mean rank elsewhere"]["weighted_tau"] == pytest.approx(1.0)


def test_seeds_and_methods_of_a_truth(acrank: Callable[..., Any], run: Path) -> None:
    lines = (run / "truth.csv").read_text().splitlines()[1:-1]
    seeds = [f"{line},{seed},full" for line in lines for seed in (1, 2)] + [f"{line},1,linear" for line in lines]
    (run / "seeds.csv").write_text("\n".join(["model,ground_truth,seed,method", *seeds]))
    refused = acrank("compare", run / "run.json", "--truth", run / "seeds.csv", *FEW)
    assert refused.code == 2
    assert "choose one with --method NAME" in refused.err
    found = results(acrank, run / "run.json", "--truth", run / "seeds.csv", "--method", "full")
    assert found["", "ac_corr"]["n"] == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--score", "none"), "has no score 'none'"),
        (("--versus", "none"), "has no score 'none'"),
        (("--lower-is-better", "none"), "has no score 'none'"),
        (("--lower-is-better", "ac_corr", "--higher-is-better", "ac_corr"), "cannot be better both ways"),
        (("--dataset", "none"), "no ground truth for the dataset 'none'"),
        (("--plot", "plot.pdf"), "no plot format"),
        (("--plot", "no/such/folder/plot.png"), "cannot write"),
        (("-o", "out.xlsx"), "no output format"),
        (("--resamples", "5"), "--resamples"),
        (("--top-k", "0"), "--top-k"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_hint(
    acrank: Callable[..., Any], run: Path, options: tuple[str, ...], message: str
) -> None:
    outcome = acrank("compare", run / "run.json", "--truth", run / "truth.csv", *options)
    assert outcome.code == 2
    assert outcome.out == ""
    assert message in outcome.err
    assert "hint: " in outcome.err


def test_scores_without_a_truth_are_refused(acrank: Callable[..., Any], run: Path) -> None:
    outcome = acrank("compare", run / "run.json")
    assert outcome.code == 2
    assert "hint: give the ground truth with --truth" in outcome.err


def test_clusters_come_from_a_file(acrank: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"m{i}" for i in range(8)]
    rows = "".join(f"{name},{i},{i + i % 3}\n" for i, name in enumerate(names))
    Path("long.csv").write_text(f"model,logme,ground_truth\n{rows}")
    Path("near.csv").write_text("model,cluster\n" + "".join(f"{name},c{i // 2}\n" for i, name in enumerate(names)))
    done = acrank("compare", "long.csv", "--clusters", "near.csv", "-f", "json", "-v")
    assert done.code == 0, done.err
    assert json.loads(done.out)["settings"]["interval"] == "percentile bootstrap over clusters of models"
    assert "bootstrap samples of clusters of models" in done.err
    Path("near.csv").write_text("model,cluster\nm0,a\nm0,b\n")
    twice = acrank("compare", "long.csv", "--clusters", "near.csv")
    assert twice.code == 2
    assert "near.csv, line 3" in twice.err or "near.csv" in twice.err
