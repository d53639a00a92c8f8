"""Outputs never destroy inputs, files of others or a better record."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.workbench import Outcome, make_images

from acrank.cli.outputs import check_spares_weights
from acrank.errors import OutputError
from acrank.records import Ranking, Refined
from acrank.records.joint import joined
from acrank.zoo import load_zoo

Command = Callable[..., Outcome]
WORDS = ("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--samples", 18, "--repeats", 1, "--no-cache")


def test_an_output_that_is_an_input_is_refused(acrank: Command, folder: Path) -> None:
    Path("d.csv").write_text("path,label\na.png,x\n")
    Path("link.csv").symlink_to("d.csv")
    Path("truth.csv").write_text("model,ground_truth\nnet0,1\nnet1,2\n")
    assert acrank(*WORDS, "--allow-code").code == 0
    for command in (
        ["score", "--zoo", "zoo/zoo.yaml", "--data", "d.csv", "-o", "d.csv", "--overwrite"],
        ["score", "--zoo", "zoo/zoo.yaml", "--data", "d.csv", "-o", "link.csv", "--overwrite"],
        ["finetune", "--zoo", "zoo/zoo.yaml", "--data", "d.csv", "-o", "zoo/../d.csv", "--overwrite"],
        ["compare", "run.json", "--truth", "truth.csv", "-o", "truth.csv", "--overwrite"],
        ["merge", "run.json", "-o", "run.json", "--overwrite"],
        ["check", "run.json", "--no-skipped", "-o", "run.json"],
        ["compare", "run.json", "--truth", "truth.csv", "--clusters", "d.csv", "-o", "d.csv", "--overwrite"],
        ["inspect", "--data", "d.csv", "-o", "d.csv", "--overwrite"],
        ["inspect", "--data", "target", "--group-table", "d.csv", "-o", "d.csv", "--overwrite"],
        ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--group-table", "d.csv", "-o", "d.csv", "--overwrite"],
        ["inspect", "--data", "target", "--zoo", "truth.csv", "-o", "truth.csv", "--overwrite"],
        ["zoo", "list", "--zoo", "truth.csv", "-o", "truth.csv", "--overwrite"],
    ):
        before = {path: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}
        done = acrank(*command)
        assert done.code == 2
        assert "is an input of this command" in done.err, done.err
        assert before == {path: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}


def test_a_file_of_somebody_else_is_replaced_only_when_asked(acrank: Command, folder: Path) -> None:
    Path("scores.csv").write_text("pupil,mark\nann,1\n")
    done = acrank(*WORDS, "--allow-code")
    assert done.code == 2
    assert "scores.csv is there and was not written by acrank" in done.err
    assert Path("scores.csv").read_text().startswith("pupil")
    assert acrank(*WORDS, "--allow-code", "--overwrite").code == 0
    assert acrank(*WORDS, "--allow-code").code == 0  # its own


@pytest.mark.parametrize("name", ["notes.md", "notes.txt"])
def test_a_text_of_somebody_else_is_kept_and_a_table_of_acrank_is_replaced(
    acrank: Command, folder: Path, name: str
) -> None:
    Path(name).write_text("# Minutes\n\nrank and file\n")
    done = acrank(*WORDS, "--allow-code", "-o", name)
    assert done.code == 2
    assert Path(name).read_text().startswith("# Minutes")
    assert acrank(*WORDS, "--allow-code", "-o", name, "--overwrite").code == 0
    assert acrank(*WORDS, "--allow-code", "-o", name).code == 0


def test_a_better_record_is_kept(acrank: Command, folder: Path) -> None:
    assert acrank(*WORDS, "--allow-code").code == 0
    good = {name: Path(name).read_bytes() for name in ("run.json", "scores.csv")}
    assert acrank(*WORDS).code == 3  # a forgotten --allow-code
    assert good == {name: Path(name).read_bytes() for name in good}
    assert len(json.loads(Path("run.partial.json").read_text())["rows"]) == 2
    done = acrank(*WORDS, "-q", "--allow-code", "--model", "net0")
    assert done.code == 2  # before anything is computed
    assert "run.json ranks 2 candidates, and this run has 1" in done.err
    assert done.out == ""
    assert good == {name: Path(name).read_bytes() for name in good}
    assert acrank(*WORDS, "--allow-code", "--model", "net0", "--overwrite").code == 0
    assert len(Ranking.load(Path("run.json")).rows) == 1


def test_a_run_in_which_fewer_are_ranked_fails_beside_the_record(acrank: Command, folder: Path) -> None:
    """Its gates would be held against the record that is kept."""
    assert acrank(*WORDS, "--allow-code").code == 0
    good = {name: Path(name).read_bytes() for name in ("run.json", "scores.csv")}
    torch.save({"damaged": torch.zeros(3)}, Path("zoo") / "net1.pth")
    done = acrank(*WORDS, "-q", "--allow-code")
    assert done.code == 2
    assert "run.json is kept, for it says more: 2 ranked (this run: 1 ranked), and this run is in" in done.err
    assert "net0" in done.out
    assert good == {name: Path(name).read_bytes() for name in good}
    assert sum(row.rank is not None for row in Ranking.load(Path("run.partial.json")).rows) == 1
    done = acrank("merge", "run.partial.json", "-o", "run.json")
    assert done.code == 2
    assert "run.json is kept, for it says more: 2 ranked (this run: 1 ranked)" in done.err
    assert acrank("merge", "run.partial.json", "-o", "run.json", "--overwrite").code == 0


def test_a_record_of_another_target_is_kept(acrank: Command, folder: Path) -> None:
    assert acrank(*WORDS, "--allow-code").code == 0
    good = Path("run.json").read_bytes()
    make_images(folder / "other", each=9)
    words = ["other" if word == "target" else word for word in WORDS]
    done = acrank(*words, "--allow-code")
    assert done.code == 2
    assert "run.json is of another target, 'target', and this is 'other'" in done.err
    assert Path("run.json").read_bytes() == good
    assert acrank(*words, "--allow-code", "-o", "other.json").code == 0
    shutil.copy(next(Path("target").rglob("*.png")), next(Path("target").rglob("*.png")).with_name("one_more.png"))
    done = acrank(*WORDS, "--allow-code")  # the same target with another image
    assert done.code == 0, done.err
    assert Path("run.json").read_bytes() != good


def test_a_record_with_trainings_is_not_replaced_by_one_without(acrank: Command, folder: Path) -> None:
    assert acrank(*WORDS, "--allow-code").code == 0
    record = Ranking.load(Path("run.json"))
    record.rows[0].refined = Refined(metric="balanced_accuracy", quality=0.8, low=0.7, high=0.9, rounds=1, epochs=2)
    record.settings["refine"] = {"candidates": 1}
    joined(record).save(Path("run.json"))
    good = Path("run.json").read_bytes()
    done = acrank(*WORDS, "--allow-code")
    assert done.code == 2
    assert "run.json has 1 short training, and this run would have none" in done.err
    assert Path("run.json").read_bytes() == good
    done = acrank(*WORDS, "--allow-code", "--resume")
    assert done.code == 0, done.err
    again = Ranking.load(Path("run.json"))
    assert [row.refined for row in again.rows] == [row.refined for row in joined(record).rows]
    assert again.settings["refine"] == {"candidates": 1}
    assert again.complete


def test_a_full_or_closed_stdout_is_an_error_line(acrank: Command, folder: Path) -> None:
    assert acrank(*WORDS, "--allow-code").code == 0
    for redirect in ("> /dev/full", ">&-"):
        words = f"{shlex.quote(sys.executable)} -m acrank check run.json --no-skipped {redirect}"
        done = subprocess.run(["/bin/sh", "-c", words], capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "stdout" in done.stderr
        assert "Traceback" not in done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_lies_in_the_data_folder_is_no_output(acrank: Command, folder: Path) -> None:
    image = next(Path("target").rglob("*.png"))
    Path("target/labels.csv").write_text("path,label\n")
    Path("target/run.json").write_text("{}")
    before = contents(folder / "target")
    for output in (image, "target/labels.csv", "target/run.json"):
        for more in ([], ["--overwrite"]):
            done = acrank("inspect", "--data", "target", "-o", output, *more)
            assert done.code == 2, done.err
            assert "lies in an input of this command, target" in done.err
    done = acrank(*WORDS, "--allow-code", "-o", "target/labels.csv", "--overwrite")
    assert done.code == 2
    assert contents(folder / "target") == before
    rows = [f"{path},{path.parent.name}\n" for path in sorted(Path("target").rglob("*.png"))]
    Path("table.csv").write_text("path,label\n" + "".join(rows))
    done = acrank("inspect", "--data", "table.csv", "-o", image, "--overwrite")
    assert "is an input of this command" in done.err
    Path("other.png").write_bytes(b"mine")
    assert acrank("inspect", "--data", "table.csv", "-o", "other.png").code == 2
    assert acrank("inspect", "--data", "table.csv", "-o", "other.png", "--overwrite").code == 0
    assert contents(folder / "target") == before
    for _ in range(2):  # what acrank wrote there itself is replaced
        done = acrank("inspect", "--data", "target", "-o", "target/sheet.png", "-o", "target/inspect.json")
        assert done.code == 0, done.err


#: Command -> suffixes of its outputs.
LISTING = {
    "inspect --data target": ".json .csv .md .txt .png",
    "scores": ".json .csv .md .txt",
    "env": ".json .csv .md .txt",
    "zoo list --zoo zoo/zoo.yaml": ".json .csv .md .txt",
    "cache list": ".json .csv .md .txt",
    "check run.json --no-skipped": ".json .csv .md .txt .xml",
    "compare run.json --truth truth.csv": ".json .csv .md .txt",
    "history truth2.csv": ".json .csv .md .txt",
    "history truth2.csv --by model": ".json .csv .md .txt",
    "merge run.json": ".json .csv .md .txt",
}


@pytest.mark.parametrize("words", LISTING)
def test_every_command_replaces_its_own_files_and_asks_before_it_replaces_others(
    acrank: Command, folder: Path, own_cache: Path, words: str
) -> None:
    scored = [word for word in WORDS if word != "--no-cache"]
    assert acrank(*scored, "--allow-code", "-o", "run.json", "-o", "own.txt", "-o", "own.md").code == 0
    Path("truth.csv").write_text("model,ground_truth\nnet0,1\nnet1,2\n")
    Path("truth2.csv").write_text("dataset,model,ground_truth\nold,net0,1\nold,net1,2\n")
    for suffix in LISTING[words].split():
        output = Path(f"out{suffix}")
        for text in ("mine\n", "# My models\n\n| rank | model |\n|---|---|\n", "dataset,score,rater\nx,1,me\n"):
            output.write_text(text)
            done = acrank(*words.split(), "-o", output)
            assert done.code == 2, done.err
            assert f"{output} is there and was not written by acrank" in done.err
            assert output.read_text() == text
        for more in (["--overwrite"], []):
            done = acrank(*words.split(), "-o", output, *more)
            assert done.code == 0, done.err
        if suffix in (".md", ".txt") and not words.startswith("merge"):
            done = acrank(*words.split(), "-o", f"own{suffix}")
            assert "not written by acrank as an output of this command" in done.err
    os.mkfifo("pipe.json")
    done = acrank(*words.split(), "-o", "pipe.json", "--overwrite")
    assert done.code == 2
    assert "no ordinary file" in done.err


def test_a_candidates_folder_keeps_its_files_and_acranks_own_outputs_are_replaced(folder: Path) -> None:
    (folder / "net").mkdir()
    manifest = folder / "zoo.yaml"
    manifest.write_text("version: 1\nmodels: [{id: a, source: 'local-dir:net'}]\n")
    zoo, outputs = load_zoo(manifest), [folder / "net" / "run.json", folder / "net" / "config.json"]
    outputs[0].write_text('{\n "kind": "acrank-run",\n')
    outputs[1].write_text('{"architecture": "resnet18"}')
    check_spares_weights(outputs[:1], zoo, kinds=["ranking"])
    with pytest.raises(OutputError, match=r"config\.json lies in an input of this command"):
        check_spares_weights(outputs, zoo, kinds=["ranking"])


def test_a_scan_replaces_no_checkpoint(acrank: Command, folder: Path) -> None:
    weights = next(Path("zoo").glob("*.pth"), None) or Path("zoo/net.pth")
    weights.write_bytes(b"weights")
    for words in (["scan", "zoo", "-o", weights], ["scan", ".", "-o", f"zoo/../{weights}"]):
        done = acrank("zoo", *words, "--overwrite")
        assert done.code == 2, done.err
        assert "lies in an input of this command" in done.err
        assert weights.read_bytes() == b"weights"


def test_a_history_and_an_output_are_two_files(acrank: Command, folder: Path) -> None:
    done = acrank(*WORDS, "--allow-code", "--refine", 1, "-o", "h.csv", "--append-history", "h.csv")
    assert done.code == 2
    assert "h.csv is read and written by this command" in done.err


LONG = "a" * 300  # no file can be called so; `Path.exists` raises


@pytest.mark.parametrize(
    "command",
    [
        "zoo scan {}",
        "zoo scan zoo -o {}",
        "zoo lock --zoo {}",
        "zoo validate --zoo {}",
        "score --zoo {} --data target",
        "score --zoo zoo/zoo.yaml --data {}",
        "score --zoo zoo/zoo.yaml --data target -o {}.json",
        "score --zoo zoo/zoo.yaml --data target -o r.json --refine 1 --append-history {}",
        "score --zoo zoo/zoo.yaml --data target --history {}",
        "finetune --zoo zoo/zoo.yaml --data target -o t.csv --work-dir {}",
        "finetune --zoo zoo/zoo.yaml --data target -o t.csv --append-history {}",
        "compare {} --truth {}",
        "check {} --no-skipped",
        "merge {}",
        "history {}",
        "report {}",
        "demo --dir {}",
    ],
)
def test_a_name_that_no_file_can_have_is_an_error_of_the_user(acrank: Command, folder: Path, command: str) -> None:
    done = acrank(*command.replace("{}", LONG).split())
    assert done.code in (2, 3), done.err
    assert LONG[:200] in done.err


def test_an_output_beside_which_no_unfinished_run_can_lie(acrank: Command, folder: Path) -> None:
    name = "a" * 247 + ".json"  # `.partial` would make it too long
    assert acrank(*WORDS, "--allow-code", "-o", name).code == 0
    assert acrank(*WORDS, "--allow-code", "-o", name, "--resume").code == 0


def test_the_environment_is_shown_whatever_the_cache_is_called(
    acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACRANK_CACHE", str(folder / LONG))
    assert acrank("env").code == 0
