"""The embedded checkpoints: they are what the manifests say, load, and stay small."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open

from acrank.demo import zoo_path
from acrank.system.files import sha256_of
from acrank.zoo.loading import load_candidate
from acrank.zoo.manifest import Candidate, Zoo, load_zoo

ROOT_MANIFEST = Path(__file__).resolve().parents[2] / "model_zoo.yaml"
EXAMPLE_IDS = {
    "resnet18-imagenet",
    "retina-hub",
    "retina-folder",
    "my-resnet",
    "my-moco",
    "my-grey-resnet",
    "my-network",
}


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return load_zoo(zoo_path())


def settings(candidate: Candidate) -> dict[str, Any]:
    return candidate.model_dump(exclude={"folder", "weights"})


def metadata(candidate: Candidate) -> dict[str, Any]:
    with safe_open(str(candidate.weights_path), "pt") as file:
        return {
            key: value if key in ("license", "source") else json.loads(value) for key, value in file.metadata().items()
        }


def test_the_root_manifest_names_the_same_candidates_with_the_same_settings(zoo: Zoo) -> None:
    root = load_zoo(ROOT_MANIFEST)
    assert [settings(candidate) for candidate in root.candidates] == [settings(c) for c in zoo.candidates]
    for ours, theirs in zip(zoo.candidates, root.candidates, strict=True):
        assert ours.weights_path is not None
        assert theirs.weights_path is not None
        assert ours.weights_path.resolve() == theirs.weights_path.resolve()


def test_every_file_is_there_with_its_hash_and_none_is_left_over(zoo: Zoo) -> None:
    paths = [candidate.weights_path for candidate in zoo.candidates]
    assert {path.name for path in (zoo_path().parent / "weights").iterdir()} == {path.name for path in paths if path}
    assert all(path and sha256_of(path) == c.sha256 for path, c in zip(paths, zoo.candidates, strict=True))


def test_the_zoo_is_small_and_has_three_architectures(zoo: Zoo) -> None:
    assert 12 <= len(zoo.candidates) <= 14
    assert sum(path.stat().st_size for path in (zoo_path().parent / "weights").iterdir()) < 10_000_000
    assert {candidate.architecture for candidate in zoo.candidates} == {
        "test_byobnet",
        "test_efficientnet",
        "test_resnet",
    }


def test_every_checkpoint_says_how_it_came_about(zoo: Zoo) -> None:
    for candidate in zoo.candidates:
        facts = metadata(candidate)
        assert facts["license"] == candidate.license == "MIT"
        assert facts["source"]
        assert facts["epochs"] >= 0
        assert facts["seed"] == 0
        assert tuple(facts["mean"]) == candidate.input.mean
        assert tuple(facts["std"]) == candidate.input.std
        assert candidate.reference == {"source_accuracy": facts["source_accuracy"]}


def test_the_zoo_holds_good_and_bad_pretraining(zoo: Zoo) -> None:
    facts = {candidate.id: metadata(candidate) for candidate in zoo.candidates}
    accuracy = {name: fact["source_accuracy"] for name, fact in facts.items()}
    assert facts["efficientnet-random"]["epochs"] == 0
    assert facts["byobnet-textures-shuffled"]["shuffled_labels"] == 1.0
    assert accuracy["byobnet-textures-shuffled"] < 0.35  # chance is 1/6
    assert accuracy["efficientnet-fundus-early"] < accuracy["efficientnet-fundus-lesions"]
    assert accuracy["efficientnet-fundus-noisy"] < accuracy["efficientnet-fundus-lesions"]


def test_every_checkpoint_fills_its_network_whole(zoo: Zoo) -> None:
    for candidate in zoo.candidates:
        loaded = load_candidate(candidate)
        assert (loaded.weights["missing"], loaded.weights["left_over"]) == (0, 0)
        assert loaded.input.size == (64, 64)
        assert loaded.source_classes is not None
        assert all(bool(tensor.isfinite().all()) for tensor in loaded.model.state_dict().values())
        assert not math.isclose(sum(float(p.detach().abs().sum()) for p in loaded.model.parameters()), 0)


def test_the_commented_examples_are_valid_entries(tmp_path: Path) -> None:
    """Each block of examples, uncommented under `models:`, passes the schema."""
    lines = ROOT_MANIFEST.read_text(encoding="utf-8").splitlines()
    blocks = [line.removeprefix("# ") for line in lines if line.startswith(("#   - ", "#     "))]
    manifest = tmp_path / "model_zoo.yaml"
    manifest.write_text("version: 1\nmodels:\n" + "\n".join(blocks) + "\n", encoding="utf-8")
    candidates = load_zoo(manifest).candidates
    assert {candidate.id for candidate in candidates} == EXAMPLE_IDS
    kinds = {key for raw in yaml.safe_load(manifest.read_text(encoding="utf-8"))["models"] for key in raw}
    assert kinds >= {"source", "architecture", "weights_key", "keep_prefix", "strip_prefix", "rename", "sha256"}
    assert kinds >= {"in_chans", "reference", "license", "tags", "factory_args"}
