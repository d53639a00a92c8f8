"""`acrank score` on images with masks and on volumes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.small_networks import encoder_decoder
from helpers.workbench import Outcome, entry, touched, write_zoo
from PIL import Image

from acrank.zoo import load_candidate, load_zoo
from acrank.zoo.architectures.genesis import UNet3D

Run = Callable[..., Outcome]
WNETS = Path(__file__).resolve().parents[2] / "benchmarks" / "real_checkpoints" / "segmentation_zoo.yaml"


@pytest.fixture
def flat(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A zoo of three dense networks, and discs with their masks."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)  # another test's folder
    tmp_path = tmp_path_factory.mktemp("flat")
    monkeypatch.chdir(tmp_path)
    inputs = {"size": 32, "mean": [0.0], "std": [1.0]}
    zoo = write_zoo(tmp_path, *(entry(f"n{seed}", "encoder_decoder", input=inputs) for seed in range(3)))
    for seed in range(3):
        torch.save(touched(encoder_decoder(), seed).state_dict(), tmp_path / f"n{seed}.pth")
    for part in ("images", "masks"):
        (tmp_path / "discs" / part).mkdir(parents=True)
    y, x = np.mgrid[:48, :48]
    for i in range(8):
        rng = np.random.default_rng(i)
        mask = np.hypot(y - rng.integers(12, 36), x - rng.integers(12, 36)) < 8
        pixels = np.clip(100 + 60 * mask + rng.normal(scale=20, size=mask.shape), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "discs" / "images" / f"{i}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "discs" / "masks" / f"{i}.png")
    return zoo, tmp_path / "discs"


def test_images_and_masks_are_ranked_by_every_score(acrank: Run, flat: tuple[Path, Path], tmp_path: Path) -> None:
    zoo, data = flat
    run = acrank("score", "--zoo", zoo, "--data", data, "--allow-code", "--scores", "all", "-o", tmp_path / "run.json")
    assert run.code == 0, run.err
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["target"]["task"] == "segmentation"
    assert (record["settings"]["samples"], record["settings"]["layers"]) == (16, "encoder")
    assert len(record["target"]["draws"][0]["ids"]) == 16
    for row in record["rows"]:
        assert row["status"] == "scored", row
        lacking = [name for name, value in row["scores"].items() if value["value"] is None]
        assert lacking == [], {name: row["scores"][name] for name in lacking}
        assert [layer["name"] for layer in row["layers"]] == ["1", "5"]  # not the decoder's "9"
        assert len(row["details"]["patches"]["corners"]) == row["details"]["draws"]
        assert all(len(draw) == 16 for draw in row["details"]["patches"]["corners"])
        assert 0.6 < row["scores"]["probe_accuracy"]["value"] <= 1.0


def test_a_cached_run_gives_the_same(acrank: Run, flat: tuple[Path, Path], tmp_path: Path) -> None:
    zoo, data = flat
    args = ("score", "--zoo", zoo, "--data", data, "--allow-code", "--scores", "ac_corr,cc_fv,knn", "--repeats", 1)
    rows = []
    for name in ("first.json", "second.json"):
        assert acrank(*args, "-o", tmp_path / name).code == 0
        rows.append(json.loads((tmp_path / name).read_text())["rows"])
    assert [row["details"]["cached"] for row in rows[1]] == [True] * 3
    assert [row["scores"] for row in rows[0]] == [row["scores"] for row in rows[1]]


def test_maps_that_were_not_asked_for_are_read_when_they_are(
    acrank: Run, flat: tuple[Path, Path], tmp_path: Path
) -> None:
    """A run without the score leaves nothing that a run with it would take for its own."""
    zoo, data = flat
    args = ("score", "--zoo", zoo, "--data", data, "--allow-code", "--model", "n0", "--repeats", 1)
    rows = []
    for scores in ("knn", "knn,cc_fv"):
        assert acrank(*args, "--scores", scores, "-o", tmp_path / "run.json").code == 0
        rows.append(json.loads((tmp_path / "run.json").read_text())["rows"][0])
    assert rows[0]["scores"]["knn"] == rows[1]["scores"]["knn"]
    assert isinstance(rows[1]["scores"]["cc_fv"]["value"], float)


def test_vessels_are_ranked_by_cc_fv(acrank: Run, flat: tuple[Path, Path], tmp_path: Path) -> None:
    from acrank.demo.vessels import make_vessels

    make_vessels(tmp_path / "vessels", n=6)
    run = acrank("score", "--zoo", flat[0], "--data", tmp_path / "vessels", "--allow-code", "--scores", "cc_fv")
    assert run.code == 0, run.err
    lines = (Path.cwd() / "scores.csv").read_text().splitlines()
    assert len({line.split(",")[4] for line in lines[1:]}) == 3


def test_what_the_user_says_goes_before_the_task(acrank: Run, flat: tuple[Path, Path], tmp_path: Path) -> None:
    zoo, data = flat
    args = ("--samples", 8, "--layers", "all", "--repeats", 1, "--model", "n0")
    run = acrank("score", "--zoo", zoo, "--data", data, "--allow-code", *args, "-o", tmp_path / "run.json")
    assert run.code == 0, run.err
    record = json.loads((tmp_path / "run.json").read_text())
    assert len(record["target"]["draws"][0]["ids"]) == 8
    assert [layer["name"] for layer in record["rows"][0]["layers"]] == ["1", "5", "9"]


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Two small 3D candidates; scans beside them in `dec` and `nnu`."""
    pytest.importorskip("nibabel")
    from acrank.demo.nodules import make_nodules

    entries = []
    for seed in range(2):
        tensors = touched(UNet3D(outputs=2, width=4), seed).state_dict()
        torch.save({"state_dict": {f"module.{name}": x for name, x in tensors.items()}}, tmp_path / f"g{seed}.pth")
        entries.append({"id": f"g{seed}", "architecture": "genesis:unet3d", "weights": f"g{seed}.pth"})
    shared = {
        "weights_key": "state_dict",
        "strip_prefix": "module.",
        "input": {"size": 16, "mean": [0.0], "std": [1.0]},
    }
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "defaults": shared, "models": entries}))
    make_nodules(tmp_path / "dec", n=4, size=24)
    make_nodules(tmp_path / "nnu", layout="nnunet", n=4, size=24)
    return tmp_path


