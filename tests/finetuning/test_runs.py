"""Runs from end to end: every method learns, the choice of the learning rate, failures, splits of the target's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.finetuning_bench import loaded, make_bench, quick, sample, start
from helpers.workbench import entry, make_images, network, write_zoo

from acrank.comparison.tables import read_truth
from acrank.errors import NothingRankedError, TargetError, UsageError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.flow import finetune
from acrank.finetuning.image_loader import ImageLoader, ImageSource, augmented
from acrank.finetuning.methods import METHODS
from acrank.finetuning.outcomes import COLUMNS, Outcome, Results
from acrank.finetuning.runs import preference
from acrank.finetuning.splits import Part
from acrank.finetuning.tasks.task import Quality
from acrank.finetuning.trainer import Trainer
from acrank.targets import open_target


@pytest.mark.parametrize("method", [*METHODS, "ac-norm+l2-sp", "stochnorm+bn-only+bss"])
def test_each_method_learns_a_separable_target(tmp_path: Path, method: str) -> None:
    zoo, target = make_bench(tmp_path, each=20)
    settings = quick(lrs=[0.1], epochs=12, patience=0)
    outcome = finetune(zoo, target, [method], settings, work_dir=tmp_path / "work").outcomes[0]
    assert outcome.ground_truth is not None
    assert outcome.ground_truth > 0.6, outcome  # chance is a third
    assert outcome.details["sizes"] == {"train": 30, "val": 12, "test": 18}


def test_the_learning_rate_is_chosen_on_validation_and_measured_on_test(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    results = finetune(zoo, target, ["vanilla"], quick(lrs=[1e-6, 0.1]), work_dir=tmp_path / "work", seeds=2)
    for outcome in results.outcomes:
        best = max(outcome.trials, key=lambda trial: (trial["validation"], -trial["validation_loss"]))
        assert (outcome.lr, outcome.ground_truth) == (best["lr"], best["test"])
        for trial in outcome.trials:
            assert len(trial["curve"]) == trial["epochs"]
            assert trial["curve"][trial["epoch"] - 1] == [trial["validation"], trial["validation_loss"]]
    assert [outcome.seed for outcome in results.outcomes] == [0, 1]
    assert results.outcomes[0].trials != results.outcomes[1].trials
    assert results.summary()[0][5:] == [2, 0]


def test_ties_of_learning_rates_go_to_the_lower_loss_then_the_smaller_rate() -> None:
    trials = [
        {"lr": lr, "validation": quality, "validation_loss": loss}
        for lr, quality, loss in ((0.1, 0.8, 0.5), (0.03, 0.8, 0.4), (0.01, 0.8, 0.4), (0.3, 0.7, 0.1))
    ]
    assert [one["lr"] for one in sorted(trials, key=preference, reverse=True)] == [0.01, 0.03, 0.1, 0.3]


def test_a_failed_candidate_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    _, target = make_bench(tmp_path)
    for name in ("bad", "good"):
        torch.save(network(0).state_dict(), tmp_path / "zoo" / f"{name}.pth")
    zoo = write_zoo(tmp_path / "zoo", entry("bad", "broken"), entry("gone"), entry("good"))
    seen: list[Outcome] = []
    results = finetune(
        zoo, target, ["vanilla"], quick(), work_dir=tmp_path / "work", on_result=lambda _, one: seen.append(one)
    )
    assert [(one.model, one.ground_truth is None) for one in seen] == [("bad", True), ("gone", True), ("good", False)]
    assert "ZeroDivisionError" in seen[0].reason
    assert results.rows()[0][COLUMNS.index("ground_truth")] is None
    assert not list((tmp_path / "work").glob("bad*"))  # so that it is tried again
    only = write_zoo(tmp_path / "zoo", entry("bad", "broken"))
    with pytest.raises(NothingRankedError, match="ZeroDivisionError"):
        finetune(only, target, ["vanilla"], quick(), work_dir=tmp_path / "other")


def test_a_rate_that_diverges_is_passed_over(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    settings = quick(lrs=[1e6, 0.03], augment="none")
    outcome = finetune(zoo, target, ["vanilla"], settings, work_dir=tmp_path / "work").outcomes[0]
    assert outcome.trials[0]["epochs"] < 3
    assert outcome.lr == 0.03
    with pytest.raises(NothingRankedError, match="diverged"):
        finetune(zoo, target, ["vanilla"], quick(lrs=[1e6]), work_dir=tmp_path / "other")


def test_rows_feed_compare(tmp_path: Path) -> None:
    from acrank.cli.finetune import write_results

    zoo, target = make_bench(tmp_path, count=2)
    results = finetune(zoo, target, ["vanilla", "bn-only"], quick(), work_dir=tmp_path / "work", splits=2)
    write_results(results, (tmp_path / "truth.csv",))
    truth = read_truth(tmp_path / "truth.csv", method="vanilla")
    found = truth.datasets["target"]["net1"]
    values = [one.ground_truth for one in results.outcomes if (one.model, one.method) == ("net1", "vanilla")]
    assert list(found.seeds) == values
    assert found.labels == ("0/0", "1/0")


def test_the_targets_own_parts(tmp_path: Path) -> None:
    zoo, _ = make_bench(tmp_path)
    own = tmp_path / "own"
    for part in ("train", "val", "test"):
        make_images(own / part, each=6)
    settings = quick(split_by="target")
    outcome = finetune(zoo, own, ["vanilla"], settings, work_dir=tmp_path / "a").outcomes[0]
    assert outcome.details["sizes"] == {"train": 18, "val": 18, "test": 18}
    with pytest.raises(UsageError, match="one split"):
        finetune(zoo, own, ["vanilla"], settings, work_dir=tmp_path / "b", splits=2)
    with pytest.raises(TargetError, match="no splits"):
        finetune(zoo, tmp_path / "target", ["vanilla"], settings, work_dir=tmp_path / "c")
    joined = finetune(zoo, own, ["vanilla"], quick(train_size=9), work_dir=tmp_path / "d").outcomes[0]
    assert joined.details["sizes"] == {"train": 9, "val": 12, "test": 15}


def trainer_of(tmp_path: Path, settings: FinetuneSettings, method: str = "vanilla") -> Trainer:
    target = open_target(make_images(tmp_path / "target"))
    net, methods, candidate = start(method)
    loader = ImageLoader(ImageSource(target, candidate), Part(target, np.arange(len(target))))
    return Trainer(net, methods, train=loader, val=loader, settings=settings, lr=0.1)


def test_the_schedule_is_a_cosine_from_the_rate_to_zero(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, quick(epochs=4, patience=0, batch_size=10))
    rates = []
    step = trainer.optimiser.step
    trainer.optimiser.step = lambda *a: (rates.append(trainer.optimiser.param_groups[0]["lr"]), step())  # type: ignore[assignment,misc]
    while not trainer.finished:
        trainer.run_epoch()
    expected = [0.05 * (1 + np.cos(np.pi * i / 12)) for i in range(12)]
    np.testing.assert_allclose(rates, expected)


def test_patience_stops_and_the_best_epoch_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of(tmp_path, quick(epochs=9, patience=2))
    script = iter([(0.5, 1.0), (0.7, 1.0), (0.7, 0.9), (0.7, 0.95), (0.6, 0.1)])
    monkeypatch.setattr(trainer, "evaluate", lambda part: Quality(*next(script)))
    states = []
    while not trainer.finished:
        trainer.run_epoch()
        states.append({name: part.clone() for name, part in trainer.network.state_dict().items()})
    assert (trainer.epoch, trainer.best_epoch, trainer.best) == (5, 3, (0.7, -0.9))
    assert trainer.curve == [(0.5, 1.0), (0.7, 1.0), (0.7, 0.9), (0.7, 0.95), (0.6, 0.1)]
    trainer.take_best()
    now = trainer.network.state_dict()
    assert all(torch.equal(now[name], part) for name, part in states[2].items())
    assert not all(torch.equal(now[name], part) for name, part in states[4].items())


def test_weight_decay_gives_way_to_l2_sp(tmp_path: Path) -> None:
    settings = quick(weight_decay=0.3)
    assert trainer_of(tmp_path / "a", settings).optimiser.defaults["weight_decay"] == 0.3
    assert trainer_of(tmp_path / "b", settings, "l2-sp").optimiser.defaults["weight_decay"] == 0.0
    adam = trainer_of(tmp_path / "c", quick(optimiser="adamw"))
    assert type(adam.optimiser).__name__ == "AdamW"


def test_augmentation_flips_and_shifts_whole_images() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(32.0).expand(64, 3, 32, 32).clone()
    out = augmented(ramp)
    assert out.shape == ramp.shape
    middle = out[:, 0, 16, 8:24]
    slopes = middle[:, 1] - middle[:, 0]
    assert set(slopes.tolist()) == {-1.0, 1.0}
    shifts = torch.where(slopes > 0, out[:, 0, 16, 16] - 16, out[:, 0, 16, 16] - 15)
    assert set(shifts.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    small = torch.randn(2, 3, 8, 8)
    assert augmented(small).shape == small.shape


def test_large_targets_are_read_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = open_target(make_images(tmp_path / "target"))
    held = ImageSource(target, loaded())
    monkeypatch.setattr("acrank.finetuning.image_loader.HELD_BYTES", 0)
    places = torch.tensor([4, 0, 9])
    torch.testing.assert_close(ImageSource(target, loaded()).batch(places), held.batch(places))


def test_summary_orders_and_counts() -> None:
    run: dict[str, Any] = {"dataset": "d", "method": "vanilla", "seed": 0, "metric": "auc"}
    found = (("a", 0, 0.5), ("b", 0, 0.8), ("b", 1, 0.6))
    runs = [Outcome(**run, model=model, split=split, lr=0.1, ground_truth=value) for model, split, value in found]
    runs.append(Outcome(**run, model="a", split=1, reason="broken"))
    rows = Results(runs).summary()
    assert [row[0] for row in rows] == ["b", "a"]
    assert rows[0][3:5] == [pytest.approx(0.7), pytest.approx(0.1)]
    assert rows[1][3:] == [0.5, None, 1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lrs": [0.0]},
        {"lrs": [float("nan")]},
        {"lrs": [0.1, 0.1]},
        {"optimiser": "lion"},
        {"metric": "f1"},
        {"augment": "heavy"},
        {"split_by": "patient"},
        {"epochs": 0},
        {"patience": -1},
        {"batch_size": 1},
        {"train_size": 0},
        {"val_share": 0.5, "test_share": 0.5},
        {"weight_decay": -1.0},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        quick(**wrong)
    assert caught.value.hint


def test_the_sample_does_not_depend_on_the_global_state() -> None:
    assert torch.equal(sample()[0], sample()[0])
