"""Stopped anywhere and resumed, a run ends as it would have without the stop."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.finetuning_bench import make_bench, quick
from helpers.locked_folder import locked

from acrank.errors import OutputError, TableError, UsageError
from acrank.finetuning.flow import Progress, finetune
from acrank.finetuning.outcomes import Outcome, Results
from acrank.finetuning.work_folder import RunKey, WorkFolder
from acrank.zoo import load_zoo

METHODS = ["vanilla", "stochnorm", "ac-norm+l2-sp", "delta", "bss"]


def comparable(results: Results) -> list[dict]:
    rows = [dataclasses.asdict(outcome) for outcome in results.outcomes]
    for row in rows:
        row["details"].pop("seconds", None)
    return rows


def test_interrupted_after_any_epoch_the_result_is_identical(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    whole = finetune(zoo, target, METHODS, quick(patience=2), work_dir=tmp_path / "whole")
    stops = 0

    def stop(at: Progress) -> None:
        raise KeyboardInterrupt

    while True:
        try:
            found = finetune(
                zoo, target, METHODS, quick(patience=2), work_dir=tmp_path / "cut", resume=True, on_epoch=stop
            )
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops == sum(trial["epochs"] for outcome in whole.outcomes for trial in outcome.trials)
    assert comparable(found) == comparable(whole)
    assert not list((tmp_path / "cut").glob("*.pt"))


def test_a_finished_run_is_not_trained_again_and_a_larger_plan_extends_it(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    work = tmp_path / "work"
    small = finetune(zoo, target, ["vanilla"], quick(), work_dir=work)
    seen: list[Outcome] = []

    def remember(_: Results, outcome: Outcome) -> None:
        seen.append(outcome)

    larger = finetune(zoo, target, ["vanilla"], quick(), work_dir=work, splits=2, resume=True, on_result=remember)
    assert [outcome.split for outcome in seen] == [1]
    assert comparable(larger)[0] == comparable(small)[0]
    again = finetune(zoo, target, ["bn-only"], quick(), work_dir=work, resume=True)
    assert [(one.method, one.split) for one in again.outcomes] == [("bn-only", 0), ("vanilla", 0), ("vanilla", 1)]


def test_runs_that_were_made_elsewhere_are_taken_as_they_are(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    whole = finetune(zoo, target, ["vanilla", "bn-only"], quick(), work_dir=tmp_path / "whole", splits=2)
    given = [dataclasses.replace(one, ground_truth=0.125) for one in whole.outcomes if one.split == 0]
    other = [dataclasses.replace(one, model="another") for one in whole.outcomes]
    seen: list[tuple[str, int]] = []
    found = finetune(
        *(zoo, target, ["vanilla", "bn-only"]),
        settings=quick(),
        work_dir=tmp_path / "work",
        splits=2,
        earlier=[*given, *other],
        on_result=lambda _, outcome: seen.append((outcome.method, outcome.split)),
    )
    assert seen == [(one.method, 1) for one in whole.outcomes if one.split == 1]
    assert [one for one in found.outcomes if one.split == 0] == given
    rest = [[row for row in comparable(one) if row["split"] == 1] for one in (found, whole)]
    assert rest[0] == rest[1]


def test_runs_of_weights_that_changed_are_done_again(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    work = tmp_path / "work"
    first = finetune(zoo, target, ["vanilla"], quick(), work_dir=work)
    weights = load_zoo(zoo).candidates[0].weights_path
    assert weights is not None
    state = torch.load(weights, weights_only=True)
    torch.save({name: value + 0 for name, value in reversed(state.items())}, weights)  # another file
    seen: list[str] = []
    again = finetune(
        *(zoo, target, ["vanilla"]),
        settings=quick(),
        work_dir=work,
        resume=True,
        on_result=lambda _, outcome: seen.append(outcome.model),
    )
    assert seen == [load_zoo(zoo).candidates[0].id]
    assert f"recomputed: {seen[0]} (its manifest entry, weights or code changed)" in again.warnings
    assert len(again.outcomes) == len(first.outcomes)


def test_other_settings_or_data_cannot_be_resumed(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    work = tmp_path / "work"
    finetune(zoo, target, ["vanilla"], quick(), work_dir=work)
    with pytest.raises(UsageError, match="holds an earlier run"):
        finetune(zoo, target, ["vanilla"], quick(), work_dir=work)
    with pytest.raises(TableError, match=r"resume: settings \(epochs\) differ from"):
        finetune(zoo, target, ["vanilla"], quick(epochs=2), work_dir=work, resume=True)
    image = next(iter(target.rglob("*.png")))
    other = next(path for path in (target / "class2").iterdir())
    image.write_bytes(other.read_bytes())
    with pytest.raises(TableError, match=r"resume: target \(parts\) differ from"):
        finetune(zoo, target, ["vanilla"], quick(), work_dir=work, resume=True)


TRIAL = {"lr": 0.1, "validation": 0.5, "test": 0.5, "epoch": 1, "epochs": 2, "curve": [[0.5, 1.0], None]}
FINISHED = {"dataset": "d", "model": "m", "method": "vanilla", "seed": 0, "split": 0, "metric": "auc"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, ""),
        ({"model": "other"}, "is of another run: other"),
        ({"split": 1}, "is of another run"),
        ({"ground_truth": 7}, "ground_truth: 7.0 is not from -1 to 1"),
        ({"ground_truth": "high"}, "is not a finished run: ground_truth: "),
        ({"ground_truth": None}, "neither a value nor a reason"),
        ({"lr": None}, "lr: None is not above 0"),
        ({"lr": 0.2}, "trials: none has the learning rate 0.2"),
        ({"details": {"seconds": "long"}}, "details.seconds: 'long' is no duration"),
        ({"details": {"seconds": -1.0}}, "details.seconds: -1.0 is no duration"),
        ({"trials": [{}]}, "trials.0.lr: None cannot be"),
        ({"trials": [{**TRIAL, "curve": 7}]}, "trials.0.curve: 7 cannot be"),
        ({"trials": [{**TRIAL, "low": "x"}]}, "trials.0.low: 'x' cannot be"),
    ],
)
def test_a_finished_run_is_believed_only_where_it_can_be_one(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = WorkFolder(tmp_path, {}, resume=False)
    key = RunKey(model="m", method="vanilla", seed=0, split=0)
    record = {**FINISHED, "lr": 0.1, "ground_truth": 0.5, "trials": [TRIAL], **change}
    (tmp_path / f"{key.slug}.json").write_text(json.dumps(record))
    if not message:
        assert folder.outcome(key) == Outcome(**record)  # type: ignore[arg-type]
        return
    with pytest.raises(TableError, match=re.escape(message)) as caught:
        folder.outcome(key)
    assert caught.value.hint == "delete it: that run starts again"


def test_every_run_has_a_file_name_of_its_own() -> None:
    names = ["a/b", "a_b", "a__b", "a b", "A", "ä", "x" * 300, "x" * 301, "a__vanilla", "..", "a.json"]
    slugs = {RunKey(model=name, method="vanilla", split=0, seed=0).slug for name in names}
    assert len(slugs) == len(names)
    assert all(len(slug) < 200 and "/" not in slug for slug in slugs)


DRIVER = """
import os, sys
from acrank.cli import main
import acrank.finetuning.flow, torch
from acrank.zoo.architectures.timm_import import import_timm
import_timm()
torch.set_num_threads(1)
words = sys.argv[1:]
for line in sys.stdin:  # one child per line: the seconds after which it is killed, 0 for never
    import signal, time
    delay = float(line)
    started = time.time()
    child = os.fork()
    if not child:
        sys.stdout = open(os.devnull, "w")
        os._exit(main(words))
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if delay and time.time() - started > delay:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            break
        time.sleep(0.002)
    print(os.waitstatus_to_exitcode(status), time.time() - started, flush=True)
