"""Checkpoints that others trained, through the manifest in benchmarks/."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from acrank.zoo import Zoo, load_candidate, load_zoo
from acrank.zoo.validation import validate_zoo

MANIFEST = Path(__file__).resolve().parents[2] / "benchmarks" / "real_checkpoints" / "model_zoo.yaml"


@pytest.fixture
def zoo(shared: Path) -> Zoo:
    """The manifest, where the checkpoints that it points at are here."""
    assert shared.is_dir()
    return load_zoo(MANIFEST)


def test_the_manifest_is_valid_without_its_files() -> None:
    candidates = load_zoo(MANIFEST).candidates
    assert len(candidates) == 20
    assert all(candidate.sha256 for candidate in candidates)


def test_all_files_are_there_and_as_hashed(zoo: Zoo) -> None:
    sound, problems = validate_zoo(zoo.path)
    assert (len(sound.candidates), problems) == (20, [])


def test_all_networks_are_filled_wholly(zoo: Zoo) -> None:
    for candidate in zoo.candidates:
        loaded = load_candidate(candidate, allow_code=True)
        assert (loaded.weights["missing"], loaded.weights["share"]) == (0, 1.0), candidate.id
        few_shot = "few-shot" in candidate.tags
        assert loaded.source_classes == (None if few_shot else 10)
        assert loaded.input.size == ((84, 84) if few_shot else (32, 32))
        blocks = 6 if "conv6" in candidate.id else 4  # 7 tensors a block, stored again and as parts of two other trunks
        assert loaded.weights["left_over"] == (21 * blocks if few_shot else 0)
        untouched = any("never updated" in note for note in loaded.notes)
        assert untouched == ("maml" in candidate.tags)


def test_resnet20_recognises_cifar10(zoo: Zoo, shared: Path) -> None:
    """Its file says 91.8%; these images went through lossy JPEG. A wrong shortcut or a lost layer gives far less."""
    (candidate,) = zoo.select(["resnet20-cifar10"]).candidates
    loaded = load_candidate(candidate, allow_code=True)
    data = np.load(shared / "data" / "cifar10_jpeg_subset.npz")
    images = torch.from_numpy(data["test_images"]).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (loaded.input.mean, loaded.input.std))
    with torch.no_grad():
        predicted = loaded.model((images - mean) / std).argmax(1).numpy()
    assert (predicted == data["test_labels"].ravel()).mean() > 0.78
