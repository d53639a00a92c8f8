"""`acrank score` on labelled volumes, by candidates for volumes and, slice by slice, by candidates for images."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.workbench import Outcome, entry, network, touched, write_zoo

Run = Callable[..., Outcome]
SIZE = {"block_inplanes": [4, 8, 8, 8], "layers": [1, 1, 1, 1], "block": "basic", "n_input_channels": 1}


def blobs(path: Path, count: int = 24) -> Path:
    """Noise with a bright ball that is larger in the second class, and masks of it."""
    grid = np.indices((20, 20, 20))
    volumes, masks = np.zeros((count, 20, 20, 20), np.uint8), np.zeros((count, 20, 20, 20), np.uint8)
    for i in range(count):
        rng = np.random.default_rng(i)
        centre = rng.integers(8, 12, (3, 1, 1, 1))
        masks[i] = ((grid - centre) ** 2).sum(0) < (3 + 3 * (i % 2)) ** 2
        volumes[i] = np.clip(60 + 120 * masks[i] + rng.normal(scale=15, size=masks[i].shape), 0, 255)
    np.savez(path / "masked.npz", images=volumes, masks=masks)
    np.savez(path / "balls.npz", train_images=volumes, train_labels=np.arange(count)[:, None] % 2)
    return path / "balls.npz"


@pytest.fixture
def solid(tmp_path: Path) -> Path:
    """Two candidates of MONAI for volumes, with BatchNorm3d."""
    nets = pytest.importorskip("monai.networks.nets")
    entries = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = touched(nets.ResNet(**SIZE, num_classes=2, spatial_dims=3), seed)
        torch.save(model.state_dict(), tmp_path / f"r{seed}.pth")
        entries.append(
            {"id": f"r{seed}", "architecture": "monai:ResNet", "factory_args": SIZE, "weights": f"r{seed}.pth"}
        )
    shared = {"input": {"size": 16, "mean": [0.5], "std": [0.5]}}
    (tmp_path / "solid.yaml").write_text(yaml.safe_dump({"version": 1, "defaults": shared, "models": entries}))
    return tmp_path / "solid.yaml"


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    torch.save(network(0).state_dict(), tmp_path / "f0.pth")
    return write_zoo(tmp_path, entry("f0"))


def rows(run: Outcome, path: Path) -> list[dict[str, object]]:
    assert run.code == 0, run.err
    found: list[dict[str, object]] = json.loads(path.read_text())["rows"]
    return found


def test_labelled_volumes_are_ranked(acrank: Run, solid: Path, tmp_path: Path) -> None:
    run = acrank("score", "--zoo", solid, "--data", blobs(tmp_path), "--repeats", 2, "-o", tmp_path / "run.json")
    for row in rows(run, tmp_path / "run.json"):
        assert row["status"] == "scored", row
        assert row["details"]["input"]["size"] == [16, 16, 16]  # type: ignore[index]
        values = {name: value["value"] for name, value in row["scores"].items()}  # type: ignore[attr-defined]
        assert None not in values.values(), values
        assert row["layers"]


def test_a_candidate_for_images_needs_slices(acrank: Run, flat: Path, tmp_path: Path) -> None:
    args = (
        "score",
        "--zoo",
        flat,
        "--allow-code",
        "--data",
        blobs(tmp_path),
        "--repeats",
        1,
        "-o",
        tmp_path / "r.json",
    )
    assert acrank(*args).code == 3
    (skipped,) = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert "takes images (2 dimensions), the target holds volumes (3 dimensions)" in skipped["reason"]
    assert "--slices 3" in skipped["reason"]
    (row,) = rows(acrank(*args, "--slices", 3), tmp_path / "r.json")
    assert row["scores"]["probe_accuracy"]["value"] > 0.8  # type: ignore[index]
    (other,) = rows(acrank(*args, "--slices", 1), tmp_path / "r.json")
    assert other["details"]["cached"] is False  # type: ignore[index]
    assert other["scores"] != row["scores"]


def test_a_candidate_for_volumes_is_no_good_for_slices(acrank: Run, solid: Path, tmp_path: Path) -> None:
    run = acrank("score", "--zoo", solid, "--data", blobs(tmp_path), "--slices", 3, "-o", tmp_path / "r.json")
    assert run.code == 3
    assert (
        "the target holds images (2 dimensions)" in json.loads((tmp_path / "r.json").read_text())["rows"][0]["reason"]
    )


def test_slices_with_masks_are_ranked(acrank: Run, flat: Path, tmp_path: Path) -> None:
    blobs(tmp_path)
    args = ("--data", tmp_path / "masked.npz", "--slices", 3, "--repeats", 1)
    (row,) = rows(acrank("score", "--zoo", flat, "--allow-code", *args, "-o", tmp_path / "r.json"), tmp_path / "r.json")
    assert row["status"] == "scored", row
    corners = row["details"]["patches"]["corners"][0]  # type: ignore[index]
    assert {len(corner) for corner in corners} == {3}


def test_an_intensity_rule_is_not_taken_from_the_cache(acrank: Run, solid: Path, tmp_path: Path) -> None:
    args = (
        "score",
        "--zoo",
        solid,
        "--data",
        blobs(tmp_path),
        "--repeats",
        1,
        "--model",
        "r0",
        "-o",
        tmp_path / "r.json",
    )
    first = rows(acrank(*args), tmp_path / "r.json")[0]
    second = rows(acrank(*args, "--intensity", "window:0,100"), tmp_path / "r.json")[0]
    assert second["details"]["cached"] is False  # type: ignore[index]
    assert first["scores"] != second["scores"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--spacing", "1,1"), "--spacing needs three positive numbers, got 1.0,1.0"),
        (("--slices", 2), "--slices must be odd"),
        (("--task", "ranking"), "unknown --task 'ranking'"),
        (("--spacing", "1,1,1"), "--spacing does not apply"),
    ],
)
def test_options_that_make_no_sense(
    acrank: Run, solid: Path, tmp_path: Path, option: tuple[object, ...], message: str
) -> None:
    run = acrank("score", "--zoo", solid, "--data", blobs(tmp_path), *option)
    assert run.code == 2
    assert message in run.err
