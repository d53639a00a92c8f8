"""`acrank zoo list` and `acrank zoo validate`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

TEXT = """\
version: 1
models:
  - {id: "net[final]", source: resnet18.a1_in1k, license: mit, tags: [a, b]}
  - {id: mine, architecture: test_resnet, weights: w.safetensors}
"""
MINE = """\
import sys
from acrank.zoo.architectures.timm_import import import_timm
from safetensors.torch import save_file
save_file(import_timm().create_model("test_resnet").state_dict(), sys.argv[1])
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    subprocess.run([sys.executable, "-c", MINE, str(path)], check=True)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes) -> Path:
    (tmp_path / "model_zoo.yaml").write_text(TEXT)
    (tmp_path / "w.safetensors").write_bytes(weights)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list_reads_model_zoo_yaml_here(acrank: Callable, folder: Path) -> None:
    done = acrank("zoo", "list", "-f", "csv")
    assert done.code == 0
    assert done.err == ""
    assert done.out.splitlines() == [
        "model,network,weights,license,tags",
        'net[final],resnet18.a1_in1k,,mit,"a, b"',
        "mine,test_resnet,w.safetensors,,",
    ]


def test_list_as_table_prints_ids_whole(acrank: Callable, folder: Path) -> None:
    assert "net[final]" in acrank("zoo", "list").out