"""


class Driver:
    """Runs the command in fresh forks of one process that has loaded torch, but not used it."""

    def __init__(self, *words: object) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, kill_after: float = 0.0) -> tuple[int, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{kill_after}\n")
        self.process.stdin.flush()
        code, seconds = self.process.stdout.readline().split()
        return int(code), float(seconds)

    def close(self) -> None:
        self.process.communicate()


def keys_of(path: Path) -> list[tuple[str, ...]]:
    if not path.exists():
        return []
    rows = list(csv.DictReader(path.open()))
    return [(row["model"], row["method"], row["split"], row["seed"]) for row in rows]


@pytest.mark.slow
def test_killed_at_twenty_random_moments_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path, count=3)
    words = ["finetune", "--zoo", zoo, "--data", target, "--allow-code", "--method", "vanilla,ac-norm", "--splits", 2]
    words += ["--lr", "0.1,0.03", "--epochs", 8, "--patience", 0, "--batch-size", 8, "--device", "cpu", "--resume"]
    calm = Driver(*words, "-o", tmp_path / "calm.csv")
    code, seconds = calm.run()
    calm.close()
    assert code == 0
    random.seed(0)
    kills, tries = 0, 0
    while kills < 20:  # a plan that ends before its twentieth kill is followed by another one
        path, before, reach = tmp_path / f"killed{tries}.csv", [], seconds / 8
        driver, tries = Driver(*words, "-o", path), tries + 1
        while kills < 20:
            code, _ = driver.run(random.uniform(0.01, reach))
            if code == 0:
                break
            assert code == -9
            kills += 1
            now = keys_of(path)
            assert len(set(now)) == len(now)
            assert set(before) <= set(now)
            reach = reach * 1.3 if now == before else seconds / 8  # on a busy machine starting alone may take longer
            before = now
        else:
            code, _ = driver.run()
        driver.close()
        assert code == 0
        assert path.read_bytes() == (tmp_path / "calm.csv").read_bytes()
        assert len(keys_of(path)) == 3 * 2 * 2


@pytest.mark.parametrize("step", ["outcome", "load_state", "unplanned", "save_outcome", "save_state", "open"])
def test_a_work_folder_that_was_locked_in_mid_run_is_named(tmp_path: Path, step: str) -> None:
    folder = WorkFolder(tmp_path / "work", {}, resume=False)
    key = RunKey(model="a", method="vanilla", seed=0, split=0)
    run = Outcome(dataset="d", model="a", method="vanilla", seed=0, split=0, metric="accuracy", reason="none")
    steps = {
        "outcome": lambda: folder.outcome(key),
        "load_state": lambda: folder.load_state(key),
        "unplanned": lambda: folder.unplanned([key]),
        "save_outcome": lambda: folder.save_outcome(key, run),
        "save_state": lambda: folder.save_state(key, {}),
        "open": lambda: WorkFolder(folder.path, {}, resume=True),
    }
    with locked(folder.path), pytest.raises(OutputError, match=r"cannot (write|make) .*work.*: Permission denied"):
        steps[step]()
