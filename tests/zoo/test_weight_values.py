"""Weights that look damaged are noted on their row; sound ones, fixed filters and untrained heads are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.workbench import Outcome, make_images
from torch import Tensor, nn

from acrank.demo import zoo_path
from acrank.zoo import Candidate, load_candidate, load_zoo
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.weight_values import check_values

CONVOLUTION = "layer2.0.conv1.weight"

Change = Callable[[str, Tensor], Tensor]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    found = dict(import_timm().create_model("test_resnet", num_classes=3).state_dict())
    return {name: value + 0.1 if name.endswith("running_mean") else value for name, value in found.items()}


def notes(folder: Path, tensors: dict[str, Tensor]) -> list[str]:
    torch.save(tensors, folder / "w.pth")
    found = load_candidate(Candidate(id="it", architecture="test_resnet", weights="w.pth", folder=folder)).notes
    return [note for note in found if not note.startswith("assumed")]


def one(name: str, change: Callable[[Tensor], Tensor]) -> Change:
    return lambda found, value: change(value) if found == name else value


def many(ends: str, axes: int, change: Callable[[Tensor], Tensor]) -> Change:
    return lambda name, value: change(value) if name.endswith(ends) and value.ndim == axes else value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one(CONVOLUTION, torch.zeros_like), f"all values are equal in 1 of the file's weights: {CONVOLUTION}"),
        (
            one(CONVOLUTION, lambda value: torch.zeros(1).expand(value.shape)),
            f"all values are equal in 1 of the file's weights: {CONVOLUTION}",
        ),
        (
            many("weight", 4, lambda value: torch.full_like(value, 0.01)),
            "all values are equal in 15 of the file's weights: conv1.0.weight, conv1.3.weight, conv1.6.weight, …",
        ),
        (
            one(CONVOLUTION, lambda value: value * 1e20),
            f"values are above 1e+06 in 1 of the file's weights: {CONVOLUTION}",
        ),
        (many("running_var", 1, torch.zeros_like), "15 of the file's running variances are all zero or above 1e+12: "),
        (
            many("running_var", 1, lambda value: torch.full_like(value, 1e38)),
            "15 of the file's running variances are all zero or above 1e+12: ",
        ),
    ],
)
def test_what_looks_damaged_is_noted_with_its_tensors(
    tmp_path: Path, tensors: dict[str, Tensor], change: Change, said: str
) -> None:
    found = notes(tmp_path, {name: change(name, value) for name, value in tensors.items()})
    assert len(found) == 1
    assert found[0].startswith(f"damaged? {said}")


def test_sound_files_get_no_note(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    assert notes(tmp_path, tensors) == []
    assert notes(tmp_path, tensors | {"fc.weight": torch.zeros_like(tensors["fc.weight"])}) == []  # an untrained head
    for candidate in load_zoo(zoo_path()).candidates:
        assert not [note for note in load_candidate(candidate).notes if "damaged" in note or "twice" in note]


def test_a_filter_that_the_network_begins_with_is_no_damage() -> None:
    mean = nn.Conv2d(2, 2, 3, groups=2, bias=False)
    nn.init.constant_(mean.weight, 1 / 9)
    same = {"weight": mean.weight.detach().clone()}
    assert check_values(mean, same, ["weight"]) == []
    assert len(check_values(mean, {"weight": same["weight"] * 2}, ["weight"])) == 1


def test_a_second_body_of_other_values_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    copy = {f"module.{name}": value for name, value in tensors.items()}
    assert notes(tmp_path, tensors | copy) == []
    other = copy | {f"module.{CONVOLUTION}": tensors[CONVOLUTION] + 1}
    text = "the file holds the network twice: names without a prefix were taken, not those under `module.`"
    assert notes(tmp_path, tensors | other) == [text]
    assert notes(tmp_path, other | tensors) == [text]


def test_a_candidate_without_a_value_says_why_on_its_row(
    tmp_path: Path, tensors: dict[str, Tensor], acrank: Callable[..., Outcome]
) -> None:
    dead = {name: torch.zeros_like(value) if value.ndim == 4 else value for name, value in tensors.items()}
    torch.save(dead, tmp_path / "dead.pth")
    torch.save(tensors, tmp_path / "sound.pth")
    lines = "".join(f"  - {{id: {n}, architecture: test_resnet, weights: {n}.pth}}\n" for n in ("dead", "sound"))
    (tmp_path / "zoo.yaml").write_text(f"version: 1\nmodels:\n{lines}")
    make_images(tmp_path / "data")
    words = ("--zoo", tmp_path / "zoo.yaml", "--data", tmp_path / "data", "--samples", 8, "--repeats", 1, "--no-cache")
    done = acrank("score", *words, "--scores", "finetunability,logme", "-f", "json")
    rows = {row["model"]: row for row in json.loads(done.out)["rows"]}
    found = rows["dead"]["scores"]["finetunability"]
    assert rows["dead"]["rank"] is None
    assert found["value"] is None
    assert f"no value of finetunability: {found['note']}" in rows["dead"]["notes"]
    assert not [note for note in rows["sound"]["notes"] if note.startswith("no value")]


def test_long_names_are_shortened_for_the_record(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors | {"n" * 100_000: torch.ones(1)}, tmp_path / "w.pth")
    found = load_candidate(Candidate(id="it", architecture="test_resnet", weights="w.pth", folder=tmp_path))
    assert [len(name) <= 200 for name in found.weights["left_over_names"]] == [True]
    assert found.weights["left_over"] == 1


@pytest.mark.filterwarnings("error")
def test_parameters_in_a_file_are_as_sound_as_tensors(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    kept = {name: nn.Parameter(one) if one.is_floating_point() else one for name, one in tensors.items()}
    assert notes(tmp_path, kept) == []  # type: ignore[arg-type]