def test_list_as_json_is_the_record(acrank: Callable, folder: Path) -> None:
    record = json.loads(acrank("zoo", "list", "-f", "json", "-o", folder / "out.json").out)
    assert record == json.loads((folder / "out.json").read_text())
    assert record["kind"] == "acrank-zoo"
    assert record["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert record["models"][1] == {"id": "mine", "architecture": "test_resnet", "weights": "w.safetensors"}


def test_list_writes_other_formats(acrank: Callable, folder: Path) -> None:
    assert acrank("zoo", "list", "-o", folder / "out.csv", "-o", folder / "out.md").code == 0
    assert (folder / "out.csv").read_text().startswith("model,network")
    assert "net\\[final\\]" in (folder / "out.md").read_text()


def test_list_refuses_a_wrong_output_or_manifest(acrank: Callable, folder: Path) -> None:
    assert acrank("zoo", "list", "-o", folder / "out.pdf").code == 2
    missing = acrank("zoo", "list", "--zoo", folder / "nowhere.yaml")
    assert (missing.code, missing.out) == (2, "")
    assert "error: cannot read" in missing.err
    (folder / "model_zoo.yaml").write_text(TEXT.replace("license", "licence"))
    wrong = acrank("zoo", "list")
    assert wrong.code == 2
    assert wrong.err == (
        "error: model_zoo.yaml:3: model 'net[final]': unknown key 'licence'\nhint: did you mean 'license'?\n"
    )


def test_a_missing_manifest_names_those_beside_it(acrank: Callable, folder: Path) -> None:
    (folder / "model_zoo.yaml").rename(folder / "zoo.yaml")
    (folder / "gates.yaml").write_text("gates:\n  - {classes: [a]}\n")
    (folder / "pipe.yml").mkdir()
    for words in (["zoo", "list"], ["zoo", "validate"], ["zoo", "lock"], ["score", "--data", "x.csv"]):
        (folder / "x.csv").write_text("path,label\na.png,x\nb.png,y\n")
        for name in ("a.png", "b.png"):
            Image.new("L", (8, 8)).save(folder / name)
        done = acrank(*words)
        assert done.code == 2
        said = "error: cannot read model_zoo.yaml: No such file or directory\nhint: did you mean --zoo zoo.yaml?\n"
        assert done.err.endswith(said), done.err
    for name in ("a.yml", "b.yaml", "c.yaml"):
        (folder / name).write_text(TEXT)
    assert "did you mean --zoo a.yml or --zoo b.yaml or --zoo c.yaml?" in acrank("zoo", "list").err
    assert "`acrank zoo scan FOLDER" in acrank("zoo", "list", "--zoo", "pipe.yml/zoo.yaml").err
    assert "its folder cannot be read" in acrank("zoo", "list", "--zoo", "nowhere/zoo.yaml").err


def test_validate_counts_what_is_sound(acrank: Callable, folder: Path) -> None:
    done = acrank("zoo", "validate")
    assert (done.code, done.out, done.err) == (0, "", "2 ok\n")


def test_validate_reports_every_problem(acrank: Callable, folder: Path, weights: bytes) -> None:
    (folder / "cut.pth").write_bytes(b"PK\x03\x04" + bytes(40))
    (folder / "dir").mkdir()
    digest = hashlib.sha256(weights).hexdigest()
    (folder / "more.yaml").write_text(
        TEXT
        + "  - {id: gone, architecture: resnet18, weights: gone.pth}\n"
        + "  - {id: cut, architecture: resnet18, weights: cut.pth}\n"
        + f"  - {{id: other, architecture: test_resnet, weights: w.safetensors, sha256: '{'0' * 64}'}}\n"
        + "  - {id: local, source: 'local-dir:dir'}\n"
        + "  - {id: misfit, architecture: test_byobnet, weights: w.safetensors}\n"
        + "  - {id: typo, architecture: test_resnet, weights: w.safetensors, wieghts: x}\n"
        + f"  - {{id: same, architecture: test_resnet, weights: w.safetensors, sha256: {digest}}}\n"
    )
    done = acrank("zoo", "validate", "--zoo", "more.yaml")
    assert (done.code, done.out) == (2, "")
    *problems, count, error, hint = done.err.splitlines()
    said = [
        "more.yaml:10: model 'typo': unknown key 'wieghts' (did you mean 'weights' or 'weights_key'?)",
        "more.yaml: model 'gone': cannot read",
        "more.yaml: model 'cut': ",
        "more.yaml: model 'other': w.safetensors has sha256",
        "more.yaml: model 'local': ",
        "more.yaml: model 'misfit': the file fills ",
    ]
    assert len(problems) == len(said)
    assert all(problem.startswith(start) for problem, start in zip(problems, said, strict=True))
    assert (count, error) == ("3 ok", "error: more.yaml has 6 problems")
    assert hint.startswith("hint: ")


def test_validate_names_what_needs_an_option(acrank: Callable, folder: Path, weights: bytes) -> None:
    (folder / "w.pth").write_bytes(weights)
    (folder / "more.yaml").write_text(
        TEXT
        + "".join(f"  - {{id: own{i}, architecture: 'factory:nets:build', weights: w.pth}}\n" for i in range(22))
        + "  - {id: plain, architecture: 'torchvision:resnet18', weights: w.pth, factory_args: {checkpoint_path: w}}\n"
        + "  - {id: fetched, architecture: 'smp:Unet/resnet18', weights: w.pth, "
        + "factory_args: {encoder_weights: imagenet}}\n"
    )
    done = acrank("zoo", "validate", "--zoo", "more.yaml")
    plain, count, *needs, error, _ = done.err.splitlines()
    assert (done.code, count, error) == (2, "25 ok", "error: more.yaml has 1 problem")
    assert "model 'plain': `factory_args` has an argument that names a file" in plain
    assert needs[0].startswith("skipped without --allow-code, and their networks not checked here: own0, own1, ")
    assert needs[0].endswith("own19 and 2 more")
    assert needs[1] == "skipped without --allow-download, and their networks not checked here: fetched"


HEAVY = {"torch", "timm", "pandas", "h5py"}
RUN = """
import sys
from acrank.cli import main
code = main({argv})
{extra}
print(code, sorted({heavy} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["list", "validate"])
def test_nothing_heavy_is_imported(folder: Path, command: str) -> None:
    """`validate` loads torch for the network of a local file, and for nothing else."""
    if command == "validate":
        text = "version: 1\nmodels:\n  - {id: a, source: x}\n  - {id: b, architecture: 'factory:a:b', weights: w.pth}\n"
        (folder / "model_zoo.yaml").write_text(text)
        (folder / "w.pth").write_bytes((folder / "w.safetensors").read_bytes())
    code = RUN.format(argv=["zoo", command], extra="", heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


def test_a_heavy_import_would_be_seen(folder: Path) -> None:
    code = RUN.format(argv=["zoo", "list"], extra="import torch", heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 ['torch']"
