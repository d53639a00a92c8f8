"""The oldest libraries that pyproject.toml allows: none with a known hole that acrank could reach."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import acrank
from acrank.zoo import Candidate
from acrank.zoo.architectures import timm_networks
from acrank.zoo.hub import Recipe

ROOT = Path(acrank.__file__).parents[1]
#: First versions without a known hole in what acrank calls: code run by `torch.load(weights_only=True)`
#: (CVE-2025-32434, fixed in 2.6.0), a buffer overflow in Pillow (CVE-2024-28219, fixed in 10.3.0).
SAFE = {"torch": (2, 6), "pillow": (10, 3)}


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def bounds() -> dict[str, str]:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = [re.fullmatch(r"([\w-]+)>=([\d.]+)", one) for one in declared]
    return {one[1].lower(): one[2] for one in found if one}


@pytest.mark.parametrize("name", SAFE)
def test_no_declared_bound_has_a_known_hole(name: str) -> None:
    assert version(bounds()[name]) >= SAFE[name]


def test_ci_runs_with_the_lowest_versions() -> None:
    pins = dict(line.split("==") for line in (ROOT / ".ci" / "lowest.txt").read_text().split())
    for name in ("torch", "timm", "safetensors", "pillow", "h5py", "pyyaml", "numpy", "pydantic", "huggingface-hub"):
        wanted = version(bounds()[name])
        assert version(pins[name])[: len(wanted)] == wanted
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["strategy"][
        "matrix"
    ]
    assert matrix["libraries"] == ["newest"]
    assert [one["libraries"] for one in matrix["include"]] == ["lowest"]


def test_timm_is_never_given_a_file_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm 1.0.15 reads `checkpoint_path` with `weights_only=False`; no argument of that kind may reach it."""
    given: list[dict[str, object]] = []
    real = timm_networks.import_timm().create_model

    def create(name: str, **options: object) -> object:
        given.append(options)
        return real(name, **options)

    monkeypatch.setattr(timm_networks.import_timm(), "create_model", create)
    candidate = Candidate(id="m", architecture="test_resnet", weights="w", folder=tmp_path)
    recipe = Recipe("test_resnet", tmp_path / "w", {"input_size": (3, 64, 64)}, args={"global_pool": "avg"})
    timm_networks._create(recipe, candidate, classes=2, channels=3)
    assert [set(one) for one in given] == [{"pretrained", "pretrained_cfg", "num_classes", "in_chans", "global_pool"}]
    assert given[0]["pretrained"] is False
