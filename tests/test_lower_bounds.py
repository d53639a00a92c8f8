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
#: First versions without a known hole that a file read as data could use: memory corrupted by
#: `torch.load(weights_only=True)` (CVE-2025-32434, CVE-2026-24747), buffer overflows of Pillow's decoders of JPEG, TIFF
#: and JPEG 2000 (13.0.0), HDF5 2.0 within h5py, templates of Jinja (CVE-2025-27516), paths of pydicom
#: (CVE-2026-32711), pickles of MONAI (GHSA-89gg-p5r5-q6r4), options of tqdm (CVE-2024-34062).
SAFE = {
    "torch": (2, 10),
    "pillow": (13,),
    "h5py": (3, 16),
    "jinja2": (3, 1, 6),
    "pydicom": (3, 0, 2),
    "monai": (1, 5, 2),
    "tqdm": (4, 66, 3),
}
#: Extras that only those need who work on acrank.
OURS = {"dev", "docs"}
#: Pinned beside what pyproject.toml names: torchvision goes with one torch, click with the oldest typer.
BESIDE = {"torchvision", "click"}


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at its end."""
    numbers = [int(part) for part in text.split(".")]
    while numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def bounds() -> dict[str, str]:
    """The lower bound of every package that acrank or one of its extras for users needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for name, names in project["optional-dependencies"].items() if name not in OURS for one in names]
    found = [re.fullmatch(r"([\w-]+)>=([\d.]+)", one) for one in [*project["dependencies"], *extras]]
    assert None not in found
    return {one[1].lower(): one[2] for one in found if one}


@pytest.mark.parametrize("name", SAFE)
def test_no_declared_bound_has_a_known_hole(name: str) -> None:
    assert version(bounds()[name]) >= SAFE[name]


def test_the_pins_of_the_lowest_environment_are_the_declared_bounds() -> None:
    pins = dict(line.split("==") for line in (ROOT / ".ci" / "lowest.txt").read_text().split())
    declared = {name: version(text) for name, text in bounds().items()}
    assert {name: version(text) for name, text in pins.items() if name not in BESIDE} == declared
    assert set(pins) > BESIDE


def test_one_package_has_one_bound() -> None:
    """Several extras may need one package."""
    text = (ROOT / "pyproject.toml").read_text()
    for name, bound in bounds().items():
        assert set(re.findall(rf'"{name}>=([\d.]+)"', text, re.IGNORECASE)) == {bound}


def test_ci_runs_with_the_lowest_versions() -> None:
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
