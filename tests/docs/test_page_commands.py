"""Every command line that README.md and docs/ show: its options parse, and it runs where a machine alone is enough."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.doc_pages import PAGES, README, ROOT, block_with, commands, program
from helpers.workbench import make_masks

import acrank.demo
from acrank.zoo.fingerprint_index import build_index, write_index
from acrank.zoo.fingerprints import timm_fingerprints, torchvision_fingerprints

LINES = [(page, line) for page, line in commands() if re.match(r"acrank\b|docker run\b", line)]
#: What a line needs that a test does not have.
CANNOT = {"cuda": "GPUs", "--ray-address auto": "a Ray cluster", "../shared/": "data that are not in the repository"}
WORKFLOW = ".github/workflows/checkpoint.yml, with checkpoints and images in the repository"
#: Small runs: these set what the lines leave open.
SMALL = {"SAMPLES": "16", "REPEATS": "2", "EPOCHS": "1", "LR": "0.01", "DEVICE": "cpu", "CONFIG": "none"}
#: Name of a checkpoint -> the one of the embedded zoo that it is.
CHECKPOINTS = {"imagenet": "resnet-fundus-lesions", "moco": "resnet-shapes"}


def can_run(line: str) -> bool:
    return not line.startswith("docker") and not any(word in line for word in CANNOT)


RUNNING = [(page, line) for page, line in LINES if can_run(line) and page != README and page.name != "ci.md"]


def words_of(line: str) -> list[str]:
    """The words after `acrank`, also of a line that runs it in a container."""
    words = shlex.split(line, comments=True)
    return words[next(place for place, word in enumerate(words) if word.startswith("acrank")) + 1 :]


def test_lines_are_found_on_every_page_that_shows_one() -> None:
    assert len(LINES) > 35
    assert {page for page, _ in LINES} >= {
        page for page in PAGES if re.search(r"^ *\$ acrank", page.read_text(encoding="utf-8"), re.MULTILINE)
    }


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page.stem}-{i}" for i, (page, _) in enumerate(LINES)])
def test_the_options_of_every_line_parse(page: Path, line: str) -> None:
    root, known = program()
    words = words_of(line)
    if words[0].startswith("-"):
        assert {*words} <= {*root.get_help_option_names(root.make_context("acrank", [], resilient_parsing=True))}
        return
    size = 2 if f"acrank {' '.join(words[:2])}" in known else 1
    command = known[f"acrank {' '.join(words[:size])}"]
    context = command.make_context(line, words[size:])  # raises where an option or a value is not known
    assert {*context.params} >= {param.name for param in command.params if getattr(param, "required", False)}


# --- running them -----------------------------------------------------------------------------------------------------


def run_line(line: str, folder: Path) -> tuple[int, str]:
    """Exit code and all output of a line in bash, as a reader would type it in that folder; trainings get seconds."""
    line = re.sub(r"--refine( \d+)?", r"\g<0> --refine-budget 2s", re.sub(r"--refine-budget \w+", "", line))
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "acrank").write_text(f'#!/bin/sh\nexec {sys.executable} -m acrank "$@"\n')
    (folder / "bin" / "acrank").chmod(0o755)
    small = {f"ACRANK_{name}": value for name, value in SMALL.items()}
    own = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "SLURM_ARRAY_TASK_ID": "1"}
    environment = os.environ | small | own | {"ACRANK_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    return done.returncode, done.stdout + done.stderr


def begin(folder: Path) -> Path:
    """What a reader has: a folder of checkpoints and one of images (and, for speed, the index of two architectures)."""
    (folder / "checkpoints").mkdir(parents=True)
    for name, source in CHECKPOINTS.items():
        weights = acrank.demo.zoo_path().parent / "weights" / f"{source}.safetensors"
        shutil.copy(weights, folder / "checkpoints" / f"{name}.safetensors")
    acrank.demo.make_target(folder / "target", n=60)
    for name, found in (
        ("timm", timm_fingerprints(["test_resnet"])),
        ("torchvision", torchvision_fingerprints(["mobilenet_v2"])),
    ):
        write_index(folder / "cache", name, build_index(found, total=1))
    return folder


def make_small(manifest: Path) -> None:
    """Images of 32 px in place of the size that a scan notes as assumed."""
    text = manifest.read_text()
    assert "size: 160" in text
    small = "defaults:\n  input: {size: 32, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}\n"
    manifest.write_text(text.replace("version: 1\n", f"version: 1\n{small}"))


@pytest.mark.slow
def test_the_readme_leads_from_checkpoints_and_images_to_a_report_and_a_gate(tmp_path: Path) -> None:
    folder = begin(tmp_path / "reader")
    for line in [line for page, line in commands() if page == README and line.startswith("acrank ")]:
        code, said = run_line(line, folder)
        assert code == 0, f"{line}\n{said}"
        if " scan " in line:
            make_small(folder / "zoo.yaml")
    made = {one.name for one in folder.iterdir()} - {"bin", "cache", "checkpoints", "target"}
    assert made - {"run.work"} == {"zoo.yaml", "sheet.png", "run.json", "scores.csv", "report.html"}
    (folder / "run.json").unlink()  # a runner begins with the repository alone
    workflow = yaml.safe_load(block_with(f"# {WORKFLOW}", "yaml", README))
    steps = [step["run"] for step in workflow["jobs"]["checkpoint"]["steps"] if "run" in step]
    for line in [line for line in steps if line.startswith("acrank ")]:
        code, said = run_line(line, folder)
        assert code == 0, f"{line}\n{said}"
    assert (folder / "junit.xml").exists()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages speak of: manifests, a run with its truth, a comparison, records of shards."""
    folder = begin(tmp_path_factory.mktemp("pages") / "folder")
    truth = "model,ground_truth,method\nimagenet,0.6,vanilla\nmoco,0.4,vanilla\n"
    (folder / "history.csv").write_text("dataset,model,ground_truth\nold,imagenet,0.7\nold,moco,0.5\n")
    shutil.copytree(folder / "target", folder / "earlier")
    (folder / "run.work").mkdir()
    for name in ("finetune.csv", "truth.csv", "run.work/truth.csv"):
        (folder / name).write_text(truth)
    run_line("acrank zoo scan ./checkpoints -o zoo.yaml", folder)
    make_small(folder / "zoo.yaml")
    shutil.copy(folder / "zoo.yaml", folder / "model_zoo.yaml")
    for line in (
        "acrank zoo lock",
        "acrank score --zoo zoo.yaml --data target --scores finetunability,ac_corr,logme -o run.json -o scores.csv",
        "acrank compare run.json --truth finetune.csv --method vanilla -o comparison.json",
        "for i in 1 2; do acrank score --zoo zoo.yaml --data target --shard $i/2 -o part-$i.json; done",
    ):
        code, said = run_line(line, folder)
        assert code == 0, f"{line}\n{said}"
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("part", ["settings", "environment", "target", "controls"])
def test_the_open_parts_of_the_record_are_described(prepared: Path, part: str) -> None:
    rows = re.findall(rf"^\| `{part}` \| (.*) \|$", (ROOT / "docs" / "record.md").read_text("utf-8"), re.MULTILINE)
    told = {*re.findall(r"`(\w+)`", rows[-1])}  # the first row of that name is about the type
    assert told - {"refine"} == {*json.loads((prepared / "run.json").read_text("utf-8"))[part]}


#: Outputs that a line writes for the first time.
FRESH = {"zoo.yaml": "zoo scan", "truth.csv": "finetune", "run.json": "merge", "run.work": "--refine"}


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), RUNNING, ids=[f"{page.stem}-{i}" for i, (page, _) in enumerate(RUNNING)])
def test_every_line_runs(page: Path, line: str, prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "folder")
    for name in [name for name, words in FRESH.items() if words in line]:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
    if "--task segmentation" in line:
        shutil.rmtree(folder / "target")
        make_masks(folder / "target", size=96)
    code, said = run_line(line, folder)
    assert code == 0, said
