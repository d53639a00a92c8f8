"""The second study's candidates: one of a recipe, networks that their checkpoints fill, sources that hold something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from acrank.zoo import load_zoo
from acrank.zoo.loading import load_candidate
from benchmarks.transferability.study2 import real_size, sources
from benchmarks.transferability.study2.pools import OWN, REAL, cluster
from benchmarks.transferability.study2.volume_sources import VOLUMES


def test_no_recipe_is_there_twice() -> None:
    own = [spec for specs in OWN.values() for spec in specs]
    recipes = [(one.network, one.source, one.task, one.noise, one.epochs) for one in own]
    assert len(set(recipes)) == len(own) == 13
    assert ("resnet20", "cifar10", "supervised", 0.0, 15) not in recipes  # resnet20-cifar10 has it
    assert len({cluster(model) for model in REAL}) == len(REAL)
    assert len({one.id for one in real_size.CONTINUED}) == len(real_size.CONTINUED)
    assert len(real_size.PACKAGED) + len(real_size.FACES) + len(real_size.CONTINUED) >= 16
    assert {len(recipes) for recipes in sources.RECIPES.values()} == {11}


def test_clusters_join_what_has_network_and_source_in_common() -> None:
    assert cluster("own-resnet20-cifar10-early") == cluster("resnet20-cifar10") == "resnet20-cifar10"
    assert cluster("efficientnet-fundus-noisy") == cluster("efficientnet-fundus-disc") == "efficientnet-fundus"
    assert cluster("mobilenet-v2-cifar10-supervised") != cluster("mobilenet-v2-busi-early")
    assert cluster("own-conv4-textures-random") != cluster("own-conv4-textures-masked")


def test_face_checkpoints_fill_their_networks(shared: Path, tmp_path: Path) -> None:
    folder = shared / "checkpoints" / "real"
    models = [{**face, "weights": str(folder / face["weights"])} for face in real_size.FACES]
    path = tmp_path / "faces.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": models}))
    found = [load_candidate(one, allow_code=True).weights for one in load_zoo(path).candidates]
    assert [(one["matched"], one["missing"]) for one in found] == [(162, 0), (321, 0)]


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_hold_what_their_masks_mark(name: str) -> None:
    pairs = [VOLUMES[name](index, 24) for index in range(4)]
    again = VOLUMES[name](0, 24)
    np.testing.assert_array_equal(again[0], pairs[0][0])
    assert not np.array_equal(pairs[0][0], pairs[1][0])
    for values, mask in pairs:
        assert values.shape == mask.shape == (24, 24, 24)
        assert (values.dtype, mask.dtype) == (np.float32, np.uint8)
        assert 0 <= values.min() < values.max() <= 1
        assert set(np.unique(mask)) == {0, 1}
    inside = np.concatenate([values[mask == 1] for values, mask in pairs])
    outside = np.concatenate([values[mask == 0] for values, mask in pairs])
    sign = -1 if name == "shells" else 1
    assert sign * (inside.mean() - outside.mean()) > 0.05


@pytest.mark.parametrize("kind", sources.RECIPES)
def test_a_random_source_loads_as_the_network_that_the_manifest_says(kind: str, tmp_path: Path) -> None:
    recipe = sources.Recipe(kind, "", "random")
    sources.make(recipe, tmp_path / f"{recipe.id}.safetensors")
    path = tmp_path / "zoo.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": [sources.entry(recipe, f"{recipe.id}.safetensors")]}))
    loaded = load_candidate(load_zoo(path).candidates[0])
    assert (loaded.weights["missing"], loaded.weights["left_over"]) == (0, 0)
    assert len(loaded.input.size) == (2 if kind == "sources2d" else 3)
