"""`acrank finetune` from the outside: what it prints where, what it writes, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.workbench import Outcome, entry, make_images, network, write_zoo

Command = Callable[..., Outcome]
HEADER = ["dataset", "model", "method", "seed", "split", "lr", "metric", "ground_truth"]


def words(*more: object) -> list[object]:
    quick = ["--epochs", 2, "--lr", "0.1", "--batch-size", 8, "--splits", 2, "--device", "cpu"]
    return ["finetune", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", *quick, *more]


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def test_writes_the_truth_and_prints_the_means(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--method", "vanilla,ac-norm"))
    assert done.code == 0, done.err
    rows = rows_of(folder / "truth.csv")
    assert list(rows[0]) == HEADER
    found = [(row["model"], row["method"], row["split"]) for row in rows]
    assert found == [(m, how, s) for m in ("net0", "net1") for how in ("vanilla", "ac-norm") for s in "01"]
    assert done.out.splitlines()[0] == "target: finetuned, mean over runs (higher is better)"
    assert done.err.splitlines()[-1] == "written: truth.csv"
    said = [
        line for line in done.err.splitlines() if re.match("[0-9]+/8 net", line)
    ]  # off a terminal, one for each run
    assert [line.split("/")[0] for line in said] == [str(run) for run in range(1, 9)]
    assert f"net1 (ac-norm, split 1, seed 0): balanced_accuracy {float(rows[-1]['ground_truth']):.4g} (" in said[-1]
    assert (folder / "truth.work" / "settings.json").exists()
    compared = acrank("compare", write_scores(folder), "--truth", "truth.csv", "--method", "vanilla")
    assert compared.code == 0, compared.err


def write_scores(folder: Path) -> Path:
    path = folder / "scores.csv"
    path.write_text("model,logme\nnet0,0.1\nnet1,0.3\n")
    return path


def test_outputs_by_suffix_and_formats_of_stdout(acrank: Command, folder: Path) -> None:
    done = acrank(*words("-o", "t.json", "-o", "t.csv", "-o", "t.md", "-f", "csv"))
    assert done.code == 0
    assert done.out == (folder / "t.csv").read_text()
    record = json.loads((folder / "t.json").read_text())
    assert [len(record["outcomes"]), record["kind"]] == [4, "acrank-finetune"]
    assert record["settings"]["epochs"] == 2
    assert "| net0 " in (folder / "t.md").read_text()
    again = acrank(*words("-o", "t.json", "-f", "json", "--resume"))
    assert json.loads(again.out)["outcomes"] == record["outcomes"]  # seconds too: nothing ran


def test_a_failed_candidate_is_said_and_the_run_is_done(acrank: Command, folder: Path) -> None:
    torch.save(network(0).state_dict(), folder / "zoo" / "bad.pth")
    write_zoo(folder / "zoo", entry("bad", "broken"), entry("net0"))
    done = acrank(*words())
    assert done.code == 0
    assert "warning: bad (vanilla, split 0, seed 0) failed: ZeroDivisionError" in done.err
    assert [row["ground_truth"] == "" for row in rows_of(folder / "truth.csv")] == [True, True, False, False]
    write_zoo(folder / "zoo", entry("bad", "broken"))
    done = acrank(*words("--work-dir", "other"))
    assert done.code == 3
    assert "none of 2 runs" in done.err
    assert "\nfailed bad (vanilla, split 0, seed 0) and 1 more: ZeroDivisionError" in done.out


@pytest.mark.parametrize(
    ("more", "code", "words_of_error"),
    [
        (["--method", "vanila"], 2, "did you mean 'vanilla'?"),
        (["--method", "ac-norm+stochnorm"], 2, "do the same work"),
        (["--lr", "fast"], 2, "--lr needs numbers"),
        (["--lr", "-1"], 2, "learning rate of -1"),
        (["--metric", "dice"], 2, "unknown classification metric 'dice'"),
        (["--optimiser", "lion"], 2, "unknown --optimiser"),
        (["--seeds", "0"], 2, "seeds"),
        (["--epochs", "many"], 2, "epochs"),
        (["-o", "truth.xlsx"], 2, "no output format"),
        (["-o", "nowhere/truth.csv"], 2, "cannot write"),
        (["--work-dir", "zoo/zoo.yaml/work"], 2, "cannot make"),
        (["--save-dir", "zoo/zoo.yaml/saved"], 2, "cannot make"),
        (["--data", "nowhere"], 3, "cannot read nowhere"),
        (["--split-by", "target", "--splits", "1"], 3, "no splits"),
        (["--model", "net9"], 2, "no model 'net9'"),
        (["--train-size", "2"], 3, "too small"),
        (["--device", "cuda:99"], 2, "not"),
    ],
)
def test_errors(acrank: Command, folder: Path, more: list[str], code: int, words_of_error: str) -> None:
    done = acrank(*words(*more))
    assert done.code == code, done.err
    assert words_of_error in done.err
    assert "error: " in done.err
    assert "hint: " in done.err
    assert not list(folder.glob("*.work/*.pt"))


def test_an_earlier_run_is_not_overwritten_unasked(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    before = (folder / "truth.csv").read_bytes()
    done = acrank(*words())
    assert done.code == 2
    assert "holds an earlier run" in done.err
    assert "--resume" in done.err
    done = acrank(*words("--resume", "--epochs", 3))
    assert (done.code, "settings (epochs) differ" in done.err) == (2, True)
    done = acrank(*words("--resume"))
    assert done.code == 0
    assert (folder / "truth.csv").read_bytes() == before


def test_saves_networks(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--method", "ac-norm", "--save-dir", "saved", "--model", "net0"))
    assert done.code == 0
    assert sorted(path.name for path in (folder / "saved").iterdir()) == [
        "net0__ac-norm__split0__seed0.safetensors",
        "net0__ac-norm__split1__seed0.safetensors",
    ]


def test_saved_networks_are_replaced_only_when_asked_and_weights_never(acrank: Command, folder: Path) -> None:
    saved = folder / "saved" / "net0__vanilla__split0__seed0.safetensors"
    one = words("--save-dir", "saved", "--model", "net0", "--splits", 1)
    assert acrank(*one).code == 0
    before = saved.read_bytes()
    again = [*one, "--work-dir", "again", "--batch-size", 5]
    done = acrank(*again)
    assert done.code == 2
    assert "net0__vanilla__split0__seed0.safetensors is there: a network of an earlier run" in done.err
    assert saved.read_bytes() == before
    assert acrank(*one, "--resume").code == 0  # that very run
    assert acrank(*again, "--overwrite").code == 0
    after = saved.read_bytes()
    assert after != before
    write_zoo(folder / "zoo", entry("net0", weights=str(saved)))
    for more in (["--overwrite"], ["--resume"]):
        done = acrank(*one, "--work-dir", f"third{more[0]}", *more)
        assert done.code == 2, done.err
        assert "is the weights file of a candidate" in done.err
    assert saved.read_bytes() == after


def test_a_folder_of_somebody_else_is_no_work_folder(acrank: Command, folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "runs.json").write_text("x")
    done = acrank(*words("--work-dir", "mine"))
    assert done.code == 2
    assert "mine is no work folder: runs.json is there without settings.json" in done.err
    assert [path.name for path in (folder / "mine").iterdir()] == ["runs.json"]


def test_a_bar_on_a_terminal_and_none_elsewhere(folder: Path) -> None:
    main, other = pty.openpty()
    command = [sys.executable, "-m", "acrank", *map(str, words("--model", "net0"))]
    done = subprocess.Popen(command, stderr=other, stdout=subprocess.PIPE)
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    out, _ = done.communicate()
    assert done.returncode == 0
    assert b"net0, vanilla, split" in shown
    assert b"net0" in out
    assert b"\x1b" not in out


def test_the_embedded_truth_belongs_to_the_embedded_zoo() -> None:
    from acrank.comparison.tables import read_truth
    from acrank.demo import zoo_path
    from acrank.zoo import load_zoo

    path = zoo_path().with_name("truth.csv")
    rows = rows_of(path)
    assert list(rows[0]) == HEADER
    (found,) = read_truth(path).datasets.values()
    assert set(found) == {candidate.id for candidate in load_zoo(zoo_path()).candidates}
    assert all(len(one.seeds) >= 3 and 0 < one.mean < 1 for one in found.values())
    settings = json.loads(zoo_path().with_name("truth_settings.json").read_text())
    assert settings["command"].startswith("acrank finetune ")


def test_the_targets_own_splits_are_one_by_default(acrank: Command, folder: Path) -> None:
    for split in ("Training", "Testing", "dev"):
        make_images(folder / "own" / split, each=4)
    quick = ["--epochs", 1, "--lr", "0.1", "--batch-size", 8, "--device", "cpu", "--model", "net0", "--allow-code"]
    command = ["finetune", "--zoo", "zoo/zoo.yaml", "--data", "own", "--split-by", "target", *quick]
    done = acrank(*command)
    assert done.code == 0, done.err
    assert [row["split"] for row in rows_of(folder / "truth.csv")] == ["0"]
    done = acrank(*command, "--splits", 2, "-o", "two.csv")
    assert done.code == 2
    assert "the target's own splits are one split" in done.err
    done = acrank("finetune", "--zoo", "zoo/zoo.yaml", "--data", "target", *quick, "-o", "three.csv")
    assert done.code == 0, done.err
    assert len(rows_of(folder / "three.csv")) == 3, "three partitions by seed, as ever"


def test_finetuning_keeps_groups_on_one_side(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--model", "net0", "--group-pattern", r"class\d/00\d"))
    assert done.code == 0, done.err
    assert "30 groups of 1 image are kept on one side of every split" in done.err
    assert "data: no splits, 30 groups" in done.err
    done = acrank(*words("--model", "net0", "--group-pattern", r"class\d"))
    assert done.code == 3
    assert "class number 0 has too few groups (1)" in done.err


def test_what_is_noted_is_no_warning(acrank: Command, folder: Path) -> None:
    names = sorted(path.as_posix() for path in Path("target").rglob("*.png"))
    rows = [f"{name},{name.split('/')[1]},{place % 3}" for place, name in enumerate(names)]
    Path("t.csv").write_text("\n".join(["path,label,split", *rows]))
    quick = ["--allow-code", "--model", "net0", "--method", "linear-probe", "--epochs", 1, "--lr", 0.1, "--splits", 1]
    given = ["--group-pattern", "/([0-9]+)[.]", *quick, "-o", "noted.csv"]
    done = acrank("finetune", "--zoo", "zoo/zoo.yaml", "--data", "t.csv", *given)
    assert done.code == 0, done.err
    assert f"data: t: layout table, classification, {len(names)} images" in done.err, "splits called 0, 1, 2 are joined"
    assert "\nnote: " in done.err
    assert "groups of" in done.err
    assert "warning: " not in done.err


def test_the_record_shows_that_no_group_is_in_two_parts(acrank: Command, folder: Path) -> None:
    names = sorted(path.relative_to("target").as_posix() for path in Path("target").rglob("*.png"))
    groups = [f"{name.partition('/')[0]} {place % 5}" for place, name in enumerate(names)]
    lines = [f"{name},{group}" for name, group in zip(names, groups, strict=True)]
    Path("patients.csv").write_text("\n".join(["image,patient", *lines]))
    given = ["--group-table", "patients.csv", "--group-column", "patient"]
    done = acrank(*words("--model", "net0", "--splits", 2, "--seeds", 1, *given, "-o", "grouped.json"))
    assert done.code == 0, done.err
    for outcome in json.loads(Path("grouped.json").read_text())["outcomes"]:
        details = outcome["details"]
        assert sum(details["sizes"].values()) == len(names)
        assert sum(details["groups"].values()) == len(set(groups)), "a group in two parts would count twice"