def scored(acrank: Run, folder: Path, layout: str, *args: object) -> list[dict[str, object]]:
    run = acrank(
        "score", "--zoo", folder / "zoo.yaml", "--data", folder / layout, *args, "-o", folder / f"{layout}.json"
    )
    assert run.code == 0, run.err
    rows: list[dict[str, object]] = json.loads((folder / f"{layout}.json").read_text())["rows"]
    return rows


def as_version_1(folder: Path) -> None:
    """nnU-Net v1's description in place of v2's: names by number, modality, and a training list without _0000."""
    names = sorted(path.name for path in (folder / "labelsTr").iterdir())
    about = json.loads((folder / "dataset.json").read_text())
    labels = {str(value): name for name, value in about["labels"].items()}
    training = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names]
    (folder / "dataset.json").write_text(
        json.dumps({"modality": about["channel_names"], "labels": labels, "training": training})
    )


def test_all_layouts_give_the_same_scores(acrank: Run, volumes: Path) -> None:
    shutil.copytree(volumes / "nnu", volumes / "nnu1")
    as_version_1(volumes / "nnu1")
    first, *others = (
        scored(acrank, volumes, layout, "--repeats", 2, "--samples", 8) for layout in ("dec", "nnu", "nnu1")
    )
    for other in others:
        assert [row["model"] for row in first] == [row["model"] for row in other]
        assert [row["scores"] for row in first] == [row["scores"] for row in other]


def test_the_authors_protocol_reads_their_layer(acrank: Run, volumes: Path) -> None:
    for row in scored(acrank, volumes, "dec", "--protocol", "official"):
        assert [layer["name"] for layer in row["layers"]] == ["down_tr512.ops.1.bn1"]  # type: ignore[attr-defined]
        assert row["scores"]["ac_corr"]["value"] > 0  # type: ignore[index]


def test_a_flat_network_on_volumes_is_skipped_with_a_reason(
    acrank: Run, volumes: Path, flat: tuple[Path, Path]
) -> None:
    run = acrank("score", "--zoo", flat[0], "--data", volumes / "dec", "--allow-code", "-o", volumes / "x.json")
    assert run.code == 3
    assert "3 dimensions" in json.loads((volumes / "x.json").read_text())["rows"][0]["reason"]


def test_an_unknown_intensity_rule_ends_the_run(acrank: Run, volumes: Path) -> None:
    run = acrank("score", "--zoo", volumes / "zoo.yaml", "--data", volumes / "dec", "--intensity", "bright")
    assert run.code == 2
    assert "unknown intensity rule 'bright'" in run.err


def test_wnets_find_vessels(shared: Path) -> None:
    """The network's layout is read off the file: a wrong one would hardly see the vessels it was trained on."""
    from sklearn.metrics import roc_auc_score

    (candidate,) = load_zoo(WNETS).select(["wnet-drive"]).candidates
    loaded = load_candidate(candidate, allow_code=True)
    assert loaded.weights["missing"] == 0
    image = np.asarray(Image.open(shared / "data" / "drive" / "images" / "21.png").resize((512, 512))) / np.float32(255)
    mask = np.asarray(
        Image.open(shared / "data" / "drive" / "masks" / "21.png").resize((512, 512), Image.Resampling.NEAREST)
    )
    with torch.no_grad():
        logits = loaded.model(torch.from_numpy(image).permute(2, 0, 1)[None])
    assert roc_auc_score(mask.ravel(), logits.ravel().numpy()) > 0.95


def test_all_wnets_are_filled_wholly(shared: Path) -> None:
    assert shared.is_dir()
    for candidate in load_zoo(WNETS).candidates:
        loaded = load_candidate(candidate, allow_code=True)
        assert (loaded.weights["missing"], loaded.weights["left_over"], loaded.weights["share"]) == (0, 0, 1.0)
