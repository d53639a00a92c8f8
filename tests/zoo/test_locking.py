"""A locked zoo refuses what changed, by name, and follows the hub's locked revision."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.hub_server import commit_of, hub
from helpers.workbench import Outcome, entry, make_images, make_zoo, network, write_zoo

from acrank.errors import ManifestError
from acrank.zoo import load_zoo
from acrank.zoo.code_files import code_files
from acrank.zoo.locking import lock_path, locked_zoo

Run = Callable[..., Outcome]


@pytest.fixture
def zoo(tmp_path: Path, acrank: Run) -> Path:
    manifest = make_zoo(tmp_path, count=2)
    assert acrank("zoo", "lock", "--zoo", manifest).code == 0
    return manifest


def test_a_lock_holds_the_hashes_of_weights_and_code(zoo: Path) -> None:
    models = json.loads(lock_path(zoo).read_text())["models"]
    for name in ("net0", "net1"):
        expected = {f"{name}.pth", "small_networks.py"}
        assert models[name]["files"] == {
            file: hashlib.sha256((zoo.parent / file).read_bytes()).hexdigest() for file in expected
        }
    assert [one.id for one in locked_zoo(load_zoo(zoo)).candidates] == ["net0", "net1"]


def test_score_locked_refuses_what_changed_before_any_work(zoo: Path, acrank: Run, tmp_path: Path) -> None:
    images = make_images(tmp_path / "set")
    words = ("score", "--zoo", zoo, "--data", images, "--locked", "--allow-code", "-o", tmp_path / "run.json")
    words = (*words, "--samples", 12, "--repeats", 1, "--no-cache")
    torch.save(network(7).state_dict(), zoo.parent / "net1.pth")
    found = acrank(*words)
    assert found.code == 2
    assert "net1: net1.pth changed (locked " in found.err
    assert "net0" not in found.err
    assert not (tmp_path / "run.json").exists()
    chosen = acrank(*words, "--model", "net0")
    assert chosen.code == 0  # what was not chosen does not matter


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "small_networks.py").write_text("# other\n"), "net0: small_networks.py changed"),
        (lambda folder: (folder / "net0.pth").unlink(), "net0: cannot read "),
        (lambda folder: write_zoo(folder, entry("net0", min_match=0.9)), "net0: its manifest entry changed"),
        (lambda folder: write_zoo(folder, entry("new")), "new: not in the lock"),
        (lambda folder: (folder / "zoo.lock.json").unlink(), "there is no lock"),
        (lambda folder: (folder / "zoo.lock.json").write_text("{}"), "is no lock file of version 1"),
        (
            lambda folder: (folder / "zoo.lock.json").write_text(
                '{"kind": "acrank-lock", "schema_version": 1, "models": {"net0": {"entry": 3}}}'
            ),
            "net0",
        ),
    ],
)
def test_every_change_is_named(zoo: Path, change: Callable[[Path], object], said: str) -> None:
    change(zoo.parent)
    with pytest.raises(ManifestError) as caught:
        locked_zoo(load_zoo(zoo))
    assert said in str(caught.value)
    assert "acrank zoo lock" in str(caught.value.hint)


def test_what_cannot_be_locked_is_named_and_nothing_is_written(tmp_path: Path, acrank: Run) -> None:
    manifest = write_zoo(tmp_path, entry("net0"), entry("net1", architecture="factory:nowhere_at_all:build"))
    found = acrank("zoo", "lock", "--zoo", manifest)
    assert found.code == 2
    assert "net0: cannot read" in found.err
    assert "net1: the module 'nowhere_at_all' of its factory is not found" in found.err
    assert not lock_path(manifest).exists()


@pytest.mark.parametrize("path", [".", "/", ".."])
def test_a_folder_is_no_manifest_to_lock(
    path: str, tmp_path: Path, acrank: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = acrank("zoo", "lock", "--zoo", path)
    assert (done.code, done.err.splitlines()[0]) == (2, f"error: {path} is a folder, not a file")
    assert not [*tmp_path.iterdir()]


def test_code_is_followed_through_its_imports(tmp_path: Path) -> None:
    files = {
        "nets/__init__.py": "",
        "nets/build.py": "from .parts import Block\nfrom common import norm\nimport json",
        "nets/parts.py": "from ..nope import x",
        "nets/other.py": "",
        "common/__init__.py": "",
        "common/norm.py": "raise SystemExit  # never run",
        "json.md": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [path.relative_to(tmp_path).as_posix() for path in code_files("nets.build", tmp_path)]
    assert found == ["common/__init__.py", "common/norm.py", "nets/__init__.py", "nets/build.py", "nets/parts.py"]


LOCKED = """
import json, sys
from acrank.cli import main
from acrank.zoo import load_zoo
from acrank.zoo.hub import resolve_recipe
from acrank.zoo.locking import locked_zoo
from acrank.system.files import sha256_of
if sys.argv[2] == "lock":
    sys.exit(main(["zoo", "lock", "--zoo", sys.argv[1]]))
candidate = locked_zoo(load_zoo(sys.argv[1])).candidates[0]
print(json.dumps([candidate.source, sha256_of(resolve_recipe(candidate).weights)]))
"""


def test_a_hub_source_stays_at_the_locked_revision(tmp_path: Path) -> None:
    manifest = tmp_path / "zoo.yaml"
    manifest.write_text("version: 1\nmodels: [{id: net, source: 'hf-hub:org/net'}]\n")
    config = json.dumps({"architecture": "test_resnet", "num_classes": 2, "pretrained_cfg": {}}).encode()
    repositories = {"org/net": {"main": {"config.json": config, "model.safetensors": b"first"}}}

    def elsewhere(address: str, what: str, home: str) -> str:
        environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / home), "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-c", LOCKED, str(manifest), what]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with hub(repositories) as address:
        elsewhere(address, "lock", "one")
        commit = commit_of("org/net", "main")
        assert json.loads(lock_path(manifest).read_text())["models"]["net"]["revision"] == commit
        first = repositories["org/net"]["main"]
        moved = {"config.json": config, "model.safetensors": b"second"}
        repositories["org/net"] = {commit: first, "main": moved}
        source, digest = json.loads(elsewhere(address, "use", "two"))
    assert source == f"hf-hub:org/net@{commit}"
    assert digest == hashlib.sha256(b"first").hexdigest()
